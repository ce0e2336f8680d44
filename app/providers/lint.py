"""Reading a spec file: everything that is wrong with it at once, each fault with its key and a reason."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.providers.faults import Fault
from app.providers.known_keys import known_keys
from app.providers.likeness import check_likeness, written_out
from app.providers.references import check_references
from app.providers.spec.provider import ProviderSpec
from app.toml_file import TomlError, parse, read_text

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


def lint(path: Path) -> list[Fault]:
    """Every fault of a spec file, in the order of its keys; an empty list where it can be used."""
    try:
        text = read_text(path)
    except TomlError as error:
        return [Fault(str(path), error.place, error.reason)]
    return read_spec(str(path), text)[1]


def read_spec(file: str, text: str) -> tuple[ProviderSpec | None, list[Fault]]:
    """The spec in a file's text, and its faults; the spec is ``None`` where there is any."""
    try:
        raw = parse(text)
    except TomlError as error:
        return None, [Fault(file, error.place, error.reason)]
    unlike = [Fault(file, key, reason) for key, reason in check_likeness(raw)]
    raw = dict(written_out(raw))
    try:
        spec = ProviderSpec.model_validate(raw)
    except ValidationError as error:
        faults = [_fault(file, raw, one) for one in _telling(error)]
        return None, _listed(file, {*unlike, *faults, *check_references(file, raw)})
    faults = _listed(file, {*unlike, *check_references(file, raw)})
    return (None if faults else spec), faults


def _telling(error: ValidationError) -> list[Any]:
    """Pydantic's errors without those that only follow from others: a list whose items are all wrong is not empty."""
    errors: list[Any] = error.errors(include_url=False)
    inside = [one["loc"] for one in errors]
    return [
        one
        for one in errors
        if one["type"] != "too_short"
        or not any(other[: len(one["loc"])] == one["loc"] and other != one["loc"] for other in inside)
    ]


def _listed(file: str, faults: set[Fault]) -> list[Fault]:
    """The faults in the order of their keys; the first hundred of them, and how many more there are."""
    every = sorted(faults)
    left = len(every) - MOST_FAULTS
    return (
        every if left <= 0 else [*every[:MOST_FAULTS], Fault(file, "", f"has {left} more faults, which are not listed")]
    )


def _fault(file: str, raw: Mapping[str, Any], error: Any) -> Fault:
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
    return Fault(file, _key(raw, location, kind), reason)


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
