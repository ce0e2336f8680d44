"""The types of keys in spec tables: checked texts, lists that may be a single item, extractions, kept values."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from tidewaiter.patterns import compile_pattern
from tidewaiter.providers.values.jmespath_expressions import compile_expression

T = TypeVar("T")
When: TypeAlias = Mapping[str, Any]
"""Names of settings, and the values that they must have."""

CONNECTION_HEADERS = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers for the end and the target of a message (RFC 9110 and 9112): a wrong one could smuggle a request."""

PARAMS = "params"
"""The key of ``when`` for a job's parameters."""
KEPT = "kept"
"""The key of ``when`` for the values that a job keeps of replies."""
HANDLE_IS = "handle"
"""The key of ``when`` for a regex that is found in a job's handle; all other keys are the account's settings."""
OF_THE_JOB = frozenset({PARAMS, KEPT, HANDLE_IS})

MOST_KEPT: Final = 16
"""The most values that a job keeps."""


class InvalidValueError(ValueError):
    """A value is not permitted for its key; the message ends a sentence that begins with the key."""


class SpecTable(BaseModel):
    """A table of a spec: unknown keys are errors, values keep their TOML type, and it cannot be changed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, defer_build=True
    )  # one validator for a whole file, not one for each table


class SpecVariant(SpecTable):
    """A table that may be a list of variants: the first whose ``when`` holds is used.

    ``when`` can use settings and parameters that have an ``enum`` or are boolean, and always have a value (required, or
    with a default). Every possible case needs a variant, except where nothing is sent without one, as with adopt,
    cancel and cleanup. Kept values and handles can be anything, so a variant with a condition on them covers no case
    for certain. In a setting or parameter ``when`` names others of its kind: the value is used only if it holds.
    """

    when: When = Field(
        default={},
        description='which account, by its settings, and in steps which job, by `params`: `{ region = "eu", '
        'params.kind = "orders" }`, by its `kept` values, or by `handle`, a regex that is found in its handle',
    )


def holds(when: When, settings: Mapping[str, Any]) -> bool:
    """Whether the settings have the values of ``when``; conditions on the job are ignored."""
    return all(settings.get(name) == value for name, value in when.items() if name not in OF_THE_JOB)


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _one_as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else (value,)


class _OneOrMore:
    """Permits a single item in place of a list, also in the JSON Schema."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_one_as_tuple, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}


Items: TypeAlias = Annotated[tuple[T, ...], BeforeValidator(_as_tuple)]
OneOrMore: TypeAlias = Annotated[tuple[T, ...], _OneOrMore()]


def _expression(source: str) -> str:
    compile_expression(source)
    return source


def _regex(source: str) -> str:
    compile_pattern(source)
    return source


def _not_of_connection(name: str) -> str:
    if name.lower() in CONNECTION_HEADERS or name.lower().startswith("proxy-"):
        raise ValueError(f"{name} belongs to the connection and is set by Tidewaiter itself; leave it out")
    return name


def _scalar(value: object) -> object:
    if not isinstance(value, str | int):  # a boolean is an integer
        raise InvalidValueError("must be text, a whole number or a boolean")
    return value


def _code(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return value
    if isinstance(value, str) and re.fullmatch("[1-5]xx", value):
        return value
    raise ValueError("must be a status code from 100 to 599, or a class such as '2xx'")


Expression: TypeAlias = Annotated[str, AfterValidator(_expression)]
Regex: TypeAlias = Annotated[str, AfterValidator(_regex)]
Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
HeaderName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
SentHeaderName: TypeAlias = Annotated[HeaderName, AfterValidator(_not_of_connection)]
"""The name of a header that a request may set."""
Relation: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[^\s,;<>\"]+$")]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1)]
Scalar: TypeAlias = Annotated[
    Any,
    AfterValidator(_scalar),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]}),
]
Code: TypeAlias = Annotated[
    Any,
    AfterValidator(_code),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5]xx$"}]}
    ),
]
Codes: TypeAlias = OneOrMore[Code]


class PickSpec(SpecTable):
    """The place of a value in a reply: exactly one of ``json``, ``header``, ``text`` and ``code``.

    A plain text is JMESPath: ``"id"`` is ``{ json = "id" }``. Of a list the first item that finds a value counts; an
    empty text is no value.
    """

    expression: Expression | None = Field(default=None, alias="json", description="JMESPath on the JSON body")
    header: HeaderName | None = Field(
        default=None,
        description="a header, in any case; a repeated field is one value, joined by commas (RFC 9110); for a"
        " field with a single value, such as `Location`, the first one counts",
    )
    rel: Relation | None = Field(
        default=None,
        description='with `header = "Link"`: the target of the link with this relation (RFC 8288), such as `next`',
    )
    text: Regex | None = Field(
        default=None,
        description="a regex on the first 64 KiB of the body: its first group, or the whole match if it has no group",
    )
    code: Literal[True] | None = Field(default=None, description="the HTTP status code")
    regex: Regex | None = Field(
        default=None,
        description="a regex for a part of json, header or code: as in `text`, in its first 64 KiB; of a "
        "repeated header it is tried on each value, then on all of them",
    )
    excludes: Regex | None = Field(
        default=None,
        description="a regex; a value that it matches as a whole does not count: `{ text = '[a-z0-9]+', "
        "excludes = 'null' }`",
    )
    bare: bool = Field(
        default=False,
        description="remove byte order mark, spaces and quotation marks of any kind around it, before `text` "
        "and `regex` are applied",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"json": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        self._check_source()
        return self

    def _check_source(self) -> None:
        sources = (self.expression, self.header, self.text, self.code)
        if sum(source is not None for source in sources) != 1:
            raise ValueError("needs exactly one of json, header, text and code")
        if self.rel is not None and self.header is None:
            raise ValueError('rel is the relation of a link in a header: header = "Link"')

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "description": "JMESPath on the JSON body"}, handler(schema)]}


Picks: TypeAlias = OneOrMore[PickSpec]
"""One source, or several; the first that finds a value counts."""


class HeaderMatch(SpecTable):
    """A condition on a header: the regex matches in one of its values, or in all of them joined."""

    name: HeaderName = Field(description="the header is present ...")
    regex: Regex = Field(
        description="... and the regex matches in one of its values, or in all of them joined by commas"
    )


class KeepSpec(PickSpec):
    """The place of a value that is kept with the job, and is ``${kept.NAME}`` in the requests after it.

    A value is a single text, number or boolean of at most 2,048 characters, without control characters. All values of
    a job together have at most 8 KiB.
    """

    optional: bool = Field(default=False, description="the reply may lack the value; else that is an error")


def _few(values: Mapping[str, KeepSpec]) -> Mapping[str, KeepSpec]:
    if len(values) > MOST_KEPT:
        raise InvalidValueError(f"has {len(values)} values, and a job keeps at most {MOST_KEPT}")
    return values


Keep: TypeAlias = Annotated[Mapping[Name, KeepSpec], AfterValidator(_few)]
