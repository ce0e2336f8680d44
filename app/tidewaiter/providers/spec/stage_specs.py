"""The requests before the submit, and those after it that start the remote job."""

from typing import Literal

from pydantic import Field

from tidewaiter.providers.spec.field_types import Items, Keep, Name, SpecVariant
from tidewaiter.providers.spec.request_spec import RequestSpec, RuleSpec, Words

BeforeEffect = Literal["done", "pending", "refused", "retry", "throttled", "unauthorized"]
StartEffect = Literal["done", "refused", "throttled", "unauthorized", "unsent", "unknown", "gone", "again"]


class BeforeRule(RuleSpec):
    """What a reply to a request before the submit means. ``pending``: ask again later.

    Without a rule, 2xx is ``done``; other replies have their common meaning.
    """

    then: BeforeEffect | None = None
    words: Words[BeforeEffect] = Field(default={})


class StartRule(RuleSpec):
    """What a reply to a request that starts the remote job means. ``unsent``: it was not processed, and is sent again.

    ``again``: the whole job is submitted again, later. Without a rule, 2xx is ``done``, 404 and 410 are ``gone``, and
    every other reply means what it means for a submit.
    """

    then: StartEffect | None = None
    words: Words[StartEffect] = Field(default={})


class StageSpec(RequestSpec, SpecVariant):
    """What the requests before and after the submit have in common: a name, and values that are kept."""

    name: Name = Field(description="of the step, in the history and in messages; each step of an operation has its own")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    keep: Keep = Field(
        default={}, description="values of the reply that are kept with the job, for the requests after it"
    )


class BeforeSpec(StageSpec):
    """A request before the submit, such as an upload. It may be repeated, so a repetition must do no harm.

    Several are sent in their order; one whose ``when`` does not hold is left out.
    """

    rules: Items[BeforeRule] = Field(default=(), description="what the reply means; without any, a 2xx is `done`")


class StartSpec(StageSpec):
    """A request after the submit that starts the remote job, before the first poll. Each is sent once.

    Several are sent in their order; one whose ``when`` does not hold is left out.
    """

    repeatable: bool = Field(
        default=False, description="a second one does no harm; else a person decides if its outcome is unknown"
    )
    rules: Items[StartRule] = Field(default=(), description="what the reply means; without any, a 2xx is `done`")
