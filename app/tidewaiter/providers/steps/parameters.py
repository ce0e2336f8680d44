"""Checks of an operation's parameters and an account's settings, and the JSON Schema of parameters."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidewaiter.domain.http_values import Json
from tidewaiter.providers.errors import ParameterError, SettingsError, SpecFault
from tidewaiter.providers.requests.request_building import path_names, spread_fault, spread_names, url_names
from tidewaiter.providers.spec.field_types import holds
from tidewaiter.providers.spec.parameter_spec import (
    Item,
    ParameterSpec,
    by_own_name,
    check_values,
    find_missing,
    find_ruled_out,
    find_unknown,
)
from tidewaiter.providers.spec.provider_spec import OperationSpec
from tidewaiter.providers.spec.value_spec import Problems, SettingSpec
from tidewaiter.providers.steps.compiled_steps import urls_of


def names_as_written(spec: OperationSpec, settings: Mapping[str, Json]) -> OperationSpec:
    """The operation for an account with these settings.

    If the ``as_written`` of a parameter or field holds, each of its other names (``also``) becomes a separate
    parameter, so its value is stored and sent under the name that was used. An operation without such a parameter is
    returned as it is: a thousand accounts share it.
    """
    if not any(map(_is_as_written, spec.params.values())):
        return spec
    return spec.model_copy(update={"params": dict(_separated(spec.params, settings))})


def _is_as_written(one: ParameterSpec) -> bool:
    """Whether the names of a parameter, or of a field in it, can depend on the settings."""
    inside = [*one.fields.values(), *(one.items.fields.values() if one.items is not None else ())]
    return bool(one.as_written) or any(map(_is_as_written, inside))


def _separated(
    params: Mapping[str, ParameterSpec], settings: Mapping[str, Json]
) -> Iterator[tuple[str, ParameterSpec]]:
    for name, one in params.items():
        inner = one.model_copy(update={"fields": dict(_separated(one.fields, settings)), "items": _item(one, settings)})
        if not one.as_written or not holds(one.as_written, settings):
            yield name, inner
            continue
        for own in (name, *one.also):
            yield own, inner.model_copy(update={"also": ()})


def _item(one: ParameterSpec, settings: Mapping[str, Json]) -> Item | None:
    if one.items is None:
        return None
    return one.items.model_copy(update={"fields": dict(_separated(one.items.fields, settings))})


def check_params(spec: OperationSpec, raw: Mapping[str, Json]) -> dict[str, Json]:
    """A job's parameters, typed and with defaults.

    Raises:
        ParameterError: unknown, missing, not permitted, or ruled out by another parameter; the key of a fault inside an
            object or array is a path.
    """
    problems: Problems = []
    find_unknown(spec.params, raw, "parameter", "", problems)
    named = by_own_name(spec.params, raw, "", problems)
    checked = check_values(spec.params, named, "", problems)
    find_ruled_out(spec.params, named, checked, "", problems)
    problems += unusable_in_urls(spec, checked.values)
    problems += unusable_in_fields(spec, checked.values)
    find_missing(spec.params, checked, "", problems)
    if problems:
        raise ParameterError(SpecFault("", key, reason) for key, reason in problems)
    return checked.values


def secret_names(spec: OperationSpec) -> frozenset[str]:
    """The names of the secret parameters."""
    return frozenset(name for name, one in spec.params.items() if one.secret)


def unlisted_values(spec: OperationSpec, params: Mapping[str, Json]) -> Problems:
    """The checked values that are sent but are not in the spec: the path, and a message."""
    return [
        problem
        for name, value in params.items()
        if name in spec.params
        for problem in spec.params[name].unlisted(value, name)
    ]


def check_settings(account: str, specs: Mapping[str, SettingSpec], raw: Mapping[str, Json]) -> dict[str, Json]:
    """An account's settings, typed and with defaults.

    A setting that others rule out (a token if HTTP Basic is used) is checked, but is no fault.

    Raises:
        SettingsError: unknown, missing, of a wrong type, or not permitted.
    """
    problems: Problems = []
    find_unknown(specs, raw, "setting", "", problems)
    checked = check_values(specs, by_own_name(specs, raw, "", problems), "", problems)
    values = checked.values
    find_missing(specs, checked, "", problems)
    if problems:
        raise SettingsError(SpecFault(f"account {account}", key, reason) for key, reason in problems)
    return values


def unusable_in_urls(spec: OperationSpec, values: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """The parameters whose values cannot stand in the addresses that use them, and why."""
    in_urls = frozenset().union(*(url_names(url) for url in urls_of(spec)))
    in_paths = frozenset().union(*(path_names(url) for url in urls_of(spec)))
    for name, value in values.items():
        if name not in in_urls or not isinstance(value, str):
            continue
        parts = value.removeprefix("/").split("/") if name in in_paths else [value]
        # Such a segment is removed, or names another one: RFC 3986, section 5.2.4.
        if any(part.strip(".") == "" for part in parts):
            why = "has a segment that is empty or made of dots, and" if len(parts) > 1 else ""
            shown = "the secret" if spec.params[name].secret else repr(value)
            yield name, f"{shown} {why} cannot be a part of a URL".replace("  ", " ")


def unusable_in_fields(spec: OperationSpec, values: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """The members of objects that every way to submit spreads over a query or form, and that cannot stand there."""
    spread = frozenset.intersection(*map(spread_names, spec.submit)) if spec.submit else frozenset()
    for name in sorted(spread & values.keys()):
        value = values[name]
        for key, one in value.items() if isinstance(value, Mapping) else ():
            if (fault := spread_fault(one)) is not None:
                yield f"{name}.{key}", fault


# --- JSON Schema ------------------------------------------------------------------------------------------------------


DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def parameter_schema(operation: OperationSpec) -> dict[str, Any]:
    """The schema of an object of parameters."""
    return {"$schema": DIALECT, **_object(operation.params)}


def _object(params: Mapping[str, ParameterSpec]) -> dict[str, Any]:
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
    """A parameter is required if others have these values."""
    held = {other: {"const": value} for other, value in when.items()}
    return {"if": {"properties": held, "required": list(held)}, "then": {"required": [name]}}


def _value(one: ParameterSpec) -> dict[str, Any]:
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
    most = {"maxLength": one.max_length, "maxItems": one.max_items}
    made |= {name: number for name, number in most.items() if number is not None}
    if one.secret:
        made |= {"format": "password", "writeOnly": True}
    if one.items is not None:
        made["items"] = _value(one.items)
    if one.fields:
        made |= {name: value for name, value in _object(one.fields).items() if name != "type"}
    return made
