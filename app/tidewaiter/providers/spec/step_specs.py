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
        raise InvalidValueError(f"has a word twice, for they are compared trimmed and in one case: {', '.join(twice)}")
    return words


UrlTemplate: TypeAlias = Annotated[str, AfterValidator(_url_template)]
Effect = TypeVar("Effect", bound=str)
Words: TypeAlias = Annotated[Mapping[str, Effect], AfterValidator(_distinct)]


class RequestSpec(SpecTable):
    """One request. ``${...}`` is substituted in ``url``, ``query``, ``headers``, ``json`` and ``form``.

    A ``url`` that begins with ``/`` follows the base URL, and what is substituted in it is percent-encoded. One that
    begins with ``${handle}`` is the handle itself, an absolute or relative URL, byte for byte. A key of ``query``,
    ``headers``, ``json`` or ``form`` whose value has nothing to substitute is left out.
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
    """What a reply must look like: every condition that is given holds."""

    status: Codes = ("2xx",)
    expression: Expression | None = Field(default=None, alias="json", description="JMESPath that is true")
    header: HeaderMatch | None = None
    text: Regex | None = Field(default=None, description="a regex that is found in the body")


_SILENT = frozenset({"accepted", "done", "duplicate", "empty", "healthy", "partial", "pending", "ready", "running"})
"""Effects without a reason: nothing is wrong."""


class RuleSpec(ConditionsSpec):
    """One rule. It holds where every condition does; then it has its effect, or a word's.

    A word that is not in the table, or is not in the reply, makes the rule not hold. Words are compared trimmed and in
    one case. Without ``status`` a rule matches 2xx replies only.
    """

    then: str | None = None
    word: Picks = Field(default=(), description="where the provider's word stands")
    words: Words[str] = Field(default={})
    reason: Text | None = Field(default=None, description="what stands before the provider's own message")

    @model_validator(mode="after")
    def _reason_is_used(self) -> Self:
        effects = {self.then} if self.then is not None else {*self.words.values()}
        if self.reason is not None and effects and effects <= _SILENT:
            raise ValueError(f"reason is told of no reply that means {' or '.join(sorted(map(str, effects)))}")
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
    """What a reply to a submit means; without a rule, 2xx with a handle is ``accepted``, and the rest is common."""

    then: SubmitEffect | None = None
    words: Words[SubmitEffect] = Field(default={})


class PollRule(RuleSpec):
    """What a reply to a poll means."""

    then: PollEffect | None = None
    words: Words[PollEffect] = Field(default={})


class FileRule(RuleSpec):
    """What a file's host, or the reply to ``resolve``, means when it does not give the file."""

    then: FileEffect | None = None
    words: Words[FileEffect] = Field(default={})


EndingEffect = Literal["done", "retry", "refused", "throttled", "unauthorized"]


class EndingRule(RuleSpec):
    """What a reply to a cancel or cleanup means; without a rule, 2xx is done, and the rest is common."""

    then: EndingEffect | None = None
    words: Words[EndingEffect] = Field(default={})


ProbeEffect = Literal["healthy", "unauthorized", "failed"]


class ProbeRule(RuleSpec):
    """What a reply to a probe means; without a rule, 2xx is healthy, and the rest is common."""

    then: ProbeEffect | None = None
    words: Words[ProbeEffect] = Field(default={})


class ProbeSpec(RequestSpec):
    """One harmless request that shows whether an account works."""

    method: Literal["GET", "POST"] = "GET"
    rules: Items[ProbeRule] = ()


class PageRule(RuleSpec):
    """What a reply means that may be no page of a list."""

    then: PageEffect | None = None
    words: Words[PageEffect] = Field(default={})


class ProgressSpec(PickSpec):
    """How far the remote job is: a number or text found in the reply, or ``done`` of ``total``."""

    done: Expression | None = None
    total: Expression | None = None

    def _check_source(self) -> None:
        if self.done is None and self.total is None:
            super()._check_source()
        elif self.done is None or self.total is None or self.model_fields_set - {"done", "total"}:
            raise ValueError("done and total belong together, without any other key")


class RetryAfterSpec(PickSpec):
    """How long a reply asks to be left alone. Without a source it is the header Retry-After itself that is exact."""

    exact: bool = Field(default=False, description="the value replaces our own schedule; else it only delays the poll")

    @property
    def names_value(self) -> bool:
        """Whether it says where a value stands, beside the header Retry-After."""
        return bool(self.model_fields_set - {"exact"})

    def _check_source(self) -> None:
        if self.names_value or not self.exact:
            super()._check_source()


class SubmitSpec(RequestSpec, SpecVariant):
    """How a remote job is made. Without ``handle`` a rule must say when the reply is the result itself."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    repeatable: bool | None = Field(default=None, description="of this variant, where it differs from the operation")
    handle: Picks = ()
    rules: Items[SubmitRule] = ()


class PollSpec(RequestSpec, SpecVariant):
    """How a remote job is polled. ``handle`` is read again from every reply where it is given."""

    rules: Items[PollRule] = Field(min_length=1)
    progress: ProgressSpec | None = None
    retry_after: OneOrMore[RetryAfterSpec] = Field(
        default=(), description="seconds, epoch seconds or an HTTP-date, beside the header Retry-After"
    )
    handle: Picks = ()


class ResolveSpec(RequestSpec):
    """A request whose reply names the file; the rules of the results are those of its reply, too."""

    link: Picks = Field(min_length=1)
    gzip: Picks = Field(default=(), description="true where gzip may have packed the file; it lands unpacked")
    send_auth_if: Picks = Field(default=(), description="what decides in place of send_auth, where it finds something")


class PagesByParams(SpecTable):
    """Parameters of the operation, by name, by which the caller of a job chooses the part of a list.

    Each counts only where the job has it.
    """

    size: Name | None = Field(default=None, description="items of a full page, in place of size")
    number: Name | None = Field(default=None, description="the number of the first page")
    offset: Name | None = Field(default=None, description="how many items are left out before the first page")
    one_page: Name | None = Field(default=None, description="where the job has it, one page is the whole list")


class PageSpec(RequestSpec):
    """A request for one page of a list. ``${page.next}`` is the cursor, ``${page.number}`` counts from 1.

    The last page is the one without ``next`` or ``next_url``, or for which ``last`` is true. Where none of them is
    given, or ``last`` finds nothing, it is the first page with fewer than ``size`` items, or without any, or the one
    that the next one repeats. A request that refers to neither cursor, number nor offset has one page.
    """

    size: int | None = Field(default=None, ge=1, description="items of a full page, and ${page.size}")
    items: Expression | None = Field(default=None, description="JMESPath to the array of items")
    next: Picks = Field(default=(), description="the cursor of the next page")
    next_url: Picks = Field(default=(), description="the URL of the next page, absolute or relative")
    last: Expression | None = Field(default=None, description="JMESPath that is true on the last page")
    last_values: Items[Text] = Field(default=(), description="values of next that mean that there is none")
    by_params: PagesByParams = Field(default=PagesByParams(), description="what the caller of a job may choose")
    rules: Items[PageRule] = ()

    @model_validator(mode="after")
    def _goes_on(self) -> Self:
        if self.next and self.next_url:
            raise ValueError("a page names the next one by next or by next_url")
        if self.last_values and not self.next:
            raise ValueError("last_values are values of next, and there is none")
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
    """A list of files in the reply that says that the job is ready; all but ``each`` are JMESPath on its items.

    Where ``each`` finds nothing there are no such files; zero files are a success.
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
        default=None, description="true where gzip may have packed the file; it lands unpacked"
    )


_OF_THE_DOWNLOAD = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "if-match", "if-modified-since", "if-none-match"}
    | {"if-range", "if-unmodified-since", "range", "te", "transfer-encoding"}
)


class ResultsSpec(SpecVariant):
    """Where the files are.

    ``inline`` in the reply just read, at a fixed ``url``, in lists, in ``pages`` that are joined, or asked for by a
    request. ``inline = "head"`` lands the status and the header fields of that reply, as JSON.

    ``send_auth`` says whether the account's credentials go with the download, which they do to the provider's own
    origin only; with ``files`` it may be a JMESPath expression on the reply. ``label`` names the one file. ``headers``
    go with every download, and with ``inline`` with the poll and the submit whose reply is the file; to other origins
    go only those that say nothing of the account, such as Accept.
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
            raise ValueError(f"headers may not have {', '.join(own)}, which a download sets itself: take it out")
        if self.files and self.label is not None:
            raise ValueError("label names one file; a list of files has its own")
        if self.send_auth_if is not None and not self.files:
            raise ValueError("send_auth_if looks at the reply that lists the files, and there is none")
        return self


class AdoptSpec(PageSpec, SpecVariant):
    """How the remote job of a submit is found whose answer was lost, or that names none: in a list, page by page.

    An item is meant where every expression of ``match`` finds the text beside it (scalars as text, trimmed), and
    ``where`` is true. A text of ``match`` that has nothing to substitute is not looked at.
    """

    items: Expression
    match: Mapping[Expression, Scalar] = Field(default={}, description="JMESPath on an item, and what it must find")
    where: Expression | None = Field(default=None, description="JMESPath that is true on the item")
    handle: Expression = Field(description="JMESPath on the item: the remote job's name")
    lag_s: float = Field(default=120.0, ge=0, description="how long after a submit the list may lack its remote job")
    absent: Literal["repeat", "park"] = Field(default="repeat", description="what follows where there is none")
    match_all: bool = Field(default=False, description="a job that lacks something of match is left to a person")

    @model_validator(mode="after")
    def _looks_for_something(self) -> Self:
        if not self.match and self.where is None:
            raise ValueError("needs match or where, or every item would do")
        return self


class CancelSpec(RequestSpec, SpecVariant):
    """How the remote job is stopped. 2xx, 404 and 410 mean that it is, and so do the codes of ``done``."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "DELETE"
    done: Items[Code] = ()
    rules: Items[EndingRule] = ()


class CleanupSpec(CancelSpec):
    """How the remote job is deleted once its files have landed, where the account asks for it."""

    by_default: bool = Field(default=False, description="delete where the account does not say")
