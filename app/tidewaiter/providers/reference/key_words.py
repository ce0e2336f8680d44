"""A key of a spec in words: what it holds, and its default."""

import json
from collections.abc import Mapping
from functools import cache
from inspect import isclass
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

from tidewaiter.providers.spec.auth_spec import PlaceSpec, RenewRule
from tidewaiter.providers.spec.field_types import Code, Expression, HeaderName, Regex, Scalar, SentHeaderName
from tidewaiter.providers.spec.request_spec import RuleSpec, UrlTemplate

Model: TypeAlias = type[BaseModel]

_NAMED: Final[tuple[tuple[Any, str], ...]] = (
    (Expression, "[JMESPath](#jmespath)"),
    (Regex, "[regex](#regular-expressions)"),
    (Code, "status code, or a class such as `2xx`"),
    (Scalar, "text, whole number or boolean"),
    (HeaderName, "header"),
    (SentHeaderName, "header"),
    (UrlTemplate, "URL"),
    (JsonValue, "any JSON"),
)


def is_model(annotation: object) -> bool:
    """Whether a type is a table of the spec."""
    return isclass(annotation) and issubclass(annotation, BaseModel)


def models_in(annotation: Any) -> list[Model]:
    """The tables that a type names, in its order."""
    if is_model(annotation):
        return [annotation]
    return [one for argument in get_args(annotation) for one in models_in(argument)]


@cache
def hints_of(model: Model) -> Mapping[str, Any]:
    """The types of a table's keys with all that they are annotated with."""
    return get_type_hints(model, include_extras=True)


def slug(title: str) -> str:
    """The anchor of a heading, as forges make it."""
    kept = "".join(one for one in title.lower() if one.isalnum() or one in "_- ")
    return kept.replace(" ", "-")


def holds(model: Model, name: str, titles: Mapping[Model, str]) -> str:
    """What a key holds; tables are links to their headings."""
    return " ".join([_in_words(hints_of(model)[name], titles), *_bounds(model.model_fields[name])])


def default(model: Model, name: str) -> str:
    """The default of a key."""
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    match value[0] if isinstance(value, tuple) and value else value:
        case PlaceSpec() as place:
            return f"`{place.header}: {place.prefix.strip()}`"
        case RenewRule() as rule:
            return f"status {rule.status[0]}"
        case bool() | int() | float() as plain:
            return f"`{json.dumps(plain).removesuffix('.0')}`"
        case str() as text if text:
            return f"`{json.dumps(text)}`"
        case _:
            return ""


def _bounds(field: FieldInfo) -> list[str]:
    found = []
    for one in field.metadata:
        match one:
            case Ge(ge=bound):
                found.append(f"from {bound:g}")
            case Gt(gt=bound):
                found.append(f"above {bound:g}")
            case Le(le=bound):
                found.append(f"to {bound:g}")
            case Lt(lt=bound):
                found.append(f"below {bound:g}")
            case _:
                continue
    return found


def _link(model: Model, titles: Mapping[Model, str]) -> str:
    if issubclass(model, RuleSpec):
        return "[rule](#a-rule)"
    title = titles[model]
    return f"[{title.rpartition(', type ')[2]}](#{slug(title)})"


def _in_words(annotation: Any, titles: Mapping[Model, str]) -> str:  # one return for each form
    named = next((words for one, words in _NAMED if one == annotation), None)
    if named is not None:
        return named
    if is_model(annotation):
        return _link(annotation, titles)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner, *marks = arguments
        if get_origin(inner) is tuple:
            item = _in_words(get_args(inner)[0], titles)
            return f"{item}, or a list" if any(type(one).__name__ == "_OneOrMore" for one in marks) else f"list: {item}"
        return _in_words(inner, titles)
    if origin in (Union, UnionType):
        parts = [_in_words(one, titles) for one in arguments if one is not NoneType]
        return " or ".join(dict.fromkeys(parts))
    if origin is Literal:
        return ", ".join(f"`{json.dumps(one) if isinstance(one, bool) else one}`" for one in arguments)
    if isclass(origin) and issubclass(origin, Mapping):
        inside = arguments[1]
        return f"tables by name: {_in_words(inside, titles)}" if models_in(inside) else "table"
    return {bool: "`true` or `false`", int: "whole number", float: "number"}.get(annotation, "text")
