"""Nested members of a form, as Rails reads them: ``a[b][c]=1`` and ``a[b][][c]=1``."""

import re
from collections.abc import Iterable
from typing import Final

_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_STEP: Final = re.compile(r"\[([^\[\]]*)\]")


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """The fields as one object. A list begins a new element when its last element already has the field.

    A malformed name is used as it is; of two values for one name the last counts.
    """
    fields: dict[str, object] = {}
    for name, value in pairs:
        match = _NAME.fullmatch(name)
        path = [match[1], *_STEP.findall(match[2])] if match else [name]
        _put(fields, path, value)
    return fields


def _put(into: dict[str, object], path: list[str], value: str) -> None:
    first, rest = path[0], path[1:]
    if not rest:
        into[first] = value
    elif rest[0]:
        _put(_child(into, first), rest, value)
    else:
        _append(into, first, rest[1:], value)


def _child(into: dict[str, object], name: str) -> dict[str, object]:
    child = into.get(name)
    if not isinstance(child, dict):
        child = into[name] = {}
    return child


def _append(into: dict[str, object], name: str, rest: list[str], value: str) -> None:
    elements = into.get(name)
    if not isinstance(elements, list):
        elements = into[name] = []
    if not rest:
        elements.append(value)
        return
    if not elements or not isinstance(elements[-1], dict) or rest[0] in elements[-1]:
        elements.append({})
    _put(elements[-1], rest, value)
