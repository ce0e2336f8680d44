"""Addresses of requests: their origin, how they are sent, and where a redirect leads. Nothing here does IO."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from yarl import URL

from tidewaiter.domain.http_values import WireRequest, field_values
from tidewaiter.domain.own_origins import AuthChoice, DeclaredOrigin, OwnOrigins
from tidewaiter.domain.url import AddressError, request_target, resolve, sendable, sendable_authority
from tidewaiter.transport.wire import NotSentError, RedirectRefusedError

MOST_HOPS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEP_METHOD = frozenset({307, 308})
_REPEATABLE = frozenset({"GET", "HEAD"})
_UNSENDABLE = re.compile(r"[^\x21-\x5b\x5d-\x7e]")  # a backslash too: some servers read it as a slash
# None of these holds data of the account.
_NOT_OF_ACCOUNT = frozenset({"accept", "accept-encoding", "content-type", "if-range", "range", "user-agent"})


class UrlOrigins:
    """The provider's own origins (RFC 6454), for asking whether an address lies within one of them.

    Args:
        url: an address within the main one.
        declared: the others.
    """

    __slots__ = ("_own", "_prefix")

    def __init__(self, url: str, declared: Sequence[DeclaredOrigin] = ()) -> None:
        main = _written(_origin_of(url))
        if not main:
            raise ValueError("an origin is a scheme, a host and perhaps a port")
        self._own = OwnOrigins(main, declared)
        self._prefix = str(URL(sendable(url), encoded=True).origin()) + "/"

    def covers(self, url: str) -> bool:
        """Whether ``url`` lies within; an address that cannot be read lies nowhere."""
        return url.startswith(self._prefix) or self._own.has(_written(_origin_of(url)))

    def auth_for(self, url: str) -> AuthChoice:
        """Which credentials may go to ``url``."""
        return url.startswith(self._prefix) or self._own.auth_for(_written(_origin_of(url)))


def _written(origin: tuple[str, str, int] | None) -> str:
    """An origin as ``https://host:port``; empty if there is none."""
    if origin is None:
        return ""
    scheme, host, port = origin
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _origin_of(url: str) -> tuple[str, str, int] | None:
    try:
        parsed = URL(url if url.isascii() else sendable(url), encoded=True)
        host, port = parsed.raw_host, parsed.port
    except ValueError:
        return None
    return (parsed.scheme, host.lower(), port) if host and port else None


def place_of(url: str | URL) -> str:
    """Scheme, host and port of an address: the only parts of it that an error or a log may show."""
    try:
        return str(URL(url, encoded=True).origin()) if isinstance(url, str) else str(url.origin())
    except ValueError:
        return "an invalid address"


def headers_for_other_origin(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may be sent to another origin: those without data of the account."""
    return {name: value for name, value in headers.items() if name.lower() in _NOT_OF_ACCOUNT}


def leads_on(method: str, status: int, headers: Mapping[str, str], *, repeatable: bool = False) -> bool:
    """Whether a reply is a redirect that is followed.

    Args:
        method: of the request. GET and HEAD are followed; anything else is sent once, unless it is ``repeatable``.
        status: of the reply.
        headers: of the reply.
        repeatable: whether a request with another method may be sent again, because it is a download.
    """
    if status not in _REDIRECTS or not (repeatable or method in _REPEATABLE):
        return False
    return any(value.strip() for value in field_values(headers, "location"))


def redirected(request: WireRequest, url: str, status: int, *, own: bool) -> WireRequest:
    """The request that follows a redirect. Another origin does not get the fields that were named for the first one.

    Args:
        request: the one that was answered with the redirect.
        url: where it leads.
        status: of the redirect. After 307 and 308 a request stays the same; after the others one with a body becomes a
            GET (RFC 9110, section 15.4).
        own: whether ``url`` lies within the provider's origin.

    Raises:
        RedirectRefusedError: a request with a body, such as a POST, would go to another origin.
    """
    if request.named_headers and _origin_of(url) != _origin_of(request.url):
        request = replace(request, named_headers=())
    if request.method in _REPEATABLE:
        return replace(request, url=url, body=request.body if own else None)
    if status not in _KEEP_METHOD:
        kept = {name: value for name, value in request.headers.items() if name.lower() != "content-type"}
        return replace(request, method="GET", url=url, headers=kept, body=None)
    if not own:
        raise RedirectRefusedError(
            f"{place_of(request.url)} redirects a {request.method} to another origin, which does not get it."
        )
    return replace(request, url=url)


def location_of(url: str, headers: Mapping[str, str]) -> str:
    """The Location of a redirect, which is one field with one value (RFC 9110, section 10.2.2).

    Raises:
        RedirectRefusedError: it came several times, with different values: one of them may be forged.
    """
    named = list(dict.fromkeys(value.strip() for value in field_values(headers, "location") if value.strip()))
    if len(named) > 1:
        raise RedirectRefusedError(f"{place_of(url)} redirects to {len(named)} different addresses at a time.")
    return named[0]


def next_address(url: str, location: str) -> str:
    """The address that a redirect leads to, byte for byte as the remote wrote it if it is absolute.

    Args:
        url: the address that was asked.
        location: the Location header (RFC 9110, section 10.2.2), relative or absolute; what cannot be sent in it is
            encoded, as :func:`tidewaiter.domain.url.resolve` does, and a fragment is dropped.

    Raises:
        RedirectRefusedError: it is no address of HTTP, it carries a user name, or it leads from https to http.
    """
    try:
        target = resolve(url, location or "#").partition("#")[0]
    except AddressError as error:
        raise RedirectRefusedError(
            f"{place_of(url)} redirects to something that is no address of HTTP: {error}."
        ) from None
    if _origin_of(target) is None:
        raise RedirectRefusedError(f"{place_of(url)} redirects to something that is no address of HTTP.")
    parsed = URL(target, encoded=True)
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise RedirectRefusedError(f"{place_of(url)} redirects to an address with a user name in it.")
    if parsed.scheme == "http" and url[:6].lower() == "https:":
        raise RedirectRefusedError(f"{place_of(url)} redirects from https to http, at {parsed.raw_host}.")
    return target


def request_address(url: str) -> URL:
    """The address that is sent for ``url``: byte for byte the same, except that the host is written in ASCII.

    Raises:
        NotSentError: it cannot be sent as it is.
    """
    written = _with_ascii_host(url)
    unfit = _UNSENDABLE.search(written)
    if unfit is not None:
        raise NotSentError(f"Nothing was sent to {place_of(url)}: {_named(unfit[0])} in its address is not encoded.")
    address = _http_url(written)
    if address is None:
        raise NotSentError("Nothing was sent: the address names no host, or no port, of HTTP.")
    if "@" in url and (address.raw_user is not None or address.raw_password is not None):
        # aiohttp would make an Authorization header of it, which other origins could get.
        raise NotSentError(f"Nothing was sent to {place_of(address)}: the address carries a user name.")
    target = request_target(written)
    if target == address.raw_path_qs:
        return address
    # yarl knows no empty query, which may be part of what was signed.
    return URL.build(scheme=address.scheme, authority=address.raw_authority, path=target, encoded=True)


def _with_ascii_host(url: str) -> str:
    if url.isascii():
        return url
    before, slashes, rest = url.partition("://")
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    try:
        # Only the host: the rest must be sent unchanged.
        return f"{before}{slashes}{sendable_authority(place)}{rest[len(place) :]}"
    except AddressError as error:
        raise NotSentError(f"Nothing was sent: of its address {error}.") from None


def _named(character: str) -> str:
    return repr(character) if character.isprintable() and character != " " else f"U+{ord(character):04X}"


def _http_url(url: str) -> URL | None:
    if not url.lower().startswith(("http://", "https://")):
        return None
    try:
        address = URL(url, encoded=True)
        return address if address.raw_host and address.port else None
    except ValueError:
        return None
