"""Where a redirect leads, and what may go along: planned without IO."""

from collections.abc import Mapping

from yarl import URL

from app.domain.address import AddressError, resolve, sendable
from app.domain.wire import field_values
from app.transport.errors import RedirectRefusedError

MOST_HOPS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REPEATABLE = frozenset({"GET", "HEAD"})
# A media type goes with a body that goes to another origin; all of them say nothing of the account.
_HARMLESS = frozenset({"accept", "accept-encoding", "content-type", "if-range", "range", "user-agent"})


class Origin:
    """One scheme, host and port (RFC 6454), for asking whether an address lies within it."""

    __slots__ = ("_prefix", "_whole")

    def __init__(self, url: str) -> None:
        self._whole = _origin_of(url)
        if self._whole is None:
            raise ValueError("an origin is a scheme, a host and perhaps a port")
        self._prefix = str(URL(sendable(url), encoded=True).origin()) + "/"

    def covers(self, url: str) -> bool:
        """Whether ``url`` lies within; an address that cannot be read lies nowhere."""
        return url.startswith(self._prefix) or _origin_of(url) == self._whole


def _origin_of(url: str) -> tuple[str, str, int] | None:
    try:
        parsed = URL(url if url.isascii() else sendable(url), encoded=True)
        host, port = parsed.raw_host, parsed.port
    except ValueError:
        return None
    return (parsed.scheme, host.lower(), port) if host and port else None


def harmless(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may cross to another origin: those that say nothing of the account."""
    return {name: value for name, value in headers.items() if name.lower() in _HARMLESS}


def leads_on(method: str, status: int, headers: Mapping[str, str]) -> bool:
    """Whether a reply is a redirect that is followed: of GET and HEAD only, for nothing else is ever sent twice."""
    if status not in _REDIRECTS or method not in _REPEATABLE:
        return False
    return any(value.strip() for value in field_values(headers, "location"))


def location_of(url: str, headers: Mapping[str, str]) -> str:
    """The Location of a redirect, which is one field with one value (RFC 9110, section 10.2.2).

    Raises:
        RedirectRefusedError: it came several times, with different values: somebody may have put one of them there.
    """
    named = list(dict.fromkeys(value.strip() for value in field_values(headers, "location") if value.strip()))
    if len(named) > 1:
        raise RedirectRefusedError(f"{_place(url)} redirects to {len(named)} different addresses at a time.")
    return named[0]


def next_address(url: str, location: str) -> str:
    """The address that a redirect leads to, byte for byte as the remote wrote it where it is absolute.

    Args:
        url: the address that was asked.
        location: the Location header (RFC 9110, section 10.2.2), relative or absolute; what cannot be sent in it is
            encoded, as :func:`app.domain.address.resolve` does, and a fragment is dropped.

    Raises:
        RedirectRefusedError: it is no address of HTTP, it carries a user name, or it leads from https to http.
    """
    try:
        target = resolve(url, location or "#").partition("#")[0]
    except AddressError as error:
        raise RedirectRefusedError(
            f"{_place(url)} redirects to something that is no address of HTTP: {error}."
        ) from None
    if _origin_of(target) is None:
        raise RedirectRefusedError(f"{_place(url)} redirects to something that is no address of HTTP.")
    parsed = URL(target, encoded=True)
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise RedirectRefusedError(f"{_place(url)} redirects to an address with a user name in it.")
    if parsed.scheme == "http" and url[:6].lower() == "https:":
        raise RedirectRefusedError(f"{_place(url)} redirects from https to http, at {parsed.raw_host}.")
    return target


def _place(url: str) -> str:
    return str(URL(url, encoded=True).origin())
