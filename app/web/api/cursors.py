"""Cursors: where a page ended, as an opaque text that fits the list and the filters it was made for and no others.

A cursor carries the last number and a digest over it, the list and the filters. The digest keeps no secret, for a
cursor gives access to nothing; it makes sure that what is not a cursor of ours for these filters is refused, and not
guessed at.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from app.store.listing import LARGEST_ID
from app.web.problems import FieldFault

_NUMBER: Final = 8
_DIGEST: Final = 10
_PAGING: Final = frozenset({"cursor", "limit"})


def cursor_of(last_id: int, path: str, filters: Mapping[str, Sequence[str]]) -> str:
    """The cursor of a page of the list at a path that ended with a number."""
    number = last_id.to_bytes(_NUMBER)
    return base64.urlsafe_b64encode(number + _digest(number, path, filters)).decode()


def read_cursor(text: str, path: str, filters: Mapping[str, Sequence[str]]) -> int | None:
    """The number that a cursor carries; ``None`` where it was not made for this list and these filters."""
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    number, digest = raw[:_NUMBER], raw[_NUMBER:]
    if len(raw) != _NUMBER + _DIGEST or digest != _digest(number, path, filters):
        return None
    last_id = int.from_bytes(number)
    return last_id if last_id <= LARGEST_ID else None


def _digest(number: bytes, path: str, filters: Mapping[str, Sequence[str]]) -> bytes:
    named = repr((path, sorted((name, sorted(values)) for name, values in filters.items())))
    return hashlib.sha256(b"tidewaiter cursor\0" + number + named.encode()).digest()[:_DIGEST]


class Page:
    """A page of a list: where it begins and how it is followed, from a query and for its answer.

    Args:
        path: of the list.
        query: as it was sent.
    """

    def __init__(self, path: str, query: Mapping[str, Sequence[str]]) -> None:
        self._path = path
        self._query = query
        self._filters = {name: values for name, values in query.items() if name not in _PAGING}

    def begin(self, faults: list[FieldFault]) -> int | None:
        """The number that the page before ended with; a cursor that does not fit is added to ``faults``."""
        if "cursor" not in self._query:
            return None
        before = read_cursor(self._query["cursor"][0], self._path, self._filters)
        if before is None:
            faults.append(FieldFault("is no cursor for these filters; begin without one", parameter="cursor"))
        return before

    def following(self, last_id: int) -> str:
        """The address of the page after one that ended with this number."""
        kept = [(name, value) for name, values in self._query.items() if name != "cursor" for value in values]
        return f"{self._path}?{urlencode([*kept, ('cursor', cursor_of(last_id, self._path, self._filters))])}"
