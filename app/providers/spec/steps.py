"""Requests, rules and results: the tables that describe the steps of an operation."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias, TypeVar

from pydantic import AfterValidator, Field, JsonValue, model_validator

from app.providers.spec.fields import (
    Code,
    Codes,
    Expression,
    HeaderMatch,
    HeaderName,
    Items,
    OneOrMore,
    Picks,
    PickSpec,
    Regex,
    Scalar,
    Table,
    Text,
    UnfitError,
    Variant,
)


def _url_template(value: str) -> str:
    if not value.startswith(("/", "${handle}")):
        raise UnfitError("must begin with / or with ${handle}")
    return value


def _distinct(words: Mapping[str, str]) -> Mapping[str, str]:
    folded = [word.strip().casefold() for word in words]
    twice = sorted({word for word in words if folded.count(word.strip().casefold()) > 1})
    if twice:
        raise UnfitError(f"has a word twice, for they are compared trimmed and in one case: {', '.join(twice)}")
    return words


UrlTemplate: TypeAlias = Annotated[str, AfterValidator(_url_template)]
Effect = TypeVar("Effect", bound=str)
Words: TypeAlias = Annotated[Mapping[str, Effect], AfterValidator(_distinct)]


class RequestSpec(Table):
    """One request. ``${...}`` is substituted in ``url``, ``query``, ``headers``, ``json`` and ``form``.

    A ``url`` that begins with ``/`` follows the base URL, and what is substituted in it is percent-encoded. One that
    begins with ``${handle}`` is the handle itself, an absolute or relative URL, byte for byte. A key of ``query``,
    ``headers``, ``json`` or ``form`` whose value has nothing to substitute is left out.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: UrlTemplate
    query: Mapping[str, Scalar] = {}
    headers: Mapping[HeaderName, str] = {}
    body: JsonValue = Field(default=None, alias="json")
    form: Mapping[str, Scalar] | None = None

    @model_validator(mode="after")
    def _sendable(self) -> Self:
        if self.body is not None and self.form is not None:
            raise ValueError("a request has either json or form")
        if self.method == "GET" and (self.body is not None or self.form is not None):
            raise ValueError("a GET request has no body")
        return self


class RuleSpec(Table):
    """One rule. It holds where every condition does; then it has its effect, or a word's.

    A word that is not in the table, or is not in the reply, makes the rule not hold. Words are compared trimmed and in
    one case. Without ``status`` a rule speaks of 2xx replies only.
    """

    status: Codes = ("2xx",)
    expression: Expression | None = Field(default=None, alias="json", description="JMESPath that is true")
    header: HeaderMatch | None = None
    text: Regex | None = Field(default=None, description="a regex that is found in the body")
    then: str | None = None
    word: Picks = Field(default=(), description="where the provider's word stands")
    words: Words[str] = Field(default={})

    @model_validator(mode="after")
    def _one_effect(self) -> Self:
        if (self.then is None) == (not self.words):
            raise ValueError("needs either then, or word and words")
        if bool(self.word) != bool(self.words):
            raise ValueError("word and words belong together")
        return self


SubmitEffect = Literal["accepted", "ready", "duplicate", "refused", "throttled", "unauthorized", "unsent", "unknown"]
PollEffect = Literal["pending", "running", "ready", "failed", "cancelled", "gone", "retry", "throttled", "unauthorized"]
FileEffect = Literal["expired", "retry", "refused"]


class SubmitRule(RuleSpec):
    """What a reply to a submit means; without a rule, 2xx with a handle is ``accepted``, and the rest is common."""

    then: SubmitEffect | None = None
    words: Words[SubmitEffect] = Field(default={})


class PollRule(RuleSpec):
    """What a reply to a poll means."""

    then: PollEffect | None = None
    words: Words[PollEffect] = Field(default={})


class FileRule(RuleSpec):
    """What a file's host means when it does not give the file."""

    then: FileEffect | None = None
    words: Words[FileEffect] = Field(default={})


class ProgressSpec(PickSpec):
    """How far the remote job is: a number or text found in the reply, or ``done`` of ``total``."""

    done: Expression | None = None
    total: Expression | None = None

    def _check_source(self) -> None:
        if self.done is None and self.total is None:
            super()._check_source()
        elif self.done is None or self.total is None or self.model_fields_set - {"done", "total"}:
            raise ValueError("done and total belong together, without any other key")


class SubmitSpec(RequestSpec, Variant):
    """How a remote job is made. Without ``handle`` a rule must say when the reply is the result itself."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    handle: Picks = ()
    rules: Items[SubmitRule] = ()


class PollSpec(RequestSpec, Variant):
    """How a remote job is asked after. ``handle`` is read again from every reply where it is given."""

    rules: Items[PollRule] = Field(min_length=1)
    progress: ProgressSpec | None = None
    retry_after: Picks = Field(default=(), description="seconds, or an HTTP-date, beside the header Retry-After")
    handle: Picks = ()


class ResolveSpec(RequestSpec):
    """A request whose reply names the file."""

    link: Picks = Field(min_length=1)


class FilesSpec(Table):
    """A list of files in the reply that says that the job is ready; all but ``each`` are JMESPath on its items.

    Where ``each`` finds nothing there are no such files; zero files are a success.
    """

    each: Expression
    url: Expression = "url"
    label: Expression | None = None
    count: Expression | None = Field(default=None, description="records in the file")
    size: Expression | None = Field(default=None, description="bytes in the file")
    media_type: Expression | None = None
    sha256: Expression | None = Field(default=None, description="in hexadecimal")
    md5: Expression | None = Field(default=None, description="in hexadecimal")


class ResultsSpec(Variant):
    """Where the files are: ``inline`` in the reply just read, at a fixed ``url``, in lists, or asked for by a request.

    ``send_auth`` says whether the account's credentials go with the download, which they do to the provider's own
    origin only; with ``files`` it may be a JMESPath expression on the reply. ``label`` names the one file.
    """

    inline: Literal[True] | None = None
    url: UrlTemplate | None = None
    files: OneOrMore[FilesSpec] = ()
    resolve: ResolveSpec | None = None
    label: Text | None = None
    send_auth: bool = True
    send_auth_if: Expression | None = Field(default=None, description="JMESPath on the reply that lists the files")
    rules: Items[FileRule] = ()

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        places = (self.inline is not None, self.url is not None, bool(self.files), self.resolve is not None)
        if sum(places) != 1:
            raise ValueError("needs exactly one of inline, url, files and resolve")
        if self.files and self.label is not None:
            raise ValueError("label names one file; a list of files has its own")
        if self.send_auth_if is not None and not self.files:
            raise ValueError("send_auth_if looks at the reply that lists the files, and there is none")
        return self


class CancelSpec(RequestSpec, Variant):
    """How the remote job is stopped. 2xx, 404 and 410 mean that it is, and so do the codes of ``done``."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "DELETE"
    done: Items[Code] = ()


class CleanupSpec(CancelSpec):
    """How the remote job is deleted once its files have landed, where the account asks for it."""

    by_default: bool = Field(default=False, description="delete where the account does not say")
