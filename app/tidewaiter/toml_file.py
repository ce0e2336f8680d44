"""Reading TOML files within limits, so that a hostile or broken file gives an error at once.

The parser of the standard library recurses for each nested array or table and needs quadratic time for a long dotted
key. So the text is scanned first, in linear time, and extreme nesting, keys and numbers are refused with their line.
"""

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

from tidewaiter.file_access import reason_of

LARGEST_FILE: Final = 1_048_576
"""The most bytes of a configuration or a spec."""
_DEEPEST: Final = 32
_MOST_PARTS: Final = 32
_MOST_DIGITS: Final = 400
_INVALID_VALUE: Final = "Invalid value"
_AT_LINE: Final = re.compile(r" \(at (line \d+, column \d+)\)$")
# Strings and comments are skipped; the other tokens nest, join or separate. A string that is not closed is a token as
# well, and nothing backtracks (`*+`), so the time is linear.
_TOKENS: Final = re.compile(
    r"""
    \"{3} (?: [^"\\] | \\. | "(?!"") )*+ "{0,5}
    | '{3} (?: [^'] | '(?!'') )*+ '{0,5}
    | " (?: [^"\\\n] | \\. )*+ "?
    | ' [^'\n]*+ '?
    | \# [^\n]*+
    | (?P<digits> [0-9] [0-9A-Za-z_]*+ )
    | (?P<mark> [.\[\]{}=,\n] )
    """,
    re.DOTALL | re.VERBOSE,
)


class TomlError(ValueError):
    """A file or text is not TOML, or exceeds a limit.

    Args:
        reason: what is wrong, to be printed after the file's name.
        place: the line, and the column where it is known; may be empty.
    """

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


def read_regular(path: Path, largest: int) -> bytes:
    """The content of a regular file; a link to one is followed.

    Args:
        path: of the file.
        largest: the most bytes that it may have.

    Raises:
        ValueError: it cannot be read, is larger, or is a device, a pipe or a socket. The message
            is to be printed after the file's name, and does not quote the content.
    """
    try:
        # Without O_NONBLOCK, opening a pipe without a writer would wait forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            kind = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(kind):
                raise ValueError("cannot be read: Is a directory")
            if not stat.S_ISREG(kind):
                raise ValueError("is not a regular file; a pipe, a device or a socket is not read")
            content = file.read(largest + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {reason_of(error, path)}") from None
    if len(content) > largest:
        raise ValueError(f"is larger than {largest // 1024} KiB")
    return content


def read_text(path: Path) -> str:
    """The text of a configuration or a spec.

    Raises:
        TomlError: it cannot be read, is larger than `LARGEST_FILE`, is not a regular file, or is not UTF-8.
    """
    try:
        return read_regular(path, LARGEST_FILE).decode()
    except UnicodeDecodeError as error:
        raise TomlError(f"is not UTF-8 text: byte {error.start} cannot be read") from None
    except ValueError as error:
        raise TomlError(str(error)) from None


def parse(text: str) -> dict[str, Any]:
    """The document of a TOML text (https://toml.io/en/v1.0.0).

    Raises:
        TomlError: it is not TOML, is nested too deep, or has keys or numbers that are too long.
    """
    if len(text) > LARGEST_FILE:
        raise TomlError(f"is larger than {LARGEST_FILE // 1024} KiB")
    _check_limits(text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        at = _AT_LINE.search(message)
        reason = message if at is None else message[: at.start()]
        hint = "; text must be in quotes" if reason == _INVALID_VALUE else ""
        raise TomlError(f"is not TOML: {reason}{hint}", "" if at is None else at[1]) from None


def _check_limits(text: str) -> None:
    """Refuse text for which the parser would need too much time, or fail."""
    depth = parts = 0
    for token in _TOKENS.finditer(text):
        mark = token["mark"]
        if mark == ".":
            parts += 1
        elif mark is not None:
            parts = 0
            depth = depth + (mark in "[{") - (mark in "]}") if mark in "[]{}" else depth
        if token["digits"] is not None and len(token["digits"]) > _MOST_DIGITS:
            raise TomlError(f"is not read: a number has more than {_MOST_DIGITS} digits", _line_of(text, token))
        if depth > _DEEPEST:
            reason = f"is not read: arrays and tables are nested more than {_DEEPEST} deep"
            raise TomlError(reason, _line_of(text, token))
        if parts > _MOST_PARTS:
            raise TomlError(f"is not read: a key has more than {_MOST_PARTS} parts", _line_of(text, token))


def _line_of(text: str, token: re.Match[str]) -> str:
    return f"line {text.count(chr(10), 0, token.start()) + 1}"
