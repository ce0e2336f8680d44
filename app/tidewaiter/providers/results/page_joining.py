"""Joining the pages of a list into one file: a JSON array of all items, one item a line, or one CSV with one header."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tidewaiter.domain.http_values import Json

_LONGEST_HEADER_BYTES = 1_048_576
_DECISIVE = re.compile(rb'["\n]')
_MARK = b"\xef\xbb\xbf"


class JoinError(Exception):
    """A page does not belong to those before it; the message is a sentence."""


def json_items(items: Sequence[Json], *, first: bool) -> bytes:
    """Items as text of a JSON array, with the comma after those before."""
    data = _joined(items, ",\n")
    return data if first or not data else b",\n" + data


def json_lines(items: Sequence[Json]) -> bytes:
    """Items as JSON, one a line. Line breaks within an item are escaped in JSON."""
    data = _joined(items, "\n")
    return data and data + b"\n"


def _joined(items: Sequence[Json], between: str) -> bytes:
    try:
        return between.join(_written(item) for item in items).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which is permitted in JSON but not in UTF-8
        return between.join(json.dumps(item, separators=(",", ":")) for item in items).encode()


def _written(item: Json) -> str:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Csv:
    """The joined pages so far: their header, whether the last line has ended, and the number of records."""

    header: bytes | None = None
    newline: bytes = b"\n"
    ended: bool = True
    records: int = 0


class CsvPage:
    """One page of CSV (RFC 4180) on its way into the joined file, piece by piece.

    An incomplete page is dropped, and starts again from the same ``so_far``.

    Args:
        so_far: the pages before.
    """

    def __init__(self, so_far: Csv) -> None:
        self._head: bytearray | None = bytearray()
        self._header = so_far.header
        self._newline = so_far.newline
        self._records = so_far.records
        self._quoted = False
        self._in_record = False
        self._ended = so_far.ended

    def feed(self, piece: bytes) -> bytes:
        """The part of the next bytes that belongs into the file.

        Raises:
            JoinError: the page has other columns than those before it, or a header without end.
        """
        if self._head is None:
            return self._rows(piece)
        looked_at = len(self._head)
        self._head += piece
        end = self._end_of_header(self._head, looked_at)
        if end is None:
            if len(self._head) > _LONGEST_HEADER_BYTES:
                raise JoinError("A page of CSV has a header without end.")
            return b""
        head, rows = bytes(self._head[:end]), bytes(self._head[end:])
        self._head = None
        return self._begin(head) + self._rows(rows)

    def end(self) -> tuple[bytes, Csv]:
        """The last bytes of the page, and the joined pages with it; see :meth:`feed`."""
        left = b""
        if self._head:
            left = self._begin(bytes(self._head))
        records = self._records + self._in_record
        return left, Csv(self._header, self._newline, self._ended, records)

    def _end_of_header(self, head: bytearray, start: int) -> int | None:
        """The end of the header: after the first line break outside of quotes. Each byte is examined once."""
        for found in _DECISIVE.finditer(head, start):
            if found[0] == b'"':
                self._quoted = not self._quoted
            elif not self._quoted:
                return found.end()
        return None

    def _begin(self, head: bytes) -> bytes:
        """The first header is written; each later one is compared and dropped."""
        header = head.removeprefix(_MARK).rstrip(b"\r\n")
        if self._header is None:
            self._header = header
            self._newline = b"\r\n" if head.endswith(b"\r\n") else b"\n"
            self._ended = head.endswith(b"\n")
            return head
        if header != self._header:
            raise JoinError("A page of CSV has other columns than the pages before it.")
        return b""

    def _rows(self, data: bytes) -> bytes:
        if not data:
            return b""
        before = b"" if self._ended or self._in_record else self._newline
        for number, part in enumerate(data.split(b'"')):
            if number:
                self._quoted = not self._quoted
            if not self._quoted:
                self._records += part.count(b"\n")
        self._in_record = self._quoted or not data.endswith(b"\n")
        self._ended = not self._in_record
        return before + data
