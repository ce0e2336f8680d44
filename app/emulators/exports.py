"""The content of Symplify's statistic exports: rows that follow from the type and their number alone."""

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

EXPORT_TYPES: Final = frozenset(
    {
        "LISTS",
        "CAMPAIGNS",
        "MESSAGES",
        "OPENS",
        "SENT",
        "CLICKS",
        "PROJECTS",
        "HARD_BOUNCES",
        "SOFT_BOUNCES",
        "OPTOUTS",
    }
)
EXPORT_ALIASES: Final = {"OPENED": "OPENS"}  # the one that the vendor's own example uses
PERIODS: Final = frozenset({"TODAY", "LAST_DAY", "LAST_3_DAYS", "LAST_WEEK", "LAST_2_WEEKS"})

_NAMED: Final = frozenset({"LISTS", "CAMPAIGNS", "MESSAGES", "PROJECTS"})
_FIRST_AT_MS: Final = 1_394_636_797_030


class ExportForm(StrEnum):
    """How the rows are written: one JSON array, one JSON object a line, or no byte at all."""

    ARRAY = "array"
    NDJSON = "ndjson"
    EMPTY = "empty"


def export_file(export_type: str, form: ExportForm, rows: int) -> bytes:
    """The file of an export of this type with this many rows; without rows the array form is ``[]``."""
    match form:
        case ExportForm.ARRAY:
            return json.dumps(list(_rows(export_type, rows))).encode()
        case ExportForm.NDJSON:
            return b"".join(json.dumps(row).encode() + b"\n" for row in _rows(export_type, rows))
        case ExportForm.EMPTY:
            return b""


def _rows(export_type: str, rows: int) -> Iterator[dict[str, int | str]]:
    for number in range(1, rows + 1):
        at_ms = _FIRST_AT_MS + 61_000 * number
        if export_type in _NAMED:
            yield {"id": number, "name": f"{export_type.lower()} no. {number}", "created": at_ms}
        else:
            yield {
                "messageId": 1 + number % 7,
                "contactId": number,
                "email": f"reader-{number}@example.org",
                "date": at_ms,
                "event": export_type,
            }
