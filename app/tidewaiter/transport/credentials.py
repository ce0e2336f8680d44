"""The credentials in a request: cookies, and credentials in headers, in the query or in the body.

Cookies live for one redirect chain, or for one login. Each is sent only to the origin that set it.
Source: RFC 6265, as far as a client needs it that forgets cookies soon. It is stricter: the attribute Domain widens
nothing, and scheme and port count.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import mktime_tz, parsedate_tz
from typing import Final
from urllib.parse import quote, unquote, unquote_plus

from yarl import URL

from tidewaiter.clock import Clock
from tidewaiter.domain.http_values import Credentials, WireRequest, field_values

_MOST: Final = 50  # RFC 6265, section 6.1: what a client should hold for one host
_LONGEST: Final = 4096  # the same: bytes of one cookie
_LONGEST_HEADER: Final = 16_384
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x3a\x3c-\x7e]*")  # one without a semicolon: what would be sent back byte for byte
_MAX_AGE = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class _Cookie:
    value: str
    secure: bool
    expires_at: float | None


class Cookies:
    """The cookies of several origins, by origin, path and name.

    Args:
        clock: decides when a cookie ends.
        before: these are copied at the start.
    """

    __slots__ = ("_clock", "_held")

    def __init__(self, clock: Clock, before: "Cookies | None" = None) -> None:
        self._clock = clock
        self._held: dict[tuple[str, str, str], _Cookie] = {} if before is None else dict(before._held)

    def take(self, url: str, headers: Mapping[str, str], *, known_only: bool = False) -> None:
        """Keep what a reply sets, and drop what it ends.

        Args:
            url: which address replied.
            headers: of the reply; every Set-Cookie counts by itself, for they cannot be combined.
            known_only: replace and drop only cookies that are already held.
        """
        for field in field_values(headers, "set-cookie"):
            address = URL(url, encoded=True)
            read = _read(field, address, self._clock.now())
            if read is None:
                continue
            key, cookie = read
            if known_only and key not in self._held:
                continue
            self._held.pop(key, None)
            if cookie.expires_at is not None and cookie.expires_at <= self._clock.now():
                continue
            if len(self._held) >= _MOST:
                del self._held[next(iter(self._held))]
            self._held[key] = cookie

    def header_for(self, url: str) -> str | None:
        """The header Cookie of a request to this address; ``None`` if it has none."""
        if not self._held:
            return None
        address, now = URL(url, encoded=True), self._clock.now()
        origin, path = str(address.origin()), address.raw_path
        meant = [
            (kept_path, f"{name}={cookie.value}")
            for (kept_origin, kept_path, name), cookie in self._held.items()
            if kept_origin == origin
            and _covers(kept_path, path)
            and (cookie.expires_at is None or cookie.expires_at > now)
            and (not cookie.secure or address.scheme == "https")
        ]
        # RFC 6265, section 5.4: those with longer paths first.
        header = "; ".join(pair for _, pair in sorted(meant, key=lambda one: -len(one[0])))
        return header if header and len(header) <= _LONGEST_HEADER else None


def _read(field: str, address: URL, now: float) -> tuple[tuple[str, str, str], _Cookie] | None:
    """One Set-Cookie (RFC 6265, section 5.2); ``None`` if it sets nothing that can be sent back."""
    pair, *attributes = field.split(";")
    name, equals, value = (part.strip() for part in pair.partition("="))
    sendable = equals and _NAME.fullmatch(name) and _VALUE.fullmatch(value) and len(pair) <= _LONGEST
    if not sendable:
        return None
    named = {key.strip().lower(): one.strip() for key, _, one in (part.partition("=") for part in attributes)}
    path = named.get("path", "")
    if not path.startswith("/"):
        path = address.raw_path.rpartition("/")[0] or "/"
    cookie = _Cookie(value, "secure" in named, _end(named, now))
    return (str(address.origin()), path, name), cookie


def _end(attributes: Mapping[str, str], now: float) -> float | None:
    """When a cookie ends, in epoch seconds; Max-Age counts before Expires."""
    if _MAX_AGE.fullmatch(age := attributes.get("max-age", "")):
        return now + int(age)
    moment = parsedate_tz(attributes.get("expires", ""))
    try:
        return None if moment is None else float(mktime_tz(moment))
    except (OverflowError, ValueError):
        return None


def _covers(kept: str, path: str) -> bool:
    """Whether a cookie of one path is meant for another (RFC 6265, section 5.1.4)."""
    return path == kept or (path.startswith(kept) and (kept.endswith("/") or path[len(kept)] == "/"))


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

    def added_to(self, request: WireRequest) -> WireRequest:
        """``request`` with the credentials, in place of any header or parameter with the same name.

        Credentials for the body go into the query if the request has no body that can take them.
        """
        if not (self._headers or self._pairs or self._members):
            return request
        headers = {name: value for name, value in request.headers.items() if name.lower() not in self._names}
        headers.update(self._headers)
        body = _with_members(request, self._members)
        pairs = self._pairs if body is not None or not self._members else self._every_pair()
        url = _with_pairs(request.url, pairs)
        return replace(request, url=url, headers=headers, body=request.body if body is None else body)

    def appear_in(self, url: str) -> bool:
        """Whether the query of an address has one of the credentials."""
        own = {_decoded(pair) for pair in self._every_pair()}
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
