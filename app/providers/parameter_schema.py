"""The JSON Schema (2020-12) of an operation's parameters, for programs that make requests and editors that help.

It says what is sent best. What is taken besides, such as a value of an enum in other letters or under another name, and
a number given as text, is not in it.
"""

from collections.abc import Mapping
from typing import Any, Final

from app.domain.jsonvalue import Json
from app.providers.spec.parameters import Parameter
from app.providers.spec.provider import OperationSpec

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def parameter_schema(operation: OperationSpec) -> dict[str, Any]:
    """The schema of an object that holds the parameters."""
    return {"$schema": DIALECT, **_object(operation.params)}


def _object(params: Mapping[str, Parameter]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "object",
        "properties": {name: _value(one) for name, one in params.items()},
        "additionalProperties": False,
    }
    needed = {name: one for name, one in params.items() if one.required and one.default is None}
    always = [name for name, one in needed.items() if not one.when]
    if always:
        made["required"] = always
    sometimes = [_where(one.when, name) for name, one in needed.items() if one.when]
    if sometimes:
        made["allOf"] = sometimes
    return made


def _where(when: Mapping[str, Json], name: str) -> dict[str, Any]:
    """That a parameter is required where others have these values."""
    held = {other: {"const": value} for other, value in when.items()}
    return {"if": {"properties": held, "required": list(held)}, "then": {"required": [name]}}


def _value(one: Parameter) -> dict[str, Any]:
    made: dict[str, Any] = {"type": one.type, "description": one.help}
    if one.default is not None:
        made["default"] = one.default
    if one.example is not None:
        made["examples"] = [one.example]
    if one.enum and one.more:
        made["anyOf"] = [{"enum": list(one.enum)}, {"type": "string", "minLength": 1}]
    elif one.enum:
        made["enum"] = list(one.enum)
    if one.pattern is not None:
        made["pattern"] = f"^(?:{one.pattern})$"
    if one.max_length is not None:
        made["maxLength"] = one.max_length
    if one.max_items is not None:
        made["maxItems"] = one.max_items
    if one.items is not None:
        made["items"] = _value(one.items)
    if one.fields:
        made |= {name: value for name, value in _object(one.fields).items() if name != "type"}
    return made
