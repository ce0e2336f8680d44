"""Pages of lists: the query parameters that lists share, cursors, and the response with the link to the next page.

A cursor is opaque text. It holds the last number of a page and a digest of that number, the list and the filters. The
digest is no secret, because a cursor gives access to nothing. It only makes sure that a cursor for another list or for
other filters is refused.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlencode

from aiohttp import hdrs, web

from tidewaiter.database.job_list import LARGEST_ID
from tidewaiter.domain.job import State
from tidewaiter.web.api.request_input import LONGEST_VALUE
from tidewaiter.web.api.routing import ApiParameter, QueryParameters, json_reply
from tidewaiter.web.problems import FieldFault

MOST_LISTED: Final = 1000
USUAL: Final = 50
_NUMBER_BYTES: Final = 8
_DIGEST_BYTES: Final = 10
_PAGING: Final = frozenset({"cursor", "limit"})

TEXT: Final = {"type": "string", "minLength": 1, "maxLength": LONGEST_VALUE}
ACCOUNT: Final = ApiParameter("account", "only of this account", TEXT)
STATES: Final = ApiParameter(
    "state",
    "only in this state; if given several times, in any of them",
    {"enum": [state.value for state in State]},
    many=True,
)
LIMIT: Final = ApiParameter(
    "limit",
    f"the maximum number on a page; {USUAL} by default",
    {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": USUAL},
)
CURSOR: Final = ApiParameter("cursor", "where the page before ended: see `next`", TEXT)


class HasId(Protocol):
    """What a list holds: each item has a number."""

    @property
    def id(self) -> int:
        """The number."""


Item = TypeVar("Item", bound=HasId)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of a list a caller asks for.

    ``before_id`` is the last number of the page before. ``limit`` is the maximum number of items.
    """

    path: str
    query: QueryParameters
    before_id: int | None
    limit: int

    @classmethod
    def read(cls, path: str, query: QueryParameters, faults: list[FieldFault], usual: int = USUAL) -> "PageRequest":
        """The page that a query names; faults of its cursor and its limit are added to ``faults``.

        Args:
            path: of the list.
            query: of the request.
            faults: receives the faults.
            usual: the limit if the query has none.
        """
        limit = limit_of(query, faults, usual)
        before_id = None
        if "cursor" in query:
            before_id = _number_in(query["cursor"][0], path, _filters_of(query))
            if before_id is None:
                faults.append(FieldFault("is no cursor for these filters; begin without one", parameter="cursor"))
        return cls(path, query, before_id, limit)

    @property
    def lookup(self) -> int:
        """How many items to look up: one more than the page holds, which shows whether another page follows."""
        return self.limit + 1

    def response(self, member: str, found: Sequence[Item], render: Callable[[Item], Mapping[str, Any]]) -> web.Response:
        """The page, with the address of the next one if there is one.

        Args:
            member: the member of the JSON object that holds the items.
            found: up to :attr:`lookup` items.
            render: makes JSON of an item.
        """
        shown = found[: self.limit]
        following = next_address(self.path, self.query, shown[-1].id) if len(found) > len(shown) else None
        headers: dict[str, str] = {} if following is None else {hdrs.LINK: f'<{following}>; rel="next"'}
        return json_reply({member: [render(one) for one in shown], "next": following}, headers=headers)


def next_address(path: str, query: QueryParameters, last_id: int) -> str:
    """The address of the next page of a list, after a page that ended with this number.

    Args:
        path: of the list.
        query: of the request for the page before.
        last_id: the last number of that page.
    """
    kept = [(name, value) for name, values in query.items() if name != "cursor" for value in values]
    return f"{path}?{urlencode([*kept, ('cursor', _cursor_of(last_id, path, _filters_of(query)))])}"


def states_of(query: QueryParameters, faults: list[FieldFault]) -> frozenset[State]:
    """The states that a query names; unknown ones are added to ``faults``."""
    named = query.get("state", ())
    known = {state.value for state in State}
    if any(one not in known for one in named):
        faults.append(FieldFault(f"must be one of {', '.join(State)}", parameter="state"))
        return frozenset()
    return frozenset(State(one) for one in named)


def _cursor_of(last_id: int, path: str, filters: QueryParameters) -> str:
    """The cursor after a number, for the list at a path."""
    number = last_id.to_bytes(_NUMBER_BYTES)
    return base64.urlsafe_b64encode(number + _digest(number, path, filters)).decode()


def _number_in(text: str, path: str, filters: QueryParameters) -> int | None:
    """The number in a cursor; ``None`` if it was not made for this list and these filters."""
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    number, digest = raw[:_NUMBER_BYTES], raw[_NUMBER_BYTES:]
    if len(raw) != _NUMBER_BYTES + _DIGEST_BYTES or digest != _digest(number, path, filters):
        return None
    last_id = int.from_bytes(number)
    return last_id if last_id <= LARGEST_ID else None


def limit_of(query: QueryParameters, faults: list[FieldFault], usual: int = USUAL) -> int:
    """How many items a query asks for; a faulty number is added to ``faults``."""
    text = query["limit"][0] if "limit" in query else str(usual)
    if text.isascii() and text.isdigit() and len(text) <= len(str(MOST_LISTED)) and 1 <= int(text) <= MOST_LISTED:
        return int(text)
    faults.append(FieldFault(f"must be a whole number from 1 to {MOST_LISTED}", parameter="limit"))
    return usual


def _filters_of(query: QueryParameters) -> QueryParameters:
    return {name: values for name, values in query.items() if name not in _PAGING}


def _digest(number: bytes, path: str, filters: QueryParameters) -> bytes:
    named = repr((path, sorted((name, sorted(values)) for name, values in filters.items())))
    return hashlib.sha256(b"tidewaiter cursor\0" + number + named.encode()).digest()[:_DIGEST_BYTES]
