"""Requests, conditions on replies, and rules: what the tables of all steps have in common."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias, TypeVar

from pydantic import AfterValidator, Field, JsonValue, model_validator

from tidewaiter.domain.http_values import Json
from tidewaiter.providers.spec.body_spec import MultipartSpec
from tidewaiter.providers.spec.field_types import (
    Codes,
    Expression,
    HeaderMatch,
    InvalidValueError,
    Name,
    Picks,
    Regex,
    Scalar,
    SentHeaderName,
    SpecTable,
    Text,
)
from tidewaiter.providers.spec.reply_spec import ReplySpec

_BEGINNING = re.compile(r"/|\$\{handle\}|\$\{(?:kept|item)\.[a-z][a-z0-9_]*\}")


def _url_template(value: str) -> str:
    if _BEGINNING.match(value) is None:
        raise InvalidValueError("must begin with /, with ${handle} or ${kept.NAME}, or in a list with ${item.NAME}")
    return value


def _distinct(words: Mapping[str, str]) -> Mapping[str, str]:
    folded = [word.strip().casefold() for word in words]
    twice = sorted({word for word in words if folded.count(word.strip().casefold()) > 1})
    if twice:
        raise InvalidValueError(f"has a word twice (spaces and case are ignored): {', '.join(twice)}")
    return words


def _not_true(value: bool | str) -> bool | str:
    if value is True:
        raise InvalidValueError("must be false, or a name in the table auths; the account's own credentials are usual")
    return value


UrlTemplate: TypeAlias = Annotated[str, AfterValidator(_url_template)]
Effect = TypeVar("Effect", bound=str)
Words: TypeAlias = Annotated[Mapping[str, Effect], AfterValidator(_distinct)]


class RequestSpec(SpecTable):
    """One request. References ``${...}`` are permitted in ``url``, ``query``, ``headers``, ``json`` and ``form``.

    A ``url`` that begins with ``/`` follows the base URL, and the values in it are percent-encoded. One that begins
    with ``${handle}``, ``${kept.NAME}`` or ``${item.NAME}`` is that value itself, an absolute or relative URL, byte for
    byte. ``base`` sends it to another origin of the provider, and ``auth`` with other credentials. A key of ``query``,
    ``headers``, ``json`` or ``form`` is left out if its reference has no value.
    """

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="GET", description="the HTTP method"
    )
    url: UrlTemplate = Field(
        description="begins with `/` and follows `base_url`, or begins with `${handle}`, which is a URL then"
    )
    query: Mapping[str, Scalar] = Field(
        default={},
        description="keys and values of the query, percent-encoded. The key `*` takes a parameter that is an "
        'object, `"*" = "${params.filters}"`: its members become keys of the query, repeated for '
        "lists",
    )
    headers: Mapping[SentHeaderName, str] = Field(default={}, description="header fields and their values")
    body: JsonValue = Field(default=None, alias="json", description="the body, as JSON; not for `GET` and `HEAD`")
    form: Mapping[str, Scalar] | None = Field(
        default=None, description="the body as a form, instead of `json`; `*` as in `query`"
    )
    text: Text | None = Field(
        default=None,
        description="the body as text, instead of `json`; its references must have a value. `Content-Type` is "
        "`text/plain; charset=utf-8`, unless `headers` say otherwise",
    )
    multipart: MultipartSpec | None = Field(
        default=None, description="the body as fields and files (`multipart/form-data`), instead of `json`"
    )
    reply: ReplySpec | None = Field(
        default=None, description="how the body of its reply is read, if other than elsewhere in the spec"
    )
    base: Name | None = Field(default=None, description="an origin of the table `origins`, in place of the base URL")
    auth: Annotated[bool | Name, AfterValidator(_not_true)] | None = Field(
        default=None,
        description="credentials of the table `auths` by their name, or `false` for none; without it the account's",
    )

    @model_validator(mode="after")
    def _sendable(self) -> Self:
        bodies = [one is not None for one in (self.body, self.form, self.text, self.multipart)]
        if sum(bodies) > 1:
            raise ValueError("a request has one of json, form, text and multipart")
        if self.method in ("GET", "HEAD") and any(bodies):
            raise ValueError(f"a {self.method} request has no body")
        if self.multipart is not None and any(name.lower() == "content-type" for name in self.headers):
            raise ValueError("headers may not have Content-Type, which multipart sets with its boundary: remove it")
        return self

    def templates(self) -> tuple[Json, ...]:
        """Everything in it that may hold references, but the URL."""
        multipart = None if self.multipart is None else self.multipart.model_dump(mode="json")
        return (self.query, self.headers, self.body, self.form, self.text, multipart)


class ConditionsSpec(SpecTable):
    """Conditions on a reply; all that are given must hold."""

    status: Codes = Field(default=("2xx",), description="the status code is one of these")
    expression: Expression | None = Field(
        default=None, alias="json", description="JMESPath that is true: what it finds is not null, false or empty"
    )
    header: HeaderMatch | None = Field(default=None, description="a header is there, and matches")
    text: Regex | None = Field(default=None, description="a regex that matches in the first 64 KiB of the body")


_SILENT = frozenset({"accepted", "done", "duplicate", "empty", "healthy", "partial", "pending", "ready", "running"})
"""Effects that are no error, so they have no reason."""


class RuleSpec(ConditionsSpec):
    """One rule. If all its conditions hold, it has the effect ``then``, or the effect of the word in the reply.

    A rule does not hold if the word is not in the table or not in the reply. Words are compared without surrounding
    spaces and without case. Without ``status`` a rule matches 2xx replies only.
    """

    then: str | None = Field(
        default=None,
        description="[the meaning](#what-a-rule-can-say) of a reply for which the conditions hold, if there "
        "is no `word`",
    )
    word: Picks = Field(default=(), description="the place of the API's own word")
    words: Words[str] = Field(
        default={}, description='what each word means: `{ DONE = "ready" }`. With any other word the rule does not hold'
    )
    reason: Text | None = Field(
        default=None,
        description='text before the API\'s own message, for people: `"the key is not valid"`. Only for errors',
    )

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
