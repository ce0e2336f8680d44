"""Finds times in JSON that are not written as all JSON of Tidewaiter writes them: RFC 3339, UTC, milliseconds."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

TIME_NAME: Final = re.compile(r"(.*_)?(at|until)|timestamp|scheduled_for")
"""The names of members that are times."""
_WRITTEN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_FOREIGN: Final = frozenset({"params", "settings", "kept", "labels", "schema", "properties"})
"""Members whose content is not ours."""


def other_times(document: Any, at: str = "") -> Iterator[str]:
    """The members of a document, by their paths, that are times in another form."""
    if isinstance(document, Mapping):
        for name, value in document.items():
            path = f"{at}.{name}" if at else name
            if TIME_NAME.fullmatch(name) and not _is_time(value):
                yield f"{path} = {value!r}"
            if name not in _FOREIGN:
                yield from other_times(value, path)
    elif isinstance(document, list):
        for number, one in enumerate(document):
            yield from other_times(one, f"{at}[{number}]")


def _is_time(value: object) -> bool:
    return value is None or isinstance(value, dict | list) or bool(isinstance(value, str) and _WRITTEN.fullmatch(value))
