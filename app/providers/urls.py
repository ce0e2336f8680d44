"""URLs as a provider writes them: resolved and checked, but never rewritten where they are absolute already."""

from urllib.parse import unquote, urlsplit

from app.domain.address import AddressError, ascii_host, resolve

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """The origin of an http or https URL as ``https://host:port``, lower-case and with its port; else empty.

    Source: RFC 6454, section 4.
    """
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
    """A URL that a provider named, made absolute and fit for the wire; see :func:`app.domain.address.resolve`.

    Returns:
        The URL, or ``None`` where the reference is no http or https URL that could be sent.
    """
    try:
        return _usable(base, reference)
    except AddressError:
        return None


def url_fault(base: str, reference: str) -> str | None:
    """Why a URL that a provider named cannot be used, as the end of a sentence; ``None`` where it can."""
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
    """The last segment of a URL's path, decoded: what a file behind it might be called."""
    return unquote(url.split("?", 1)[0].split("#", 1)[0].rstrip("/").rsplit("/", 1)[-1])
