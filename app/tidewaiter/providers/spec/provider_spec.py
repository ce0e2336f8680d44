"""The whole of a spec file: a provider, its accounts, its operations and its examples."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from tidewaiter.domain.http_values import JsonObject
from tidewaiter.providers.account_overrides import LimitsOverride
from tidewaiter.providers.spec.auth_spec import Auth, Seconds
from tidewaiter.providers.spec.field_types import HeaderName, Items, Name, OneOrMore, Picks, SpecTable, Text
from tidewaiter.providers.spec.parameter_spec import ParameterSpec, check_names
from tidewaiter.providers.spec.reply_spec import ReplySpec
from tidewaiter.providers.spec.results_spec import ResultsSpec
from tidewaiter.providers.spec.step_specs import AdoptSpec, CancelSpec, CleanupSpec, PollSpec, ProbeSpec, SubmitSpec
from tidewaiter.providers.spec.value_spec import SettingSpec


class LimitHeadersSpec(SpecTable):
    """Headers with the rest of the provider's limit, on every reply."""

    limit: HeaderName | None = Field(default=None, description="how many requests it permits; shown to people")
    remaining: HeaderName | None = Field(default=None, description="how many of them are left")
    reset: HeaderName = Field(description="when the limit is reset")
    reset_is: Literal["epoch", "seconds"] = Field(default="epoch", description="a time, or the seconds until then")


class LimitsSpec(LimitsOverride):
    """The limits of an account, unless the operator sets others, and the headers that report them.

    Without these keys nothing is limited but the requests in flight (64); a period has 60 seconds.
    """

    model_config = ConfigDict(strict=True)

    headers: LimitHeadersSpec | None = None


class ScheduleSpec(SpecTable):
    """When a remote job is polled, in seconds, unless the operator or the provider says otherwise."""

    first_delay_s: float = Field(default=5.0, ge=0, description="from the submit to the first poll")
    interval_s: Seconds = 10.0
    factor: float = Field(default=1.5, ge=1, description="by which the interval grows with every poll")
    cap_s: Seconds = Field(default=300.0, description="the longest interval")
    deadline_s: Seconds = Field(default=86_400.0, description="after which a job expires")
    stall_s: Seconds | None = Field(default=None, description="after which a job that shows no progress expires")
    gone_grace_s: float = Field(default=60.0, ge=0, description="how long after a submit a 404 counts as lag")
    links_expire_s: Seconds = Field(default=3600.0, description="after which a job fails if its links never work")
    retry_after_floor_s: float = Field(default=1.0, ge=0, description="the least that a Retry-After counts")
    retry_after_cap_s: Seconds = Field(default=3600.0, description="the most that a Retry-After counts")
    most_unknown: int = Field(
        default=5, ge=1, description="after so many submits in a row with an unknown outcome the job is parked"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.cap_s < self.interval_s:
            raise ValueError("cap_s is less than interval_s")
        if self.stall_s is not None and self.stall_s <= self.cap_s:
            raise ValueError("stall_s is not more than cap_s, so one poll could look like a stall")
        if self.retry_after_cap_s < self.retry_after_floor_s:
            raise ValueError("retry_after_cap_s is less than retry_after_floor_s")
        return self


class CallbackSpec(SpecTable):
    """The slower schedule, in seconds, of a job whose submit sent ``${callback_url}``.

    Callbacks get lost, so polling continues, and no wait is longer than half of the time before the deadline.
    """

    first_delay_s: float = Field(default=300.0, ge=0, description="from the submit to the first poll")
    interval_s: Seconds = 600.0
    factor: float = Field(default=1.5, ge=1, description="by which the interval grows with every poll")
    cap_s: Seconds = Field(default=3600.0, description="the longest interval")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.cap_s < self.interval_s:
            raise ValueError("cap_s is less than interval_s")
        return self


class AnswersSpec(SpecTable):
    """Jobs with the same parameters share one result, because the provider would give the same one again."""

    fresh_s: Seconds = Field(description="how long the provider's result stays the same")
    newer: Name | None = Field(default=None, description="the parameter of a job that needs newer data")


class OperationSpec(SpecTable):
    """One kind of export of the provider."""

    title: Text
    like: Name | None = Field(
        default=None, description="another operation; its tables are used unless they are given here"
    )
    repeatable: bool = Field(default=False, description="a second submit of the same job does no harm")
    media_type: Text | None = Field(default=None, description="of the files, if the provider does not give it")
    reply: ReplySpec | None = Field(default=None, description="how the bodies of its replies are read")
    params: Mapping[Name, ParameterSpec] = {}
    schedule: ScheduleSpec = ScheduleSpec()
    callback: CallbackSpec | None = Field(default=None, description="when to poll if the provider can call back")
    answers: AnswersSpec | None = None
    submit: OneOrMore[SubmitSpec] = Field(default=(), description="without any, the results are requested at once")
    adopt: OneOrMore[AdoptSpec] = ()
    poll: OneOrMore[PollSpec] = ()
    results: OneOrMore[ResultsSpec] = Field(min_length=1)
    cancel: OneOrMore[CancelSpec] = ()
    cleanup: OneOrMore[CleanupSpec] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        check_names(self.params, "parameters")
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
        newer = None if answers.newer is None else self.params.get(answers.newer)
        if answers.newer is not None and (newer is None or newer.type != "boolean"):
            raise ValueError(f"answers.newer names {answers.newer}, which is no boolean parameter")
        if not all(self._is_answered(submit) for submit in self.submit):
            raise ValueError("answers need submits that may be ready at once, and results that are inline")
        if answers.fresh_s >= self.schedule.deadline_s:
            raise ValueError("answers.fresh_s is not less than schedule.deadline_s, so a job would expire waiting")
        return self

    def _is_answered(self, submit: SubmitSpec) -> bool:
        ready = any("ready" in (rule.then, *rule.words.values()) for rule in submit.rules)
        return ready and all(results.inline for results in self.results)

    @model_validator(mode="after")
    def _can_end(self) -> Self:
        if not self.submit:
            self._check_without_submit()
        inline = all(results.inline for results in self.results)
        for submit in self.submit:
            self._check_submit(submit, inline=inline)
        for poll in self.poll:
            if not any("ready" in (rule.then, *rule.words.values()) for rule in poll.rules):
                raise ValueError("poll needs a rule that says when the job is ready")
        return self

    def _check_without_submit(self) -> None:
        if any(results.inline or results.files for results in self.results):
            raise ValueError("without submit, results need url, pages or resolve")
        if self.adopt or self.poll or self.cancel or self.cleanup:
            raise ValueError("without submit there is no remote job to adopt, poll, cancel or clean up")

    def _check_submit(self, submit: SubmitSpec, *, inline: bool) -> None:
        ready = any("ready" in (rule.then, *rule.words.values()) for rule in submit.rules)
        if ready and not inline and not submit.handle:
            raise ValueError("a submit that is ready at once, and has no handle, needs results that are inline")
        if not submit.handle and not ready:
            raise ValueError("submit needs handle, or a rule that says when its reply is the result")
        if submit.handle and not self.poll:
            raise ValueError("submit has a handle, so there must be a poll that uses it")


class ExampleRequest(SpecTable):
    """The request that a step must build; a key that is not given is not compared."""

    method: Text | None = None
    url: Text
    headers: Mapping[str, str] = {}
    body: JsonValue = Field(default=None, alias="json")
    form: Mapping[str, str] = Field(default={}, description="fields of the form; others are not compared")
    text: str | None = None


class ExampleReply(SpecTable):
    """A recorded reply, its body as JSON or as text."""

    status: int = Field(ge=100, le=599)
    headers: Mapping[str, str | Items[str]] = Field(default={}, description="a field that is repeated is an array")
    body: JsonValue = Field(default=None, alias="json")
    text: str | None = None
    url: str = Field(default="", description="where the reply came from, after redirects")


class ExampleLink(SpecTable):
    """The link that a file reply belongs to."""

    url: Text
    send_auth: bool = True


class ExamplePage(SpecTable):
    """The position of a page of a paged result, or of adopt."""

    number: int = Field(default=1, ge=1)
    offset: int = Field(default=0, ge=0)
    next: Text | None = Field(default=None, description="the cursor or URL from the page before")


class Example(SpecTable):
    """A recorded exchange and its expected outcome; ``tidewaiter providers test`` runs it.

    ``outcome`` names the outcome (``is``) and those of its fields that are compared; of ``reason`` and ``excerpt`` a
    part is enough. A file is ``is = "File"``, the links of a resolve are ``is = "Links"``, a page
    of a paged result is ``is = "Page"``, and what adopt finds on a page is ``is = "Matches"``. A login that succeeded
    is ``is = "Token"``, a probe ``is = "Healthy"``, and a reply that says that a token is not valid any more ``is =
    "Renew"``, else ``is = "Keep"``; those three steps belong to no operation.
    """

    name: Text
    operation: Name | None = None
    step: Literal["submit", "adopt", "poll", "resolve", "page", "file", "cancel", "cleanup", "login", "renew", "probe"]
    account: Mapping[str, JsonValue] = {}
    params: Mapping[str, JsonValue] = {}
    handle: Text | None = None
    callback_url: Text | None = None
    link: ExampleLink | None = None
    page: ExamplePage = ExamplePage()
    request: ExampleRequest | None = None
    reply: ExampleReply | None = None
    outcome: Mapping[str, JsonValue] | None = None

    @model_validator(mode="after")
    def _has_request_or_reply(self) -> Self:
        if (self.operation is None) != (self.step in ("login", "renew", "probe")):
            raise ValueError("needs an operation, unless its step is login, renew or probe, which belong to none")
        if (self.reply is None) != (self.outcome is None):
            raise ValueError("reply and outcome belong together")
        if self.request is None and self.reply is None:
            raise ValueError("needs a request, or a reply and its outcome")
        if self.step == "file" and self.reply is not None and self.link is None:
            raise ValueError("a file's reply needs the link that was followed")
        if self.step == "renew" and self.request is not None:
            raise ValueError("renew reads a reply to any request, and sends none")
        return self


class ProviderSpec(SpecTable):
    """A spec file."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
    title: Text
    documentation: OneOrMore[Text] = Field(default=(), description="where the API is described")
    base_url: OneOrMore[Text] = Field(
        min_length=1,
        description="the base of URLs that begin with /; the first whose settings ${account.x} all have a value",
    )
    account: Mapping[Name, SettingSpec] = {}
    auth: OneOrMore[Auth] = ()
    probe: ProbeSpec | None = None
    limits: LimitsSpec = LimitsSpec()
    reply: ReplySpec = Field(default=ReplySpec(), description="how the bodies of replies are read")
    error: Picks = Field(default=(), description="the place of the provider's message in an error reply")
    operations: Mapping[Name, OperationSpec] = Field(min_length=1)
    examples: Items[Example] = ()


def spec_schema() -> JsonObject:
    """The JSON Schema of a spec file, for editors."""
    schema: JsonObject = ProviderSpec.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
