"""The cookies of one redirect chain or of one login: each goes back only to the origin that set it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import Final

from yarl import URL

from tidewaiter.clock import Clock
from tidewaiter.domain.http_values import field_values

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
