"""Addresses in a spec or a reply: their origin, and whether they can be requested."""

import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from tidewaiter.domain.url import AddressError, ascii_host, resolve

_DEFAULT_PORTS = {"http": 80, "https": 443}
_END_OF_AUTHORITY = re.compile(r"[/?#]")


def origin_of(url: str) -> str:
    """The origin of an http or https URL as ``https://host:port``, lower-case and with its port; else empty.

    Source: RFC 6454, section 4.
    """
    scheme_end = url.find("://")
    end = None if scheme_end < 0 else _END_OF_AUTHORITY.search(url, scheme_end + 3)
    return _origin_of(url if end is None else url[: end.start()])


@lru_cache(maxsize=64)
def _origin_of(url: str) -> str:
    """The origin of a URL, of which nothing after the authority is needed: the same few come with every poll."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        name = parts.hostname
        if not name or port is None or parts.scheme not in _DEFAULT_PORTS:
            return ""
        host = f"[{name}]" if ":" in name else ascii_host(name)
    except ValueError:  # an AddressError is one
        return ""
    return f"{parts.scheme}://{host}:{port}"


def resolve_url(base: str, reference: str) -> str | None:
    """A URL from a reply, made absolute and encoded; see :func:`tidewaiter.domain.url.resolve`.

    Returns:
        The URL, or ``None`` if the reference is no http or https URL that can be sent.
    """
    try:
        return _usable(base, reference)
    except AddressError:
        return None


def url_fault(base: str, reference: str) -> str | None:
    """Why a URL from a reply cannot be used, as the end of a sentence; ``None`` if it can."""
    try:
        _usable(base, reference)
    except AddressError as error:
        return str(error)
    return None


def _usable(base: str, reference: str) -> str:
    url = resolve(base, reference)
    if not origin_of(url):
        raise AddressError("its host or port cannot be read")
    return url


def last_segment(url: str) -> str:
    """The last segment of a URL's path, decoded: a possible name for its file."""
    return unquote(url.split("?", 1)[0].split("#", 1)[0].rstrip("/").rsplit("/", 1)[-1])
