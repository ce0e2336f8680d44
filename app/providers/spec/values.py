"""Account settings and parameters: what an operator may set, of which type, and what is permitted."""

import re
from collections.abc import Mapping
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from app.domain.jsonvalue import Json
from app.providers.spec.fields import Items, Regex, Scalar, Text, UnfitError, Variant
from app.providers.urls import origin_of


class ValueSpec(Variant):
    """What settings and parameters have in common. A default makes a value optional, and so does ``required``.

    ``when`` names siblings: the value is asked for only where they hold.
    """

    type: Literal["string", "integer", "boolean", "url"] = "string"
    help: Text = Field(description="one line for the help of the command line")
    required: bool = True
    default: Scalar | None = None
    example: Scalar | None = Field(default=None, description="the value in the spec's own examples")
    enum: Items[Text] = Field(default=(), description="the permitted values of a string, matched in any case")
    pattern: Regex | None = Field(default=None, description="a regex that the whole of a string matches")
    max_length: int | None = Field(default=None, ge=1, description="in characters")

    def always_there(self) -> bool:
        """Whether there is a value in every case in which ``when`` holds."""
        return self.required or self.default is not None

    def checked(self, raw: Json) -> Json:
        """The value as it is used: of the right type, and spelled as ``enum`` spells it.

        Raises:
            UnfitError: what is wrong with it, as the end of a sentence that begins with its name.
        """
        if self.type == "boolean":
            return _boolean(raw)
        if self.type == "integer":
            return _integer(raw)
        text = _string(raw)
        return _url(text) if self.type == "url" else self._permitted(text)

    def _permitted(self, text: str) -> str:
        if self.max_length is not None and len(text) > self.max_length:
            raise UnfitError(f"is too long: {len(text)} characters, and {self.max_length} are permitted")
        if self.pattern is not None and re.fullmatch(self.pattern, text) is None:
            raise UnfitError(f"{self._shown(text)} does not match the pattern {self.pattern}")
        if not self.enum:
            return text
        spellings = self._spellings()
        if (found := spellings.get(text.strip().casefold())) is None:
            raise UnfitError(f"{text!r} is not permitted (permitted: {', '.join(self.enum)})")
        return found

    def _spellings(self) -> dict[str, str]:
        return {value.casefold(): value for value in self.enum}

    def _shown(self, text: str) -> str:
        return repr(text)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type != "string" and (self.enum or self.pattern or self.max_length):
            raise UnfitError("enum, pattern and max_length are for strings")
        if len({value.casefold() for value in self.enum}) < len(self.enum):
            raise UnfitError("enum has a value twice")
        for name in ("default", "example"):
            value = getattr(self, name)
            try:
                if value is not None:
                    self.checked(value)
            except UnfitError as error:
                raise UnfitError(f"the {name} {error}") from error
        return self


class Setting(ValueSpec):
    """A setting of an account. A secret is read from where the operator keeps it, and never shown."""

    secret: bool = False

    def _shown(self, text: str) -> str:
        return "the secret" if self.secret else super()._shown(text)

    @model_validator(mode="after")
    def _kept_secret(self) -> Self:
        if self.secret and (self.type != "string" or self.default is not None or self.enum):
            raise UnfitError("a secret is a string without default and enum")
        return self


class Parameter(ValueSpec):
    """A parameter of an operation; ``aliases`` maps other spellings to values of ``enum``."""

    type: Literal["string", "integer", "boolean"] = "string"
    aliases: Mapping[str, str] = Field(default={}, description="other spellings of permitted values")

    def _spellings(self) -> dict[str, str]:
        return {alias.strip().casefold(): value for alias, value in self.aliases.items()} | super()._spellings()

    @model_validator(mode="after")
    def _aliases_lead_somewhere(self) -> Self:
        own = super()._spellings()
        for alias, value in self.aliases.items():
            if value not in self.enum:
                raise UnfitError(f"the alias {alias} stands for {value}, which enum does not have")
            if alias.strip().casefold() in own:
                raise UnfitError(f"the alias {alias} is a value of enum itself")
        return self


def _boolean(raw: Json) -> bool:
    if isinstance(raw, str) and raw.strip().casefold() in ("true", "false"):
        return raw.strip().casefold() == "true"
    if not isinstance(raw, bool):
        raise UnfitError(f"must be true or false, not {raw!r}")
    return raw


def _integer(raw: Json) -> int:
    if isinstance(raw, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", raw.strip()):
        return int(raw)
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise UnfitError(f"must be a whole number, not {raw!r}")
    return raw


def _string(raw: Json) -> str:
    # A customer's number is a string that an operator may well write as a number.
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    if not isinstance(raw, str):
        raise UnfitError("must be text")
    if "\0" in raw or any("\ud800" <= character <= "\udfff" for character in raw):
        raise UnfitError("holds characters that are no text")
    return raw


def _url(text: str) -> str:
    """An address under which an API lives, without the slash at its end."""
    address = text.strip().rstrip("/")
    if not address.isascii() or not address.isprintable() or " " in address or not origin_of(address):
        raise UnfitError(f"{text!r} is not an http or https address")
    parts = urlsplit(address)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise UnfitError("must be an address without user name, query and fragment")
    return address
