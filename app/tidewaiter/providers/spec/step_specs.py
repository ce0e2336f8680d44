"""The steps of an operation with the provider: submit, search, poll, cancel, clean up; and the probe of an account."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from tidewaiter.providers.spec.field_types import (
    Code,
    Expression,
    Items,
    Keep,
    Name,
    OneOrMore,
    Picks,
    PickSpec,
    Scalar,
    SpecVariant,
    Text,
)
from tidewaiter.providers.spec.list_spec import PageSpec
from tidewaiter.providers.spec.request_spec import RequestSpec, RuleSpec, Words

_LONGEST_AGE_S = 100_000_000.0

SubmitEffect = Literal[
    "accepted", "ready", "empty", "duplicate", "again", "refused", "throttled", "unauthorized", "unsent", "unknown"
]
PollEffect = Literal[
    "pending",
    "running",
    "ready",
    "partial",
    "empty",
    "failed",
    "again",
    "cancelled",
    "gone",
    "retry",
    "throttled",
    "unauthorized",
]


class SubmitRule(RuleSpec):
    """What a reply to a submit means. Without a rule, 2xx with a handle is ``accepted``."""

    then: SubmitEffect | None = None
    words: Words[SubmitEffect] = Field(default={})


class PollRule(RuleSpec):
    """What a reply to a poll means."""

    then: PollEffect | None = None
    words: Words[PollEffect] = Field(default={})


EndingEffect = Literal["done", "retry", "refused", "throttled", "unauthorized"]


class EndingRule(RuleSpec):
    """What a reply to a cancel or cleanup means. Without a rule, 2xx is done; the rest has its common meaning."""

    then: EndingEffect | None = None
    words: Words[EndingEffect] = Field(default={})


ProbeEffect = Literal["healthy", "unauthorized", "failed"]


class ProbeRule(RuleSpec):
    """What a reply to a probe means; without a rule, 2xx is healthy, other replies have their common meaning."""

    then: ProbeEffect | None = None
    words: Words[ProbeEffect] = Field(default={})


class ProbeSpec(RequestSpec):
    """One request that changes nothing and shows whether an account works."""

    method: Literal["GET", "POST"] = "GET"
    rules: Items[ProbeRule] = Field(
        default=(), description="what the reply means; without a rule that holds a 2xx is `healthy`"
    )


class ProgressSpec(PickSpec):
    """The progress of the remote job: a number or text in the reply, or ``done`` of ``total``."""

    done: Expression | None = Field(
        default=None, description="JMESPath: how much is done; only with `total`, shown as `120/4000`"
    )
    total: Expression | None = Field(default=None, description="JMESPath: how much there is to do")

    def _check_source(self) -> None:
        if self.done is None and self.total is None:
            super()._check_source()
        elif self.done is None or self.total is None or self.model_fields_set - {"done", "total"}:
            raise ValueError("done and total belong together, without any other key")


class RetryAfterSpec(PickSpec):
    """How long a reply asks to wait. Without a source, the header Retry-After itself is exact."""

    exact: bool = Field(
        default=False,
        description="this value replaces our own schedule. `retry_after = { exact = true }`, without a "
        "source, is for the header, also in the submit's reply",
    )
    unit: Literal["s", "ms", "text"] = Field(
        default="s",
        description="of the value: `s`, seconds, an HTTP-date or a date of ISO 8601; `ms`, milliseconds; `text`, a "
        'text with a duration, such as "try again in 5 minutes" or "PT5M". Numbers from a billion on are points in '
        "time",
    )

    @property
    def names_value(self) -> bool:
        """Whether it names a value other than the header Retry-After."""
        return bool(self.model_fields_set - {"exact", "unit"})

    def _check_source(self) -> None:
        if "unit" in self.model_fields_set and not self.names_value:
            raise ValueError("unit is for a value that json, header or text names; that of Retry-After is known")
        if self.names_value or not self.exact:
            super()._check_source()


class SubmitSpec(RequestSpec, SpecVariant):
    """The request that makes a remote job.

    Without ``handle`` and ``handle_from`` a rule must say when the reply is the result itself.
    """

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    repeatable: bool | None = Field(
        default=None,
        description="for this variant, if it differs from the operation: see [repeatable](index.md#repeatable)",
    )
    handle: Picks = Field(default=(), description="the handle of the remote job, at most 2048 characters")
    handle_from: Text | None = Field(
        default=None, description="the handle as a template, for replies that do not name the remote job"
    )
    rules: Items[SubmitRule] = Field(
        default=(), description="what the reply means; without any, a 2xx with a handle is `accepted`"
    )
    keep: Keep = Field(
        default={}, description="values of the reply that are kept with the job, for the requests after it"
    )

    @property
    def names_handle(self) -> bool:
        """Whether it says what the handle of the remote job is."""
        return bool(self.handle) or self.handle_from is not None

    @model_validator(mode="after")
    def _one_handle(self) -> Self:
        if self.handle and self.handle_from is not None:
            raise ValueError("a submit has either handle or handle_from: remove one of them")
        return self


class PollSpec(RequestSpec, SpecVariant):
    """The request that polls a remote job. If ``handle`` is given, it is read from every reply."""

    rules: Items[PollRule] = Field(min_length=1, description="what the reply means; at least one says `ready`")
    progress: ProgressSpec | None = Field(
        default=None, description="how far the remote job is, for people and for `stall_s`"
    )
    retry_after: OneOrMore[RetryAfterSpec] = Field(
        default=(),
        description="the wait that the reply asks for, in the forms of a Retry-After; replaces the header "
        "Retry-After. The poll comes at the later of it and our own schedule",
    )
    handle: Picks = Field(
        default=(),
        description="a new handle, if the reply has one. The next poll uses it; from the reply that says "
        "ready, so do `results` and `cleanup`",
    )
    keep: Keep = Field(
        default={},
        description="values of the reply that are kept with the job, for the requests after it. The reply that says "
        "ready must have them, unless an earlier one had",
    )


class SearchSpec(PageSpec, SpecVariant):
    """A search for remote jobs in a list, page by page; ``handle`` is JMESPath on the item that was found."""

    items: Expression = Field(description="JMESPath to the array of items")
    match: Mapping[Expression, Scalar] = Field(
        default={}, description="JMESPath on an item, and the text that it must find; scalars count as text, trimmed"
    )
    where: Expression | None = Field(
        default=None, description="JMESPath that is true on the item; at least one of `match` and `where`"
    )
    handle: Expression = Field(description="JMESPath on the item: the remote job's handle")
    keep: Mapping[Name, Expression] = Field(
        default={}, description="JMESPath on the item: the values that replies before the first poll would have had"
    )

    @model_validator(mode="after")
    def _submits_nothing(self) -> Self:
        if any("again" in (rule.then, *rule.words.values()) for rule in self.rules):
            raise ValueError("a search submits nothing, so its rules cannot say again: use retry or pending")
        return self

    @model_validator(mode="after")
    def _has_criteria(self) -> Self:
        if not self.match and self.where is None:
            raise ValueError("needs match or where, or every item would match")
        return self


class AdoptSpec(SearchSpec):
    """The search for the remote job of a submit without a clear answer: in a list, page by page.

    An item matches if every expression of ``match`` finds its text (scalars as text, without surrounding spaces), and
    ``where`` is true. A template of ``match`` without a value is ignored.
    """

    lag_s: float = Field(
        default=120.0, ge=0, description="for how many seconds after a submit the list may lack its remote job"
    )
    absent: Literal["repeat", "park"] = Field(
        default="repeat",
        description="what to do if it is not in the list after that: `repeat` submits again, `park` parks the job",
    )
    match_all: bool = Field(
        default=False,
        description="a job without a value for all of `match`, such as an optional title, is parked; by "
        "default only the values that it has are compared",
    )


class ReuseSpec(SearchSpec):
    """The search, before a submit, for a remote job of the same question that has finished or is running.

    An item matches if every expression of ``match`` finds the value of its template, and ``where`` is true. Scalars are
    compared as text, times also as points in time, arrays and objects as JSON. A template without a value matches an
    item in which the expression finds nothing. Every parameter of the submit must be in ``match``, ``only_without`` or
    ``ignores``.

    The newest match on the first page with one is used, if it is not older than ``within_s``. The search can only save
    a submit: if it fails, or the remote job that it found fails, the job is submitted.
    """

    created: Expression = Field(
        description="JMESPath on the item: when it was made, as epoch seconds or milliseconds, or ISO 8601"
    )
    within_s: float = Field(
        gt=0,
        le=_LONGEST_AGE_S,
        description="seconds; an item that was made longer ago is not reused. `${page.since}` is that time, in UTC. "
        "An account may replace it in `[accounts.NAME.schedule] reuse_within_s`",
    )
    newer: Name | None = Field(
        default=None, description="the name of a boolean parameter: a job for which it is true reuses nothing"
    )
    only_without: Items[Name] = Field(
        default=(),
        description="names of parameters of the submit that the list does not show: a job with a value for one of them "
        "reuses nothing",
    )
    ignores: Items[Name] = Field(
        default=(), description="names of parameters of the submit that do not change the result"
    )
    most_pages: int = Field(default=10, ge=1, description="how many pages are looked through")


class CancelSpec(RequestSpec, SpecVariant):
    """The request that stops the remote job. 2xx, 404, 410 and the codes of ``done`` mean that it has stopped."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "DELETE"
    done: Items[Code] = Field(default=(), description="more status codes that mean that the remote job has ended")
    rules: Items[EndingRule] = Field(default=(), description="what the reply means")


class CleanupSpec(CancelSpec):
    """The request that deletes the remote job after its files have landed, if the account uses it."""

    by_default: bool = Field(default=False, description="delete unless the account says otherwise")
