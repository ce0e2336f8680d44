"""URLs as a provider writes them: resolved and checked, but never rewritten where they are absolute already."""

import re
from urllib.parse import quote, unquote, urljoin, urlsplit

_LONGEST_URL = 8192
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PRINTABLE = re.compile(r"[!-~]+")
_EVERY_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def origin_of(url: str) -> str:
    """The origin of an http or https URL as ``https://host:port``, lower-case and with its port; else empty.

    Source: RFC 6454, section 4.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return ""
    if not parts.hostname or port is None or parts.scheme not in _DEFAULT_PORTS:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def resolve_url(base: str, reference: str) -> str | None:
    """A URL that a provider named, made absolute and fit for the wire.

    An absolute URL is kept byte for byte: signed URLs do not survive a re-encoding. Only what cannot be sent at all,
    blanks and characters outside ASCII, is percent-encoded.

    Returns:
        The URL, or ``None`` where the reference is no http or https URL that could be sent.
    """
    text = reference.strip()
    if not text or len(text) > _LONGEST_URL or _CONTROL.search(text):
        return None
    try:
        text = text if _PRINTABLE.fullmatch(text) else quote(text, safe=_EVERY_PRINTABLE)
        url = text if text[:8].lower().startswith(("http://", "https://")) else urljoin(base, text)
    except ValueError:
        return None
    return url if origin_of(url) else None


def last_segment(url: str) -> str:
    """The last segment of a URL's path, decoded: what a file behind it might be called."""
    return unquote(url.split("?", 1)[0].split("#", 1)[0].rstrip("/").rsplit("/", 1)[-1])
