r"""Regular expressions on foreign text: RE2 runs each of them, in time linear in the text.

Python's own engine tries alternatives one after the other. On a hostile or long text a simple expression can take
minutes. RE2 (https://github.com/google/re2) runs an automaton instead, so it has no look-around and no
backreferences. Otherwise its syntax is Python's, with these differences:

* ``\d``, ``\w``, ``\s`` and ``\b`` match ASCII only; ``\p{L}`` is a letter of any script, ``\p{N}`` a number;
* ``$`` is the end of the text, never the position before a last line feed.

Syntax that only Python has (``\Z``, ``\u00e9``, ``{,3}``) is rewritten here.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import re2

_LONGEST_SOURCE: Final = 4096
_LARGEST_PROGRAM: Final = 20_000
_MEMORY_BYTES: Final = 4 * 1_048_576

_ESCAPE: Final = r"\\(?:u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<end>Z)|.)"
_ESCAPES: Final = re.compile(_ESCAPE, re.DOTALL)
_PYTHON_ONLY: Final = re.compile(
    rf"{_ESCAPE}"
    r"|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|\{,(?P<most>[0-9]+)\}",
    re.DOTALL,
)
_ADVICE: Final = (
    (
        re.compile(r"\(\?<?[=!]"),
        "looks ahead or behind, which RE2 does not have. Write it without: match the text around it, too, and put the "
        "value into a group, exclude other values with excludes (or an earlier rule), or list the permitted "
        "characters, as in [^/]",
    ),
    (
        re.compile(r"\\[1-9]|\(\?P="),
        "refers back to a group, which RE2 does not have. Write the alternatives out, as in \"[^\"]*\"|'[^']*'",
    ),
    (
        re.compile(r"\(\?>|[*+?}]\+"),
        "has an atomic group or a possessive quantifier. Remove the > or the +: RE2 never backtracks",
    ),
    (re.compile(r"\(\?\(|\(\?#"), "has a condition on a group, or a comment. Write two alternatives, and no comment"),
    (
        re.compile(r"\(\?[a-zA-Z]*[aLux]"),
        "sets an unknown flag. Use only i, m, s and U",
    ),
)
_ESCAPED: Final = re.compile(r"\\[^1-9]", re.DOTALL)


class PatternError(ValueError):
    """A regular expression cannot be used; the message says why, and how to write it instead."""


class Pattern:
    """A compiled expression on text. Each method takes time linear in the text; lone surrogates count as ``?``."""

    __slots__ = ("_compiled", "_group", "source")

    def __init__(self, source: str, compiled: Any) -> None:
        self.source = source
        self._compiled = compiled
        self._group = 1 if compiled.groups else 0

    def found_in(self, text: str) -> bool:
        """Whether the expression matches a part of the text."""
        return self._compiled.search(_encodable(text)) is not None

    def matches(self, text: str) -> bool:
        """Whether the expression matches the whole text."""
        return self._compiled.fullmatch(_encodable(text)) is not None

    def first_group(self, text: str) -> str | None:
        """The first group of the first match, or the whole match if there is no group; ``None`` without a match."""
        found = self._compiled.search(_encodable(text))
        if found is None:
            return None
        part: str | None = found[self._group]
        return part


class BytesPattern:
    """A compiled expression on UTF-8."""

    __slots__ = ("_compiled",)

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def found_in(self, data: bytes) -> bool:
        """Whether the expression matches a part of the data."""
        return self._compiled.search(data) is not None

    def replaced(self, data: bytes, replacement: Callable[[Sequence[bytes]], bytes]) -> bytes:
        """The data with every match replaced; ``replacement`` gets the whole match and its groups, in this order."""
        pieces: list[bytes] = []
        end = 0
        for found in self._compiled.finditer(data):
            groups: tuple[bytes, ...] = found.groups(b"")
            pieces += (data[end : found.start()], replacement((found[0], *groups)))
            end = found.end()
        return b"".join((*pieces, data[end:])) if pieces else data


@lru_cache(maxsize=1024)
def compile_pattern(source: str) -> Pattern:
    """The compiled form of an expression from a spec or a configuration.

    Raises:
        PatternError: it is no expression, needs a feature that RE2 does not have, or is too large.
    """
    return Pattern(source, _compiled(source, _rewritten(source), source))


def compile_bytes(source: str) -> BytesPattern:
    """The compiled form of an expression of Tidewaiter itself, on UTF-8, ignoring case."""
    return BytesPattern(_compiled(source, f"(?i){source}".encode(), ""))


def _compiled(shown: str, source: str | bytes, person: str) -> Any:
    if len(source) > _LONGEST_SOURCE:
        raise PatternError(f"not a regular expression that can be used: it has more than {_LONGEST_SOURCE} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    try:
        compiled = re2.compile(source, options)
    except re2.error as error:
        raise PatternError(_why(person or shown, error)) from None
    except UnicodeEncodeError:
        raise PatternError("not a regular expression: it contains a lone surrogate") from None
    if compiled.programsize > _LARGEST_PROGRAM:
        raise PatternError(_TOO_LARGE)
    return compiled


_TOO_LARGE: Final = (
    "not a regular expression that can be used: its repetitions are too large. "
    "Use + or * instead of a large {n,m}; max_length limits a text"
)


def _why(source: str, error: Exception) -> str:
    raw = error.args[0] if error.args else ""
    message = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    if "too large" in message or "repetition size" in message:
        return _TOO_LARGE
    unescaped = _ESCAPED.sub("", source)
    advice = next((advice for sign, advice in _ADVICE if sign.search(unescaped)), None)
    if advice is not None:
        return f"not a regular expression that can be used: {advice}"
    try:
        re.compile(source)  # its message has the position
    except (re.error, RecursionError, OverflowError) as python:
        message = str(python)
    return f"not a regular expression: {message}"


def _rewritten(source: str) -> str:
    r"""The expression in RE2's syntax; raises ``PatternError`` for ``\C``, which splits characters."""

    def piece(found: re.Match[str]) -> str:
        if found["set"] is not None:
            return _ESCAPES.sub(escape, found[0])
        return escape(found) if found["most"] is None else f"{{0,{found['most']}}}"

    def escape(found: re.Match[str]) -> str:
        if found["end"] is not None:
            return r"\z"
        code = found["short"] or found["long"]
        if found[0] == r"\C":
            raise PatternError(r"not a regular expression: there is no \C")
        return found[0] if code is None else rf"\x{{{code}}}"

    return _PYTHON_ONLY.sub(piece, source)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
