"""Values as texts, counts and addresses, and foreign text for people: within bounds, in one line, without secrets."""

import base64
import re

from tidewaiter.domain.http_values import Json
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.values.addresses import resolve_url

EXCERPT_LENGTH = 200
LONGEST_QUOTE = 8192
LONGEST_TEXT = 65_536
_LONGEST_HANDLE = 2048
_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")


def as_text(value: Json) -> str | None:
    """A scalar as text, the way JSON would write it; ``None`` for null, lists and objects."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value) if value.is_integer() else value)
    return None


def as_word(value: Json) -> str | None:
    """A scalar as text, cut to the length that is examined: secrets are removed before it is shortened further."""
    text = as_text(value)
    return None if text is None else text.strip()[: LONGEST_QUOTE + 1] or None


def as_note(value: Json, length: int = 100) -> str | None:
    """A scalar as a short line for a person: a status word, or a progress."""
    text = as_text(value)
    if text is None:
        return None
    clean = text.strip() if text.isascii() and text.isprintable() else plain(text)
    return shorten(clean, length) or None


def as_count(value: Json) -> int | None:
    """A count or a size, also from text; ``None`` if it is no whole number from 0."""
    text = as_text(value)
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,18}", text.strip()) else None


def as_url(value: Json, base: str) -> str | None:
    """An absolute URL that can be requested; ``None`` if the value is no text or no http or https URL."""
    return resolve_url(base, value) if isinstance(value, str) else None


def as_handle(value: Json) -> str | None:
    """A handle as text; ``None`` if it cannot be sent: with control characters, dots only, or too long."""
    text = None if isinstance(value, bool) else as_text(value)
    if text is None or not text.strip() or len(text) > _LONGEST_HANDLE or not text.strip().isprintable():
        return None
    # As a segment of a path these name another resource.
    return None if text.strip() in (".", "..") else text.strip()


def plain(text: str) -> str:
    """Foreign text for a log line and a database: one line, no control characters, valid Unicode."""
    if text.isascii() and text.isprintable() and "  " not in text:  # as most words of a provider
        return text.strip()
    return _BLANKS.sub(" ", text).strip().encode("utf-8", "replace").decode("utf-8")


def shorten(text: str, length: int = EXCERPT_LENGTH) -> str:
    """The text cut to at most ``length`` characters, with an ellipsis if it was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def basic_credential(username: str, password: str) -> str:
    """The credential of HTTP Basic, in UTF-8. Source: RFC 7617."""
    return base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def quoted(text: str, redactor: Redactor, length: int = EXCERPT_LENGTH, *, cut: bool = False) -> str:
    """A provider's text for people: one line of at most ``length`` characters, without secrets.

    It is cut before it is searched, and secrets are removed before it is shortened. ``cut``: it is the beginning of a
    longer text.
    """
    cut = cut or len(text) > LONGEST_QUOTE
    return shorten(plain(redactor.clean_quote(text[:LONGEST_QUOTE], cut=cut)), length)
