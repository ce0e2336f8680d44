"""The filters of the page's templates: the formatters, with a no-break space between a number and its unit."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from app.domain import formatting
from app.domain.progress import fraction_of

_UNIT: Final = re.compile(r"(?<=[0-9]) (?=[A-Za-z])")


def unbroken(text: str) -> str:
    """The text with a no-break space between each number and its unit."""
    return _UNIT.sub("\u00a0", text)


def _unbroken(formatter: Callable[..., str]) -> Callable[..., str]:
    return lambda *values: unbroken(formatter(*values))


counted: Final = _unbroken(formatting.counted)
rough: Final = _unbroken(formatting.rough)
FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "ago": _unbroken(formatting.ago),
    "clock": formatting.clock,
    "counted": counted,
    "duration": _unbroken(formatting.duration),
    "fraction_of": fraction_of,
    "machine": formatting.rfc3339,
    "moment": formatting.moment,
    "number": formatting.number,
    "parameters": formatting.parameters,
    "rough": rough,
    "size": _unbroken(formatting.size),
    "written": formatting.written,
}
