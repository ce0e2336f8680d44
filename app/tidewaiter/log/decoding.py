"""Decodes a text, and maps each position back to the original.

Percent-encoding (RFC 3986), HTML entities (named, decimal and hexadecimal), the escapes of JSON strings (RFC 8259) and
blanks are removed in rounds, so that a text that was encoded twice, or in part, becomes plain. Each round takes time
linear in its text, and there are at most six.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from html.entities import html5
from typing import Final, TypeAlias

Span: TypeAlias = tuple[int, int]

_MOST_ROUNDS: Final = 6
# Every alternative except the blanks has a bound, so the search is linear.
_ENCODED: Final = re.compile(
    rb"%[0-9A-Fa-f]{2}"
    rb"|&(?:#[0-9]{1,10}|#[xX][0-9A-Fa-f]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});"
    rb"|\\(?:u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[/\"\\nrt])"
    rb"|\s+"
)
_CONTROLS: Final = {b"\\n": b"\n", b"\\r": b"\r", b"\\t": b"\t"}


@dataclass(slots=True)
class _Round:
    """One round of decoding, as segments: where each begins, and where it was before."""

    data: bytes = b""
    starts: list[int] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """The end of the original of a decoded segment; -1 for a segment that was copied."""

    def origin(self, span: Span) -> Span:
        """Where a span of ``data`` was before this round."""
        first, last = span[0], span[1] - 1
        at = bisect_right(self.starts, first) - 1
        start = self.origins[at] + (first - self.starts[at] if self.ends[at] < 0 else 0)
        at = bisect_right(self.starts, last) - 1
        end = self.ends[at] if self.ends[at] >= 0 else self.origins[at] + last - self.starts[at] + 1
        return start, end


class Layers:
    """A text, and the text after each round of decoding.

    Args:
        data: the text as UTF-8.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._rounds: list[_Round] = []

    def __iter__(self) -> Iterator[bytes]:
        """The text as it is, then after each round, until there is nothing to decode."""
        data = self._data
        yield data
        while len(self._rounds) < _MOST_ROUNDS and (decoded := _decode(data)) is not None:
            self._rounds.append(decoded)
            data = decoded.data
            yield data

    def origin(self, span: Span) -> Span:
        """Where a span of the last layer is in the original text."""
        for one in reversed(self._rounds):
            span = one.origin(span)
        return span


def decoded(data: bytes) -> bytes:
    """The text after all rounds of decoding, without blanks."""
    layer = data
    for layer in Layers(data):  # noqa: B007  # the last one is meant
        pass
    return layer


def _decode(data: bytes) -> _Round | None:
    """One round; ``None`` if nothing in the data is encoded."""
    made, pieces = _Round(), list[bytes]()
    done = length = 0
    for found in _ENCODED.finditer(data):
        value = _value_of(found[0])
        if value is None:
            continue
        start, end = found.span()
        if start > done:
            made.starts.append(length)
            made.origins.append(done)
            made.ends.append(-1)
            pieces.append(data[done:start])
            length += start - done
        if value:
            made.starts.append(length)
            made.origins.append(start)
            made.ends.append(end)
            pieces.append(value)
            length += len(value)
        done = end
    if done == 0:
        return None
    if done < len(data):
        made.starts.append(length)
        made.origins.append(done)
        made.ends.append(-1)
        pieces.append(data[done:])
    made.data = b"".join(pieces)
    return made


@lru_cache(maxsize=4096)
def _value_of(encoded: bytes) -> bytes | None:
    """The character that is encoded, empty for a blank; ``None`` if it is no encoding."""
    value = _character(encoded)
    return b"" if value is not None and value.isspace() else value


def _character(encoded: bytes) -> bytes | None:
    if encoded[:2] == b"\\u":
        units = encoded.decode("unicode-escape").encode("utf-16", "surrogatepass")
        return units.decode("utf-16", "replace").encode()
    if encoded[:2] == b"&#":
        digits = encoded[2:-1]
        return _utf8(int(digits[1:], 16) if digits[:1] in b"xX" else int(digits))
    if encoded[:1] == b"%":
        return bytes.fromhex(encoded[1:].decode())
    if encoded[:1] == b"&":
        named = html5.get(encoded[1:].decode())
        return None if named is None else named.encode()
    return _CONTROLS.get(encoded, encoded[1:]) if encoded[:1] == b"\\" else encoded


def _utf8(code: int) -> bytes | None:
    return None if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF else chr(code).encode()
