"""Operations that are like another one of the same spec, and say only what differs."""

from collections.abc import Iterator, Mapping
from typing import Any

_LIKE = "like"
_MERGED = "params"
"""The one table of an operation that is merged by its keys; any other is taken whole or not at all."""


def written_out(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """A parsed spec in which every operation says all of itself; what is wrong with ``like`` is left as it is."""
    operations = raw.get("operations")
    if not isinstance(operations, Mapping):
        return raw
    whole = {name: _whole(one, operations) for name, one in operations.items()}
    return {**raw, "operations": whole}


def check_likeness(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
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
            yield key, f"{model} is itself like another; name that one"


def _whole(operation: Any, operations: Mapping[str, Any]) -> Any:
    named = operation.get(_LIKE) if isinstance(operation, Mapping) else None
    model = operations.get(named) if isinstance(named, str) else None
    if not isinstance(model, Mapping) or model is operation or _LIKE in model:
        return operation
    merged = {**model, **operation}
    if isinstance(model.get(_MERGED), Mapping) and isinstance(operation.get(_MERGED), Mapping):
        merged[_MERGED] = {**model[_MERGED], **operation[_MERGED]}
    return merged
