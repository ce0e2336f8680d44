"""An account's credentials, put into a request: as header fields, in the query, or in the body."""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote, unquote, unquote_plus

from tidewaiter.domain.http_values import Credentials, WireRequest


class AccountCredentials:
    """Adds the credentials of an account to its requests.

    Args:
        credentials: those of the account.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._headers = dict(credentials.headers)
        self._names = frozenset(name.lower() for name in credentials.headers)
        self._pairs = tuple(_pair(name, value) for name, value in credentials.query)
        self._members = credentials.body
        # A step without variable headers gives the same mapping each time, which cannot change.
        self._last: tuple[Mapping[str, str] | None, Mapping[str, str]] = None, {}
        self.signer = credentials.signer

    def added_to(self, request: WireRequest) -> WireRequest:
        """``request`` with the credentials, in place of any header or parameter with the same name.

        Credentials for the body go into the query if the request has no body that can take them.
        """
        if not (self._headers or self._pairs or self._members):
            return request
        headers = self._joined(request.headers)
        if not (self._pairs or self._members):
            return request.sent_as(request.url, headers, request.body)
        body = _with_members(request, self._members)
        pairs = self._pairs if body is not None or not self._members else self._every_pair()
        url = _with_pairs(request.url, pairs)
        return request.sent_as(url, headers, request.body if body is None else body)

    def _joined(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """The header fields of a request, with those of the account in place of fields with the same names."""
        last, joined = self._last
        if given is last:
            return joined
        joined = {name: value for name, value in given.items() if name.lower() not in self._names}
        joined.update(self._headers)
        if isinstance(given, MappingProxyType):
            self._last = given, joined
        return joined

    def appear_in(self, url: str) -> bool:
        """Whether the query of an address has one of the credentials."""
        own = {_decoded(pair) for pair in self._every_pair()}
        if self.signer is not None:
            own.update(self.signer.recent_pairs)
        given = url.partition("#")[0].partition("?")[2].split("&")
        return any(not own.isdisjoint({_decoded(pair), _decoded(pair, unquote)}) for pair in given)

    def _every_pair(self) -> tuple[str, ...]:
        """The query of a request without a body: also what would otherwise go into the body."""
        return (*self._pairs, *(_pair(name, value) for name, value in self._members))


def _pair(name: str, value: str) -> str:
    return f"{quote(name, safe='')}={quote(value, safe='')}"


def _decoded(pair: str, decode: Callable[[str], str] = unquote_plus) -> tuple[str, str]:
    """The name and the value of a pair of a query."""
    name, _, value = pair.partition("=")
    return decode(name), decode(value)


def _with_pairs(url: str, pairs: Sequence[str]) -> str:
    """``url`` with these pairs in its query, once each and in place of others with their names."""
    if not pairs:
        return url
    address, _, query = url.partition("#")[0].partition("?")
    given = query.split("&") if query else []
    # A redirect may repeat the query that it answers, and an address may hold a token that was renewed since.
    names = {_decoded(pair)[0] for pair in pairs}
    kept = [pair for pair in given if pair in pairs or _decoded(pair)[0] not in names]
    return f"{address}?{'&'.join(kept + [pair for pair in pairs if pair not in kept])}"


def _with_members(request: WireRequest, members: Sequence[tuple[str, str]]) -> bytes | None:
    """The request's body with these members in it; ``None`` if it has no body that can take them."""
    if not members or request.body is None:
        return None
    kind = _media_type(request.headers)
    if kind == "application/x-www-form-urlencoded":
        pairs = [_pair(name, value).encode("ascii") for name, value in members]
        return b"&".join([request.body, *pairs] if request.body else pairs)
    if kind == "application/json" and (document := _object_in(request.body)) is not None:
        return json.dumps({**document, **dict(members)}, separators=(",", ":")).encode("ascii")
    return None


def _media_type(headers: Mapping[str, str]) -> str:
    value = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    return value.split(";", 1)[0].strip().lower()


def _object_in(body: bytes) -> dict[str, object] | None:
    document = json.loads(body)
    return document if isinstance(document, dict) else None
