"""Requests, rules and results: the tables that describe the steps of an operation."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias, TypeVar

from pydantic import AfterValidator, Field, JsonValue, model_validator

from tidewaiter.providers.spec.field_types import (
    Code,
    Codes,
    Expression,
    HeaderMatch,
    InvalidValueError,
    Items,
    Name,
    OneOrMore,
    Picks,
    PickSpec,
    Regex,
    Scalar,
    SentHeaderName,
    SpecTable,
    SpecVariant,
    Text,
)


def _url_template(value: str) -> str:
    if not value.startswith(("/", "${handle}")):
        raise InvalidValueError("must begin with / or with ${handle}")
    return value


def _distinct(words: Mapping[str, str]) -> Mapping[str, str]:
    folded = [word.strip().casefold() for word in words]
    twice = sorted({word for word in words if folded.count(word.strip().casefold()) > 1})
    if twice:
        raise InvalidValueError(f"has a word twice (spaces and case are ignored): {', '.join(twice)}")
    return words


UrlTemplate: TypeAlias = Annotated[str, AfterValidator(_url_template)]
Effect = TypeVar("Effect", bound=str)
Words: TypeAlias = Annotated[Mapping[str, Effect], AfterValidator(_distinct)]


class RequestSpec(SpecTable):
    """One request. Templates ``${...}`` are permitted in ``url``, ``query``, ``headers``, ``json`` and ``form``.

    A ``url`` that begins with ``/`` follows the base URL, and the values in it are percent-encoded. One that begins
    with ``${handle}`` is the handle itself, an absolute or relative URL, byte for byte. A key of ``query``,
    ``headers``, ``json`` or ``form`` is left out if its template has no value.
    """

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: UrlTemplate
    query: Mapping[str, Scalar] = {}
    headers: Mapping[SentHeaderName, str] = {}
    body: JsonValue = Field(default=None, alias="json")
    form: Mapping[str, Scalar] | None = None

    @model_validator(mode="after")
    def _sendable(self) -> Self:
        if self.body is not None and self.form is not None:
            raise ValueError("a request has either json or form")
        if self.method in ("GET", "HEAD") and (self.body is not None or self.form is not None):
            raise ValueError(f"a {self.method} request has no body")
        return self


class ConditionsSpec(SpecTable):
    """Conditions on a reply; all that are given must hold."""

    status: Codes = ("2xx",)
    expression: Expression | None = Field(default=None, alias="json", description="JMESPath that is true")
    header: HeaderMatch | None = None
    text: Regex | None = Field(default=None, description="a regex that is found in the body")


_SILENT = frozenset({"accepted", "done", "duplicate", "empty", "healthy", "partial", "pending", "ready", "running"})
"""Effects that are no error, so they have no reason."""


class RuleSpec(ConditionsSpec):
    """One rule. If all its conditions hold, it has the effect ``then``, or the effect of the word in the reply.

    A rule does not hold if the word is not in the table or not in the reply. Words are compared without surrounding
    spaces and without case. Without ``status`` a rule matches 2xx replies only.
    """

    then: str | None = None
    word: Picks = Field(default=(), description="the place of the provider's word")
    words: Words[str] = Field(default={})
    reason: Text | None = Field(default=None, description="text before the provider's own message")

    @model_validator(mode="after")
    def _reason_is_used(self) -> Self:
        effects = {self.then} if self.then is not None else {*self.words.values()}
        if self.reason is not None and effects and effects <= _SILENT:
            raise ValueError(f"reason is not used for a reply that means {' or '.join(sorted(map(str, effects)))}")
        return self

    @model_validator(mode="after")
    def _one_effect(self) -> Self:
        if (self.then is None) == (not self.words):
            raise ValueError("needs either then, or word and words")
        if bool(self.word) != bool(self.words):
            raise ValueError("word and words belong together")
        return self


SubmitEffect = Literal[
    "accepted", "ready", "empty", "duplicate", "refused", "throttled", "unauthorized", "unsent", "unknown"
]
PollEffect = Literal[
    "pending",
    "running",
    "ready",
    "partial",
    "empty",
    "failed",
    "cancelled",
    "gone",
    "retry",
    "throttled",
    "unauthorized",
]
FileEffect = Literal["pending", "expired", "retry", "refused", "throttled", "unauthorized"]
PageEffect = Literal["empty", "pending", "expired", "retry", "refused", "throttled", "unauthorized"]


class SubmitRule(RuleSpec):
    """What a reply to a submit means. Without a rule, 2xx with a handle is ``accepted``."""

    then: SubmitEffect | None = None
    words: Words[SubmitEffect] = Field(default={})


class PollRule(RuleSpec):
    """What a reply to a poll means."""

    then: PollEffect | None = None
    words: Words[PollEffect] = Field(default={})


class FileRule(RuleSpec):
    """What the reply of a file host, or the reply to ``resolve``, means if it does not give the file."""

    then: FileEffect | None = None
    words: Words[FileEffect] = Field(default={})


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
    rules: Items[ProbeRule] = ()


class PageRule(RuleSpec):
    """What a reply to a request for a page means."""

    then: PageEffect | None = None
    words: Words[PageEffect] = Field(default={})


class ProgressSpec(PickSpec):
    """The progress of the remote job: a number or text in the reply, or ``done`` of ``total``."""

    done: Expression | None = None
    total: Expression | None = None

    def _check_source(self) -> None:
        if self.done is None and self.total is None:
            super()._check_source()
        elif self.done is None or self.total is None or self.model_fields_set - {"done", "total"}:
            raise ValueError("done and total belong together, without any other key")


class RetryAfterSpec(PickSpec):
    """How long a reply asks to wait. Without a source, the header Retry-After itself is exact."""

    exact: bool = Field(default=False, description="the value replaces our own schedule; else it only delays the poll")

    @property
    def names_value(self) -> bool:
        """Whether it names a value other than the header Retry-After."""
        return bool(self.model_fields_set - {"exact"})

    def _check_source(self) -> None:
        if self.names_value or not self.exact:
            super()._check_source()


class SubmitSpec(RequestSpec, SpecVariant):
    """The request that makes a remote job. Without ``handle`` a rule must say when the reply is the result itself."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    repeatable: bool | None = Field(default=None, description="for this variant, if it differs from the operation")
    handle: Picks = ()
    rules: Items[SubmitRule] = ()


class PollSpec(RequestSpec, SpecVariant):
    """The request that polls a remote job. If ``handle`` is given, it is read from every reply."""

    rules: Items[PollRule] = Field(min_length=1)
    progress: ProgressSpec | None = None
    retry_after: OneOrMore[RetryAfterSpec] = Field(
        default=(), description="seconds, epoch seconds or an HTTP-date, beside the header Retry-After"
    )
    handle: Picks = ()


class ResolveSpec(RequestSpec):
    """A request whose reply names the file; the rules of the results also apply to it."""

    link: Picks = Field(min_length=1)
    gzip: Picks = Field(default=(), description="true if the file may be gzip-compressed; it lands decompressed")
    send_auth_if: Picks = Field(default=(), description="replaces send_auth if it finds a value")


class PagesByParams(SpecTable):
    """The names of parameters by which a job selects a part of a list.

    Each is used only if the job has it.
    """

    size: Name | None = Field(default=None, description="items of a full page, instead of size")
    number: Name | None = Field(default=None, description="the number of the first page")
    offset: Name | None = Field(default=None, description="the number of items before the first page")
    one_page: Name | None = Field(default=None, description="if the job has it, the list ends after one page")


class PageSpec(RequestSpec):
    """A request for one page of a list. ``${page.next}`` is the cursor, ``${page.number}`` counts from 1.

    The last page has no ``next`` or ``next_url``, or ``last`` is true for it. If none of them is given, or ``last``
    finds nothing, the last page is the first one with fewer than ``size`` items or without items, or one that the next
    page repeats. A request without cursor, number and offset has one page.
    """

    size: int | None = Field(default=None, ge=1, description="items of a full page, and ${page.size}")
    items: Expression | None = Field(default=None, description="JMESPath to the array of items")
    next: Picks = Field(default=(), description="the cursor of the next page")
    next_url: Picks = Field(default=(), description="the URL of the next page, absolute or relative")
    last: Expression | None = Field(default=None, description="JMESPath that is true on the last page")
    last_values: Items[Text] = Field(default=(), description="values of next that mean that there is no next page")
    by_params: PagesByParams = Field(default=PagesByParams(), description="parameters that select a part of the list")
    rules: Items[PageRule] = ()

    @model_validator(mode="after")
    def _names_next_page_once(self) -> Self:
        if self.next and self.next_url:
            raise ValueError("a page names the next one by next or by next_url")
        if self.last_values and not self.next:
            raise ValueError("last_values are for next, and there is none")
        return self


class PagesSpec(PageSpec):
    """A list over several pages, joined into one file: a JSON array of all items, or one CSV with one header."""

    join: Literal["json", "csv"] = "json"

    @model_validator(mode="after")
    def _joinable(self) -> Self:
        if self.join == "json" and self.items is None:
            raise ValueError("pages of JSON need items, the array to join")
        if self.join == "csv" and (self.items is not None or self.last is not None):
            raise ValueError("items and last look into JSON, and these pages are csv")
        return self


class FilesSpec(SpecTable):
    """A list of files in the reply that says ready; all keys but ``each`` are JMESPath on its items.

    If ``each`` finds nothing, there are no such files; zero files are a success.
    """

    each: Expression
    url: Expression = "url"
    label: Expression | None = None
    count: Expression | None = Field(default=None, description="records in the file")
    size: Expression | None = Field(default=None, description="bytes in the file")
    media_type: Expression | None = None
    sha256: Expression | None = Field(default=None, description="in hexadecimal or Base64")
    md5: Expression | None = Field(default=None, description="in hexadecimal or Base64")
    gzip: Expression | None = Field(
        default=None, description="true if the file may be gzip-compressed; it lands decompressed"
    )


_OF_THE_DOWNLOAD = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "if-match", "if-modified-since", "if-none-match"}
    | {"if-range", "if-unmodified-since", "range", "te", "transfer-encoding"}
)


class ResultsSpec(SpecVariant):
    """Where the files are.

    ``inline``: the reply that says ready; a fixed ``url``; lists of ``files``; ``pages`` that are joined; or
    ``resolve``, a request for the link. ``inline = "head"`` lands the status and the header fields of the reply, as
    JSON.

    ``send_auth`` says whether the account's credentials are sent with a download from the provider's own origin; with
    ``files``, ``send_auth_if`` may decide. ``label`` names the one file. ``headers`` are sent with every download, and
    with ``inline`` with the poll and the submit whose reply is the file; other origins get only those that do not
    concern the account, such as Accept.
    """

    inline: Literal[True, "head"] | None = None
    url: UrlTemplate | None = None
    files: OneOrMore[FilesSpec] = ()
    pages: PagesSpec | None = None
    resolve: ResolveSpec | None = None
    label: Text | None = None
    send_auth: bool = True
    send_auth_if: Expression | None = Field(default=None, description="JMESPath on the reply that lists the files")
    headers: Mapping[SentHeaderName, str] = Field(default={}, description="sent with every download, such as Accept")
    rules: Items[FileRule] = ()

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        asked = (self.url, self.pages, self.resolve)
        places = (self.inline is not None, bool(self.files), *(one is not None for one in asked))
        if sum(places) != 1:
            raise ValueError("needs exactly one of inline, url, files, pages and resolve")
        if self.pages is not None and (self.rules or not self.send_auth):
            raise ValueError("rules and send_auth are for files; pages have rules of their own, and are always signed")
        if self.pages is not None and self.headers:
            raise ValueError("headers are for files; a request for pages has headers of its own, in pages.headers")
        own = sorted(name for name in self.headers if name.lower() in _OF_THE_DOWNLOAD)
        if own:
            raise ValueError(f"headers may not have {', '.join(own)}, which a download sets itself: remove it")
        if self.files and self.label is not None:
            raise ValueError("label names one file; a list of files has its own")
        if self.send_auth_if is not None and not self.files:
            raise ValueError("send_auth_if is for a list of files, and there is none")
        return self


class AdoptSpec(PageSpec, SpecVariant):
    """The search for the remote job of a submit without a clear answer: in a list, page by page.

    An item matches if every expression of ``match`` finds its text (scalars as text, without surrounding spaces), and
    ``where`` is true. A template of ``match`` without a value is ignored.
    """

    items: Expression
    match: Mapping[Expression, Scalar] = Field(
        default={}, description="JMESPath on an item, and the text that it must find"
    )
    where: Expression | None = Field(default=None, description="JMESPath that is true on the item")
    handle: Expression = Field(description="JMESPath on the item: the remote job's handle")
    lag_s: float = Field(default=120.0, ge=0, description="how long the list may lag behind a submit")
    absent: Literal["repeat", "park"] = Field(default="repeat", description="what to do if there is no match")
    match_all: bool = Field(default=False, description="a job without a value for all of match is left to a person")

    @model_validator(mode="after")
    def _has_criteria(self) -> Self:
        if not self.match and self.where is None:
            raise ValueError("needs match or where, or every item would match")
        return self


class CancelSpec(RequestSpec, SpecVariant):
    """The request that stops the remote job. 2xx, 404, 410 and the codes of ``done`` mean that it has stopped."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "DELETE"
    done: Items[Code] = ()
    rules: Items[EndingRule] = ()


class CleanupSpec(CancelSpec):
    """The request that deletes the remote job after its files have landed, if the account uses it."""

    by_default: bool = Field(default=False, description="delete unless the account says otherwise")
