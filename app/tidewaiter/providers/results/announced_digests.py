"""Digests that a provider announces for a file, in the forms in which providers write them."""

import base64
import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

from tidewaiter.domain.http_values import Json

Algorithm: TypeAlias = Literal["sha256", "md5"]

_BYTES = {"sha256": 32, "md5": 16}
_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9]*(?:-[0-9]+)?)\s*[:=-]\s*(.+)", re.DOTALL)
_HEX = re.compile(r"[0-9A-Fa-f]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_LONGEST = 1024


class DigestError(ValueError):
    """An announced digest cannot be read; the message quotes its beginning."""


def read_digest(value: Json, algorithm: Algorithm) -> str | None:
    """An announced digest in lower-case hexadecimal.

    Args:
        value: hexadecimal, Base64 or base64url, with or without padding, quotes and the algorithm's name before it; or
            a list of these; the one with the algorithm's name counts.
        algorithm: the expected one.

    Returns:
        ``None`` if nothing was announced: null or blank text.

    Raises:
        DigestError: the value is no digest of this algorithm.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        # No form of a digest contains a comma, so this is a list of several.
        for text in value[:_LONGEST].split(","):
            found = _one(text, algorithm)
            if found is not None:
                return found
    raise DigestError(f"{str(value)[:80]!r} cannot be read as a digest of {algorithm}")


def _one(text: str, algorithm: Algorithm) -> str | None:
    text = _unquoted(text)
    plain = _bytes_of(text, algorithm)
    if plain is not None:
        return plain
    named = _NAMED.fullmatch(text)
    if named is None or named[1].replace("-", "").lower() != algorithm:
        return None
    return _bytes_of(_unquoted(named[2]), algorithm)


def _unquoted(text: str) -> str:
    text = text.strip()
    for mark in ('"', "'", ":"):
        if len(text) > 1 and text.startswith(mark) and text.endswith(mark):
            text = text[1:-1].strip()
    return text


def _bytes_of(text: str, algorithm: Algorithm) -> str | None:
    size = _BYTES[algorithm]
    if len(text) == 2 * size:
        return text.lower() if _HEX.fullmatch(text) else None
    if not _BASE64.fullmatch(text):
        return None
    unpadded = text.rstrip("=").replace("-", "+").replace("_", "/")
    if len(unpadded) != (size * 8 + 5) // 6:
        return None
    return base64.b64decode(unpadded + "=" * (-len(unpadded) % 4)).hex()


def read_digests(announced: Mapping[Algorithm, Json]) -> tuple[dict[Algorithm, str | None], str | None]:
    """The digests in hexadecimal, and the faults of those that cannot be read."""
    digests: dict[Algorithm, str | None] = {}
    faults: list[str] = []
    for algorithm, value in announced.items():
        try:
            digests[algorithm] = read_digest(value, algorithm)
        except DigestError as error:
            faults.append(f"{algorithm}: {error}")
    return digests, "; ".join(faults) or None
