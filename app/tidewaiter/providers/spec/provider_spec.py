"""The whole of a spec file: a provider, its accounts, its operations and its examples."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from tidewaiter.domain.http_values import JsonObject
from tidewaiter.providers.spec.all_auth_spec import Auth, NamedAuth
from tidewaiter.providers.spec.auth_spec import Seconds
from tidewaiter.providers.spec.field_types import (
    HANDLE_IS,
    KEPT,
    Items,
    Name,
    OneOrMore,
    Picks,
    SpecTable,
    Text,
)
from tidewaiter.providers.spec.limits_spec import LimitsSpec
from tidewaiter.providers.spec.origin_spec import OriginSpec
from tidewaiter.providers.spec.parameter_spec import ParameterSpec, check_names
from tidewaiter.providers.spec.reply_spec import ReplySpec
from tidewaiter.providers.spec.request_spec import RuleSpec
from tidewaiter.providers.spec.results_spec import ResultsSpec
from tidewaiter.providers.spec.schedule_specs import AgainSpec, CallbackSpec, ScheduleSpec
from tidewaiter.providers.spec.stage_specs import BeforeSpec, StartSpec
from tidewaiter.providers.spec.step_specs import (
    AdoptSpec,
    CancelSpec,
    CleanupSpec,
    PollSpec,
    ProbeSpec,
    ReuseSpec,
    SubmitSpec,
)
from tidewaiter.providers.spec.value_spec import SettingSpec


class AnswersSpec(SpecTable):
    """Jobs with the same parameters share one result, because the provider would give the same one again.

    For operations whose result comes at once: there is no submit, or each has a rule that says ``ready`` and
    ``results`` are inline. Jobs of an account share a result if all other parameters are equal. Each job gets a copy of
    the file in its own folder.
    """

    fresh_s: Seconds = Field(description="seconds for which the API's result stays the same; less than `deadline_s`")
    newer: Name | None = Field(
        default=None,
        description="the name of a boolean parameter: a job for which it is true waits `fresh_s`, and shares "
        "no older result",
    )


class OperationSpec(SpecTable):
    """One kind of export of the provider."""

    title: Text = Field(description="what it is, for people")
    like: Name | None = Field(
        default=None,
        description="the name of another operation, whose tables are used unless they are given here. "
        "`params` are merged, other tables are replaced as a whole",
    )
    repeatable: bool = Field(
        default=False, description="a second remote job does no harm: see [repeatable](index.md#repeatable)"
    )
    media_type: Text | None = Field(
        default=None, description="of the files, if the API does not give it; it decides the extension of file names"
    )
    reply: ReplySpec | None = Field(default=None, description="how the bodies of its replies are read")
    params: Mapping[Name, ParameterSpec] = Field(default={}, description="what a job may say")
    schedule: ScheduleSpec = Field(default=ScheduleSpec(), description="when to poll")
    callback: CallbackSpec | None = Field(default=None, description="when to poll if the API can call back")
    answers: AnswersSpec | None = Field(default=None, description="jobs with the same parameters share one result")
    again: AgainSpec | None = Field(
        default=None,
        description="when a job is submitted again after a rule that says `again`; without it 3 times, after 10, 20 "
        "and 40 minutes",
    )
    reuse: OneOrMore[ReuseSpec] = Field(
        default=(), description="how to find a remote job of the same question, which is used in place of a new one"
    )
    before: OneOrMore[BeforeSpec] = Field(
        default=(), description="requests before the submit, which may be repeated, such as an upload"
    )
    submit: OneOrMore[SubmitSpec] = Field(
        default=(),
        description="the request for the export; without any the results are requested at once, and nothing "
        "is submitted",
    )
    adopt: OneOrMore[AdoptSpec] = Field(
        default=(), description="how to find the remote job of a submit without a clear answer"
    )
    start: OneOrMore[StartSpec] = Field(
        default=(), description="requests after the submit that start the remote job, each sent once"
    )
    poll: OneOrMore[PollSpec] = Field(
        default=(), description="the request for the status; required if a submit has a handle"
    )
    results: OneOrMore[ResultsSpec] = Field(min_length=1, description="where the files are")
    cancel: OneOrMore[CancelSpec] = Field(default=(), description="the request that stops the remote job")
    cleanup: OneOrMore[CleanupSpec] = Field(default=(), description="the request that deletes the remote job")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        check_names(self.params, "parameters")
        return self

    @model_validator(mode="after")
    def _learns_by_parameters(self) -> Self:
        if unknown := [name for name in self.schedule.learn_by if name not in self.params]:
            known = ", ".join(self.params) or "none"
            raise ValueError(f"schedule.learn_by names {unknown[0]}, which is no parameter (there are: {known})")
        return self

    @model_validator(mode="after")
    def _stall_after_longest_wait(self) -> Self:
        stall_s = self.schedule.stall_s
        if self.callback is not None and stall_s is not None and stall_s <= self.callback.cap_s:
            raise ValueError("schedule.stall_s is not more than callback.cap_s, so one poll could look like a stall")
        return self

    @model_validator(mode="after")
    def _answers_can_be_shared(self) -> Self:
        answers = self.answers
        if answers is None:
            return self
        if answers.newer is not None and not self._is_boolean(answers.newer):
            raise ValueError(f"answers.newer names {answers.newer}, which is no boolean parameter")
        if not all(self._is_answered(submit) for submit in self.submit):
            raise ValueError("answers need submits that may be ready at once, and results that are inline")
        if any(param.secret for param in self.params.values()):
            raise ValueError("answers are shared by jobs with the same parameters, so none of them can be secret")
        if self.before or self.start:
            raise ValueError("answers are of one request, so there can be no before and no start")
        if answers.fresh_s >= self.schedule.deadline_s:
            raise ValueError("answers.fresh_s is not less than schedule.deadline_s, so a job would expire waiting")
        return self

    @model_validator(mode="after")
    def _reuse_knows_newer(self) -> Self:
        for reuse in self.reuse:
            if reuse.newer is not None and not self._is_boolean(reuse.newer):
                raise ValueError(f"reuse.newer names {reuse.newer}, which is no boolean parameter")
        return self

    def _is_boolean(self, name: str) -> bool:
        param = self.params.get(name)
        return param is not None and param.type == "boolean"

    def _is_answered(self, submit: SubmitSpec) -> bool:
        ready = any("ready" in (rule.then, *rule.words.values()) for rule in submit.rules)
        return ready and all(results.inline for results in self.results)

    @model_validator(mode="after")
    def _again_is_used(self) -> Self:
        says = any("again" in (rule.then, *rule.words.values()) for rule in self._rules())
        if says and not self.submit:
            raise ValueError("without submit nothing can be submitted again: rules say pending or retry in its place")
        if self.again is None:
            return self
        if not says:
            raise ValueError('again is never used, because no rule of submit, poll or results says then = "again"')
        if self.again.wait_s >= self.schedule.deadline_s:
            raise ValueError(
                f"again.wait_s ({self.again.wait_s:g}) is not less than schedule.deadline_s "
                f"({self.schedule.deadline_s:g}), so no job would be submitted again: raise the deadline"
            )
        return self

    def _rules(self) -> Iterator[RuleSpec]:
        for submit in self.submit:
            yield from submit.rules
        for start in self.start:
            yield from start.rules
        for poll in self.poll:
            yield from poll.rules
        for results in self.results:
            yield from results.rules
            yield from () if results.pages is None else results.pages.rules

    @model_validator(mode="after")
    def _can_end(self) -> Self:
        if not self.submit:
            self._check_without_submit()
        inline = all(results.inline for results in self.results)
        for submit in self.submit:
            self._check_submit(submit, inline=inline)
        self._check_polls()
        if self.reuse and not self.poll:
            raise ValueError("reuse finds a remote job, so there must be a poll that asks for it")
        return self

    def _check_polls(self) -> None:
        """Each poll says when the job is ready, unless its replies choose another one that does."""
        ready = [any("ready" in (rule.then, *rule.words.values()) for rule in poll.rules) for poll in self.poll]
        chosen = [not {KEPT, HANDLE_IS}.isdisjoint(poll.when) for poll in self.poll]
        leads_on = any(one and other for one, other in zip(ready, chosen, strict=True))
        if not all(ready) and not leads_on:
            raise ValueError("poll needs a rule that says when the job is ready")

    def _check_without_submit(self) -> None:
        if any(results.inline or (results.files and not results.lists) for results in self.results):
            raise ValueError("without submit, results need url, download, lists, pages or resolve")
        if any(results.while_running is not None for results in self.results):
            raise ValueError("while_running is for a remote job that is polled, and without submit there is none")
        if any(one.first for results in self.results for one in results.lists):
            raise ValueError("lists.first is the reply to a poll, and without submit there is none")
        if self.start:
            raise ValueError("without submit there is no remote job to start: make start a before, or add a submit")
        if self.adopt or self.reuse or self.poll or self.cancel or self.cleanup:
            raise ValueError("without submit there is no remote job to adopt, reuse, poll, cancel or clean up")

    def _check_submit(self, submit: SubmitSpec, *, inline: bool) -> None:
        ready = any("ready" in (rule.then, *rule.words.values()) for rule in submit.rules)
        if ready and not inline and not submit.names_handle:
            raise ValueError("a submit that is ready at once, and has no handle, needs results that are inline")
        if not submit.names_handle and not ready:
            raise ValueError("submit needs handle, or a rule that says when its reply is the result")
        if submit.names_handle and not self.poll:
            raise ValueError("submit has a handle, so there must be a poll that uses it")


class ExampleSignature(SpecTable):
    """The signature of a request, for an account that signs: at a fixed time, so that it can be compared.

    Take it from the API's documentation, or from another program that signs. A key that is not given is not compared.
    """

    at: float = Field(default=1_700_000_000.0, description="when the request is signed, in epoch seconds")
    nonce: Text = Field(default="example-nonce", description="the value of `${nonce}`")
    string_to_sign: str | None = Field(default=None, description="the text that is signed")
    url: Text | None = Field(default=None, description="the whole address, with what the signature adds to its query")
    headers: Mapping[str, str] = Field(default={}, description="header fields; others are not compared")


class ExampleRequest(SpecTable):
    """The request that a step must build; a key that is not given is not compared."""

    method: Text | None = Field(default=None, description="the method")
    url: Text = Field(description="the whole address, with its query, without credentials")
    headers: Mapping[str, str] = Field(default={}, description="header fields")
    body: JsonValue = Field(default=None, alias="json", description="the body as JSON")
    form: Mapping[str, str] = Field(default={}, description="fields of the form that is sent; others are not compared")
    multipart: Mapping[str, str] = Field(
        default={},
        description="parts of the body that is sent: the text of each by its name, for `from_file` and `from_job` "
        "its path or job; others are not compared",
    )
    text: str | None = Field(default=None, description="the body as text")
    signed: ExampleSignature | None = Field(default=None, description="the request with its signature")


class ExampleReply(SpecTable):
    """A recorded reply, its body as JSON or as text."""

    status: int = Field(ge=100, le=599, description="the status code")
    headers: Mapping[str, str | Items[str]] = Field(
        default={}, description="header fields; the value of a repeated field is an array"
    )
    body: JsonValue = Field(default=None, alias="json", description="the body as JSON")
    text: str | None = Field(default=None, description="the body as text")
    url: str = Field(
        default="",
        description="its address, after redirects; the base of relative URLs in it. Without it `base_url` is used",
    )


class ExampleLink(SpecTable):
    """The link that a file reply belongs to."""

    url: Text = Field(description="its address")
    send_auth: bool = Field(default=True, description="whether the credentials were sent with it")


class ExamplePage(SpecTable):
    """The position of a page of a paged result, of adopt, or of reuse."""

    number: int = Field(default=1, ge=1, description="its number")
    offset: int = Field(default=0, ge=0, description="the number of items before it")
    next: Text | None = Field(default=None, description="the cursor or URL from the page before")


class Example(SpecTable):
    """A recorded exchange and its expected outcome; ``tidewaiter providers test`` runs it.

    At least a ``request``, or a ``reply`` with ``outcome``. A body is given as ``json`` or as ``text``. A key that is
    not given is not compared.
    """

    name: Text = Field(description="what it shows")
    operation: Name | None = Field(
        default=None, description="the name of one; required except for `login`, `renew` and `probe`"
    )
    step: Literal[
        "before", "submit", "adopt", "reuse", "start", "poll", "resolve", "list", "page", "file", "cancel", "cleanup",
        "login", "renew", "probe",
    ] = Field(description="which request and reply it is about")  # fmt: skip
    stage: Name | None = Field(default=None, description="the name of the step, for `before` and `start`")
    account: Mapping[str, JsonValue] = Field(default={}, description="settings; they replace the `example` values")
    params: Mapping[str, JsonValue] = Field(default={}, description="parameters; they replace the `example` values")
    handle: Text | None = Field(
        default=None, description="the remote job's handle; every step after the submit needs one"
    )
    kept: Mapping[str, str] = Field(default={}, description="the values that the job keeps already")
    callback_url: Text | None = Field(default=None, description="the value of `${callback_url}`")
    link: ExampleLink | None = Field(default=None, description="for the reply of a file: the link that was followed")
    page: ExamplePage = Field(
        default=ExamplePage(),
        description="for a page of `results.pages`, `results.lists`, `adopt` or `reuse`",
    )
    list: int = Field(default=1, ge=1, description="for the step `list`: which one of `results.lists`, from 1")
    item: Mapping[Name, JsonValue] = Field(
        default={}, description="for the step `list`: the values of the items of the lists above"
    )
    request: ExampleRequest | None = Field(default=None, description="the expected request")
    login: Mapping[Name, str] = Field(
        default={}, description="values of the login, for `${login.NAME}` in the expected request"
    )
    claims: Mapping[str, JsonValue] = Field(
        default={}, description="claims of the token that the step `login` signs; others are not compared"
    )
    reply: ExampleReply | None = Field(default=None, description="the recorded reply")
    outcome: Mapping[str, JsonValue] | None = Field(
        default=None,
        description="[the outcome](#the-outcomes-of-examples) as `is`, and the fields that are compared; of "
        "`reason` and `excerpt` a part is enough",
    )

    @model_validator(mode="after")
    def _has_request_or_reply(self) -> Self:
        if (self.operation is None) != (self.step in ("login", "renew", "probe")):
            raise ValueError("needs an operation, unless its step is login, renew or probe, which belong to none")
        if self.stage is None and self.step in ("before", "start"):
            raise ValueError(f"needs stage, the name of the request of {self.step} that it shows")
        if self.stage is not None and self.step not in ("before", "start"):
            raise ValueError(f"has a stage, which only the steps before and start have; its step is {self.step}")
        if (self.reply is None) != (self.outcome is None):
            raise ValueError("reply and outcome belong together")
        if self.claims and self.step != "login":
            raise ValueError("claims are those of the token that a login signs, so the step must be login")
        if self.request is None and self.reply is None and not self.claims:
            raise ValueError("needs a request, or a reply and its outcome")
        if self.step == "file" and self.reply is not None and self.link is None:
            raise ValueError("a file's reply needs the link that was followed")
        if self.step == "renew" and self.request is not None:
            raise ValueError("renew reads a reply to any request, and sends none")
        return self


class ProviderSpec(SpecTable):
    """A spec file: one remote API."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)] = Field(
        description="the name in accounts: lower-case letters, digits and `-`"
    )
    title: Text = Field(description="the name for people")
    documentation: OneOrMore[Text] = Field(default=(), description="the addresses where the API is described")
    verified: Literal["documentation", "emulator", "server"] | None = Field(
        default=None,
        description="how it is known that the spec is right: it was written from the `documentation` and its examples "
        "hold, it was run against an `emulator` of the API, or against a `server` of it",
    )
    base_url: OneOrMore[Text] = Field(
        min_length=1,
        description="the base of URLs that begin with `/`; the first whose settings all have a value counts. "
        "The account's credentials are sent to its scheme, host and port, and to those of `origins`",
    )
    account: Mapping[Name, SettingSpec] = Field(default={}, description="the settings of an account")
    auth: OneOrMore[Auth] = Field(default=(), description="how to authenticate; without it there is no authentication")
    auths: Mapping[Name, NamedAuth] = Field(
        default={}, description="fixed credentials, for the requests and origins that name them"
    )
    origins: Mapping[Name, OriginSpec] = Field(
        default={}, description="more origins of the provider; every other gets no credentials"
    )
    probe: ProbeSpec | None = Field(default=None, description="a request that shows whether an account works")
    limits: LimitsSpec = Field(default=LimitsSpec(), description="what the API permits")
    reply: ReplySpec = Field(default=ReplySpec(), description="how the bodies of replies are read: JSON or XML")
    error: Picks = Field(default=(), description="the place of the API's message in an error reply")
    operations: Mapping[Name, OperationSpec] = Field(min_length=1, description="what can be asked for")
    examples: Items[Example] = Field(default=(), description="recorded exchanges, which are tested")


def spec_schema() -> JsonObject:
    """The JSON Schema of a spec file, for editors."""
    # Descriptions are Markdown with links into the reference, which lead nowhere in an editor.
    text = re.sub(r"\[([^\]\[]+)\]\([^)\s]+\)", r"\1", json.dumps(ProviderSpec.model_json_schema(by_alias=True)))
    schema: JsonObject = json.loads(text)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
