"""Values of settings and parameters: their types, their conversion from text, and their checks."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NoReturn, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.url import AddressError, sendable
from tidewaiter.patterns import compile_pattern
from tidewaiter.providers.spec.field_types import InvalidValueError, Items, OneOrMore, Regex, Scalar, SpecVariant, Text
from tidewaiter.providers.values.addresses import origin_of
from tidewaiter.toml_table import VariableText, boolean_of, unquoted

_DEEPEST: Final = 32
_NOT_TEXT: Final = {"boolean": "must be true or false", "integer": "must be a whole number"}


def boolean(raw: Json) -> bool:
    """A boolean, also from text; raises ``InvalidValueError``."""
    if isinstance(raw, str) and raw.strip().casefold() in ("true", "false"):
        return raw.strip().casefold() == "true"
    if not isinstance(raw, bool):
        raise InvalidValueError(f"must be true or false, not {raw!r}")
    return raw


def integer(raw: Json) -> int:
    """A whole number, also from text; raises ``InvalidValueError``."""
    if isinstance(raw, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", raw.strip()):
        return int(raw)
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise InvalidValueError(f"must be a whole number, not {raw!r}")
    return raw


def string(raw: Json) -> str:
    """Text that can be stored and sent; raises ``InvalidValueError``."""
    # An operator may write a string, such as a customer number, as a number.
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    if not isinstance(raw, str):
        raise InvalidValueError("must be text")
    if "\0" in raw or any("\ud800" <= character <= "\udfff" for character in raw):
        raise InvalidValueError("contains characters that are not text")
    return raw


def address(text: str) -> str:
    """The base address of an API, without the slash at its end; raises ``InvalidValueError``.

    A host that is not ASCII is encoded with IDNA (RFC 5891).
    """
    stripped = text.strip().rstrip("/")
    if not stripped.isprintable() or " " in stripped:
        raise InvalidValueError(f"{text!r} is not an http or https address")
    try:
        stripped = stripped if stripped.isascii() else sendable(stripped)
    except AddressError as error:
        raise InvalidValueError(f"{text!r} is not an http or https address: {error}") from None
    if not origin_of(stripped):
        raise InvalidValueError(f"{text!r} is not an http or https address")
    parts = urlsplit(stripped)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidValueError("must be an address without user name, query and fragment")
    return stripped


def parsed(raw: Json, what: str) -> Json:
    """An object or array, also from JSON text, as on a command line; raises ``InvalidValueError``."""
    if not isinstance(raw, str):
        return raw
    try:
        found: Json = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(f"must be {what} in JSON, and is not JSON: {error}") from error
    return found


def free(raw: Json, depth: int = 0) -> Json:
    """JSON of any shape that can be stored and sent; raises ``InvalidValueError``."""
    if depth > _DEEPEST:
        raise InvalidValueError(f"is nested more than {_DEEPEST} deep")
    match raw:
        case str():
            return string(raw)
        case float() if not math.isfinite(raw):
            raise InvalidValueError(f"holds {raw}, which is not JSON")
        case Mapping():
            return {string(name): free(value, depth + 1) for name, value in raw.items()}
        case Sequence():
            return [free(item, depth + 1) for item in raw]
        case int() | float() | None:
            return raw
        case _:
            raise InvalidValueError(f"is a {type(raw).__name__}, which is not JSON")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


Problems: TypeAlias = list[tuple[str, str]]
"""Faults: the path, such as ``variants.twitter[0].message``, and the reason."""


class ValueSpec(SpecVariant):
    """The common keys of settings, ``[account]``, and of parameters, ``[operations.NAME.params]``: tables by name.

    A name has lower-case letters, digits and ``_``; a field of an object has the API's own name, without spaces, dots
    and square brackets. A default makes a value optional, and so does ``required = false``. ``enum``, ``pattern``,
    ``excludes``, ``max_length``, ``counted`` and ``contains`` are for strings.
    """

    type: Literal["string", "integer", "boolean", "url", "private_key", "object", "array"] = Field(
        default="string", description="what the value is"
    )
    help: Text = Field(description="one line for people")
    required: bool = Field(default=True, description="whether a value is required if there is no default")
    default: Scalar | None = Field(default=None, description="the value if none is given")
    example: Scalar | None = Field(default=None, description="the value in the spec's own examples")
    enum: Items[Text] = Field(default=(), description="the permitted texts, in any case")
    pattern: Regex | None = Field(default=None, description="a regex that the whole text matches")
    excludes: Regex | None = Field(default=None, description="a regex that the whole text must not match")
    max_length: int | None = Field(default=None, ge=1, description="in characters")
    counted: Mapping[Text, int] = Field(
        default={}, description='texts that count as this number of characters: `{ "{LINK}" = 22 }`'
    )
    contains: OneOrMore[Text] = Field(default=(), description="texts that it must contain")
    any_case: bool = Field(default=False, description="`contains` and `counted` ignore case")

    @property
    def other_names(self) -> tuple[str, ...]:
        """The other names of the value."""
        return ()

    def check(self, raw: Json, at: str, problems: Problems) -> Json:
        """The checked value. If it is invalid, its faults are added to ``problems``.

        Args:
            raw: the value as it was given.
            at: its path.
            problems: receives the faults.
        """
        try:
            return self._checked(raw)
        except InvalidValueError as error:
            problems.append((at, str(error)))
            return None

    def _checked(self, raw: Json) -> Json:
        if self.type == "boolean":
            return boolean(raw)
        if self.type == "integer":
            return integer(raw)
        text = string(raw)
        return address(text) if self.type == "url" else self._permitted(text)

    def _permitted(self, text: str) -> str:
        self._check_length(text)
        if self.pattern is not None and not compile_pattern(self.pattern).matches(text):
            raise InvalidValueError(f"{self._shown(text)} does not match the pattern {self.pattern}")
        if self.excludes is not None and compile_pattern(self.excludes).matches(text):
            raise InvalidValueError(f"{self._shown(text)} is not permitted: it matches {self.excludes}")
        missing = [one for one in self.contains if not self._found(one, text)]
        if missing:
            raise InvalidValueError(f"must contain {' and '.join(missing)}")
        if not self.enum:
            return text
        spellings = self._spellings()
        found = spellings.get(text.strip().casefold())
        return self._unlisted(text) if found is None else found

    def _unlisted(self, text: str) -> str:
        """The value for a text that ``enum`` does not have; raises ``InvalidValueError`` if it is refused."""
        raise InvalidValueError(f"{text!r} is not permitted (permitted: {', '.join(self.enum)})")

    def _check_length(self, text: str) -> None:
        if self.max_length is None:
            return
        length, counted = len(text), ""
        for one, worth in self.counted.items():
            found = self._found(one, text)
            length += found * (worth - len(one))
            counted += f", where {one} counts as {worth}" if found else ""
        if length > self.max_length:
            raise InvalidValueError(f"is too long: {length} characters{counted}, and {self.max_length} are permitted")

    def _found(self, part: str, text: str) -> int:
        return len(re.findall(re.escape(part), text, re.IGNORECASE if self.any_case else 0))

    def _spellings(self) -> dict[str, str]:
        return {value.casefold(): value for value in self.enum}

    def _shown(self, text: str) -> str:
        return repr(text)

    def _for_strings(self) -> tuple[Any, ...]:
        return self.enum, self.pattern, self.excludes, self.max_length, self.counted, self.contains

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type != "string" and any(self._for_strings()):
            raise InvalidValueError("enum, pattern, excludes, max_length, counted and contains are for strings")
        if self.counted and self.max_length is None:
            raise InvalidValueError("counted applies to max_length, and there is none")
        if self.any_case and not self.counted and not self.contains:
            raise InvalidValueError("any_case applies to contains and counted, and there is neither")
        if len({value.casefold() for value in self.enum}) < len(self.enum):
            raise InvalidValueError("enum has a value twice")
        for name in ("default", "example"):
            value = getattr(self, name)
            problems: Problems = []
            if isinstance(value, str) and self.type in _NOT_TEXT:
                raise InvalidValueError(f"the {name} {unquoted(value, _NOT_TEXT[self.type])}")
            if value is not None:
                self.check(value, "", problems)
            for path, reason in problems[:1]:
                at = f": {path.lstrip('.')}" if path else ""
                raise InvalidValueError(f"the {name}{at} {reason}")
        return self


class SettingSpec(ValueSpec):
    """A setting of an account. A secret is never shown.

    A ``private_key`` is PEM text or a JSON Web Key, and may have several lines.
    """

    type: Literal["string", "integer", "boolean", "url", "private_key"] = Field(
        default="string", description="`url` is the address of an API, `private_key` is PEM text or a JSON Web Key"
    )
    secret: bool = Field(default=False, description="never shown, and for `auth` only")

    def _checked(self, raw: Json) -> Json:
        """A file writes numbers and booleans without quotes; the text of a variable stands for any type."""
        if isinstance(raw, VariableText):
            raw = self._of_variable(raw)
        elif isinstance(raw, str) and self.type in _NOT_TEXT:
            raise InvalidValueError(unquoted(raw, _NOT_TEXT[self.type]))
        value = super()._checked(raw)
        # A secret from a file often ends with a line break.
        if isinstance(value, str) and self.type != "private_key" and any(one < " " or one == "\x7f" for one in value):
            raise InvalidValueError("holds a line break or another control character")
        return value

    def _of_variable(self, text: VariableText) -> Json:
        try:
            found: Json = boolean_of(text) if self.type == "boolean" else str(text)  # type: ignore[assignment]
        except ValueError as error:
            raise InvalidValueError(str(error)) from None
        return found

    def _permitted(self, text: str) -> str:
        if not text:
            raise InvalidValueError("is empty")
        return super()._permitted(text)

    def _shown(self, text: str) -> str:
        return "the secret" if self.secret else super()._shown(text)

    @model_validator(mode="after")
    def _kept_secret(self) -> Self:
        if self.type == "private_key" and not self.secret:
            raise InvalidValueError("a private_key needs secret = true")
        if self.secret and (self.type not in ("string", "private_key") or self.default is not None or self.enum):
            raise InvalidValueError("a secret is a string or a private_key, without default and enum")
        return self
