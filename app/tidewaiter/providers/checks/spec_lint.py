"""Reading a spec file: ``like`` is expanded, and all faults are found at once."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tidewaiter.providers.checks.spec_references import check_references
from tidewaiter.providers.checks.spec_traps import find_traps
from tidewaiter.providers.checks.xml_lint import check_xml_lists
from tidewaiter.providers.errors import SpecFault
from tidewaiter.providers.spec.provider_spec import ProviderSpec
from tidewaiter.providers.steps.parameters import unusable_in_urls
from tidewaiter.toml_file import TomlError, parse, read_text


def known_keys(annotation: Any, location: Sequence[str | int]) -> set[str]:
    """The keys of the table at a location, as pydantic reports locations, below a type.

    Args:
        annotation: the type, a model at first.
        location: names, numbers of items, and the tags of a union of tables with different ``type``.
    """
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _keys_of_model(annotation, location)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return known_keys(arguments[0], location)
    if origin is tuple:
        return known_keys(arguments[0], location[1:])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return known_keys(arguments[1], location[1:])
    tagged = [one for one in arguments if location and _tag(one) == location[0]]
    if tagged:
        return known_keys(tagged[0], location[1:])
    return set().union(*(known_keys(one, location) for one in arguments))


def _keys_of_model(model: type[BaseModel], location: Sequence[str | int]) -> set[str]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    if not location:
        return set(fields)
    field = fields.get(str(location[0]))
    return set() if field is None else known_keys(field.annotation, location[1:])


def _tag(model: Any) -> object:
    """The value of ``type`` that makes a table this model."""
    fields = getattr(model, "model_fields", {})
    values = get_args(fields["type"].annotation) if "type" in fields else ()
    return values[0] if len(values) == 1 else None


# --- like -------------------------------------------------------------------------------------------------------------


_LIKE = "like"
_MERGED = "params"
"""The only table of an operation that is merged by its keys; other tables are replaced as a whole."""


def expand_like(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """A parsed spec whose operations have all tables of their model; a wrong ``like`` is left as it is."""
    operations = raw.get("operations")
    if not isinstance(operations, Mapping):
        return raw
    whole = {name: _whole(one, operations) for name, one in operations.items()}
    return {**raw, "operations": whole}


def check_like(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The faults of every ``like``: its key, and the reason."""
    found = raw.get("operations")
    operations: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    for name, one in operations.items():
        model = one.get(_LIKE) if isinstance(one, Mapping) else None
        if not isinstance(model, str):
            continue
        key = f"operations.{name}.{_LIKE}"
        if model not in operations or model == name:
            others = ", ".join(other for other in operations if other != name) or "none"
            yield key, f"there is no other operation {model!r} (there are: {others})"
        elif isinstance(operations[model], Mapping) and _LIKE in operations[model]:
            yield key, f"{model} has a like itself; name that operation"


def _whole(operation: Any, operations: Mapping[str, Any]) -> Any:
    named = operation.get(_LIKE) if isinstance(operation, Mapping) else None
    model = operations.get(named) if isinstance(named, str) else None
    if not isinstance(model, Mapping) or model is operation or _LIKE in model:
        return operation
    merged = {**model, **operation}
    if isinstance(model.get(_MERGED), Mapping) and isinstance(operation.get(_MERGED), Mapping):
        merged[_MERGED] = {**model[_MERGED], **operation[_MERGED]}
    return merged


# --- reading and faults -----------------------------------------------------------------------------------------------


MOST_FAULTS = 100
"""The most faults that are listed for a file."""
_REASONS = {
    "missing": "is missing",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "mapping_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}


def lint(path: Path) -> list[SpecFault]:
    """Every fault and trap of a spec file, in the order of its keys; an empty list if there is none."""
    try:
        text = read_text(path)
    except TomlError as error:
        return [SpecFault(str(path), error.place, error.reason)]
    spec, faults = read_spec(str(path), text)
    return faults if spec is None else find_traps(str(path), spec, expand_like(parse(text)))


def read_spec(file: str, text: str) -> tuple[ProviderSpec | None, list[SpecFault]]:
    """The spec in a file's text, and its faults; the spec is ``None`` if there is a fault."""
    try:
        raw = parse(text)
    except TomlError as error:
        return None, [SpecFault(file, error.place, error.reason)]
    like_faults = [SpecFault(file, key, reason) for key, reason in check_like(raw)]
    raw = dict(expand_like(raw))
    try:
        spec = ProviderSpec.model_validate(raw)
    except ValidationError as error:
        faults = [_fault(file, raw, one) for one in _independent_errors(error)]
        return None, _listed(file, {*like_faults, *faults, *_static_faults(file, raw)})
    faults = _listed(file, {*like_faults, *_static_faults(file, raw), *_refused_defaults(file, spec)})
    return (None if faults else spec), faults


def _static_faults(file: str, raw: Mapping[str, Any]) -> Iterator[SpecFault]:
    yield from check_references(file, raw)
    yield from check_xml_lists(file, raw)


def _refused_defaults(file: str, spec: ProviderSpec) -> Iterator[SpecFault]:
    """Defaults of parameters that every job without a value of its own would be refused for."""
    for operation, one in spec.operations.items():
        defaults = {name: param.default for name, param in one.params.items() if param.default is not None}
        for name, reason in unusable_in_urls(one, defaults):
            yield SpecFault(file, f"operations.{operation}.params.{name}.default", reason)


def _independent_errors(error: ValidationError) -> list[Any]:
    """Pydantic's errors without those that only follow from others, such as "empty" for a list of wrong items."""
    errors: list[Any] = error.errors(include_url=False)
    inside = [one["loc"] for one in errors]
    return [
        one
        for one in errors
        if one["type"] != "too_short"
        or not any(other[: len(one["loc"])] == one["loc"] and other != one["loc"] for other in inside)
    ]


def _listed(file: str, faults: set[SpecFault]) -> list[SpecFault]:
    """The faults in the order of their keys; the first hundred of them, and how many more there are."""
    every = sorted(faults)
    left = len(every) - MOST_FAULTS
    return (
        every
        if left <= 0
        else [*every[:MOST_FAULTS], SpecFault(file, "", f"has {left} more faults, which are not listed")]
    )


def _fault(file: str, raw: Mapping[str, Any], error: Any) -> SpecFault:
    kind, context = error["type"], error.get("ctx", {})
    location: Sequence[str | int] = error["loc"]
    reason = _REASONS.get(kind) or error["msg"][:1].lower() + error["msg"][1:]
    if kind == "extra_forbidden":
        known = sorted(known_keys(ProviderSpec, location[:-1]))
        reason = f"unknown key (there are: {', '.join(known)})" if known else "unknown key"
    elif kind == "literal_error":
        reason = f"must be {context['expected']}"
    elif kind == "value_error":
        reason = str(context["error"])
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        reason = f"type must be one of {context.get('expected_tags', 'none, basic, bearer, header, query')}"
    elif kind == "string_pattern_mismatch":
        reason = f"does not match the pattern {context['pattern']}"
    return SpecFault(file, _key(raw, location, kind), reason)


def _key(raw: Any, location: Sequence[str | int], kind: str) -> str:
    """The key as it stands in the file: without the numbers and tables that the models added to a short form."""
    key = ""
    for number, part in enumerate(location):
        last = number == len(location) - 1
        if isinstance(part, int):
            if not isinstance(raw, list):
                continue
            key, raw = f"{key}[{part}]", raw[part] if part < len(raw) else None
        elif isinstance(raw, dict) and (part in raw or (last and kind == "missing")):
            key, raw = f"{key}.{part}" if key else part, raw.get(part)
    return key
