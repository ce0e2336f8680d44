"""The whole of a spec file: a provider, its accounts, its operations and its examples."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from app.domain.jsonvalue import JsonObject
from app.providers.spec.fields import HeaderName, Items, Name, OneOrMore, Picks, Table, Text, Variant
from app.providers.spec.steps import CancelSpec, CleanupSpec, PollSpec, ResultsSpec, SubmitSpec
from app.providers.spec.values import Parameter, Setting

Seconds = Annotated[float, Field(gt=0)]


class NoAuth(Variant):
    """Nothing proves the account."""

    type: Literal["none"]


class BasicAuth(Variant):
    """HTTP Basic. Source: RFC 7617."""

    type: Literal["basic"]
    username: Text
    password: Text


class BearerAuth(Variant):
    """A token in ``Authorization: Bearer``. Source: RFC 6750."""

    type: Literal["bearer"]
    token: Text


class HeaderAuth(Variant):
    """A key in a header of its own."""

    type: Literal["header"]
    name: HeaderName
    value: Text


class QueryAuth(Variant):
    """A key in the query of every URL."""

    type: Literal["query"]
    name: Text
    value: Text


Auth = Annotated[NoAuth | BasicAuth | BearerAuth | HeaderAuth | QueryAuth, Field(discriminator="type")]


class LimitsSpec(Table):
    """What an account may ask of the provider, where the operator does not say otherwise."""

    requests: int | None = Field(default=None, ge=1, description="in any window of period_s; without it no such limit")
    period_s: Seconds = 60.0
    spacing_s: float = Field(default=0.0, ge=0, description="at least this long between two requests")
    concurrency: int = Field(default=64, ge=1, description="requests in flight")


class ScheduleSpec(Table):
    """When a remote job is asked after, in seconds, where the operator and the provider do not say otherwise."""

    first_delay_s: float = Field(default=5.0, ge=0, description="from the submit to the first poll")
    interval_s: Seconds = 10.0
    factor: float = Field(default=1.5, ge=1, description="by which the interval grows with every poll")
    cap_s: Seconds = Field(default=300.0, description="up to which it grows")
    deadline_s: Seconds = Field(default=86_400.0, description="after which a job expires")
    gone_grace_s: float = Field(default=60.0, ge=0, description="how long after a submit a 404 is believed to be lag")
    retry_after_floor_s: float = Field(default=1.0, ge=0, description="a Retry-After is never less than this")
    retry_after_cap_s: Seconds = Field(default=3600.0, description="and never more")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.cap_s < self.interval_s:
            raise ValueError("cap_s is less than interval_s")
        return self


class OperationSpec(Table):
    """One thing that the provider can be asked for."""

    title: Text
    repeatable: bool = Field(default=False, description="a second submit of the same job does no harm")
    media_type: Text | None = Field(default=None, description="of the files, where the provider does not tell")
    params: Mapping[Name, Parameter] = {}
    schedule: ScheduleSpec = ScheduleSpec()
    submit: OneOrMore[SubmitSpec] = Field(min_length=1)
    poll: OneOrMore[PollSpec] = ()
    results: OneOrMore[ResultsSpec] = Field(min_length=1)
    cancel: OneOrMore[CancelSpec] = ()
    cleanup: OneOrMore[CleanupSpec] = ()

    @model_validator(mode="after")
    def _comes_to_an_end(self) -> Self:
        inline = all(results.inline for results in self.results)
        for submit in self.submit:
            ready = any("ready" in (rule.then, *rule.words.values()) for rule in submit.rules)
            if ready and not inline:
                raise ValueError("a submit that is ready at once needs results that are inline")
            if not submit.handle and not ready:
                raise ValueError("submit needs handle, or a rule that says when its reply is the result")
            if submit.handle and not self.poll:
                raise ValueError("submit has a handle, so there must be a poll that uses it")
        for poll in self.poll:
            if not any("ready" in (rule.then, *rule.words.values()) for rule in poll.rules):
                raise ValueError("poll needs a rule that says when the job is ready")
            if inline and poll.method != "GET":
                raise ValueError("results that are inline need a poll by GET, because a large one is fetched again")
        return self


class ExampleRequest(Table):
    """The request that a step must build; what is not given is not compared."""

    method: Text | None = None
    url: Text
    headers: Mapping[str, str] = {}
    body: JsonValue = Field(default=None, alias="json")
    text: str | None = None


class ExampleReply(Table):
    """A recorded reply, its body as JSON or as text."""

    status: int = Field(ge=100, le=599)
    headers: Mapping[str, str] = {}
    body: JsonValue = Field(default=None, alias="json")
    text: str | None = None
    url: str = Field(default="", description="where the reply came from, after redirects")


class ExampleLink(Table):
    """The link of which a file reply speaks."""

    url: Text
    send_auth: bool = True


class Example(Table):
    """A recorded exchange and what it must come to; ``tidewaiter providers test`` runs it.

    ``outcome`` names the outcome (``is``) and those of its fields that are compared; of ``reason`` and ``excerpt`` a
    part is enough. A file that is to be landed is ``is = "File"``, the links of a resolve are ``is = "Links"``.
    """

    name: Text
    operation: Name
    step: Literal["submit", "poll", "resolve", "file", "cancel", "cleanup"]
    account: Mapping[str, JsonValue] = {}
    params: Mapping[str, JsonValue] = {}
    handle: Text | None = None
    callback_url: Text | None = None
    link: ExampleLink | None = None
    request: ExampleRequest | None = None
    reply: ExampleReply | None = None
    outcome: Mapping[str, JsonValue] | None = None

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        if (self.reply is None) != (self.outcome is None):
            raise ValueError("reply and outcome belong together")
        if self.request is None and self.reply is None:
            raise ValueError("needs a request, or a reply and its outcome")
        if self.step == "file" and self.reply is not None and self.link is None:
            raise ValueError("a file's reply needs the link that was followed")
        return self


class ProviderSpec(Table):
    """A spec file."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
    title: Text
    documentation: OneOrMore[Text] = Field(default=(), description="where the API is described")
    base_url: Text = Field(description="what URLs that begin with / follow; ${account.x} is substituted")
    account: Mapping[Name, Setting] = {}
    auth: OneOrMore[Auth] = ()
    limits: LimitsSpec = LimitsSpec()
    error: Picks = Field(default=(), description="where the provider's message stands in a reply that is an error")
    operations: Mapping[Name, OperationSpec] = Field(min_length=1)
    examples: Items[Example] = ()


def spec_schema() -> JsonObject:
    """The JSON Schema of a spec file, for editors."""
    schema: JsonObject = ProviderSpec.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
