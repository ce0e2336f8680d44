"""Single values as people give them, brought into their type."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn
from urllib.parse import urlsplit

from app.domain.address import AddressError, sendable
from app.domain.jsonvalue import Json
from app.providers.spec.fields import UnfitError
from app.providers.urls import origin_of

_DEEPEST: Final = 32


def boolean(raw: Json) -> bool:
    """Truth, also where it came as text; raises ``UnfitError``."""
    if isinstance(raw, str) and raw.strip().casefold() in ("true", "false"):
        return raw.strip().casefold() == "true"
    if not isinstance(raw, bool):
        raise UnfitError(f"must be true or false, not {raw!r}")
    return raw


def integer(raw: Json) -> int:
    """A whole number, also where it came as text; raises ``UnfitError``."""
    if isinstance(raw, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", raw.strip()):
        return int(raw)
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise UnfitError(f"must be a whole number, not {raw!r}")
    return raw


def string(raw: Json) -> str:
    """Text that can be stored and sent; raises ``UnfitError``."""
    # A customer's number is a string that an operator may well write as a number.
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    if not isinstance(raw, str):
        raise UnfitError("must be text")
    if "\0" in raw or any("\ud800" <= character <= "\udfff" for character in raw):
        raise UnfitError("holds characters that are no text")
    return raw


def address(text: str) -> str:
    """An address under which an API lives, without the slash at its end; raises ``UnfitError``.

    A host that is not ASCII is written as IDNA has it (RFC 5891).
    """
    stripped = text.strip().rstrip("/")
    if not stripped.isprintable() or " " in stripped:
        raise UnfitError(f"{text!r} is not an http or https address")
    try:
        stripped = stripped if stripped.isascii() else sendable(stripped)
    except AddressError as error:
        raise UnfitError(f"{text!r} is not an http or https address: {error}") from None
    if not origin_of(stripped):
        raise UnfitError(f"{text!r} is not an http or https address")
    parts = urlsplit(stripped)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise UnfitError("must be an address without user name, query and fragment")
    return stripped


def parsed(raw: Json, what: str) -> Json:
    """An object or array, also where it came as JSON text, as it does from a command line; raises ``UnfitError``."""
    if not isinstance(raw, str):
        return raw
    try:
        found: Json = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnfitError(f"must be {what} in JSON, and is not JSON: {error}") from error
    return found


def free(raw: Json, depth: int = 0) -> Json:
    """JSON of any shape, with nothing in it that cannot be stored and sent; raises ``UnfitError``."""
    if depth > _DEEPEST:
        raise UnfitError(f"is nested more than {_DEEPEST} deep")
    match raw:
        case str():
            return string(raw)
        case float() if not math.isfinite(raw):
            raise UnfitError(f"holds {raw}, which is not JSON")
        case Mapping():
            return {string(name): free(value, depth + 1) for name, value in raw.items()}
        case Sequence():
            return [free(item, depth + 1) for item in raw]
        case int() | float() | None:
            return raw


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
