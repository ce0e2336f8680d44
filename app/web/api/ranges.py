"""Ranges of a file (RFC 9110, section 14): one at a time; a header that asks for anything else is passed over."""

import re
from typing import Final

_RANGE: Final = re.compile(r"bytes=\s*([0-9]*)-([0-9]*)\s*", re.IGNORECASE)
_LONGEST: Final = 19


class UnsatisfiableError(Exception):
    """The file has no such range."""


def range_of(header: str | None, size: int) -> tuple[int, int] | None:
    """The range that a header asks for, from its first byte to the one after its last; ``None`` for the whole file.

    Args:
        header: the value of ``Range``.
        size: of the file, in bytes.

    Raises:
        UnsatisfiableError: it begins behind the end, or is of no byte.
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or not any(found.groups()) or any(len(digits) > _LONGEST for digits in found.groups()):
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= stop:
        raise UnsatisfiableError
    return start, stop
