"""What settings and parameters have in common, and the settings of an account."""

import re
from collections.abc import Mapping
from typing import Any, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from app.domain.jsonvalue import Json
from app.patterns import compile_pattern
from app.providers.spec.fields import Items, OneOrMore, Regex, Scalar, Text, UnfitError, Variant
from app.providers.spec.scalars import address, boolean, integer, string

Problems: TypeAlias = list[tuple[str, str]]
"""What is wrong: where, as a path such as ``variants.twitter[0].message``, and why."""


class ValueSpec(Variant):
    """What settings and parameters have in common. A default makes a value optional, and so does ``required``.

    ``when`` names siblings: the value is asked for only where they hold.
    """

    type: Literal["string", "integer", "boolean", "url", "private_key", "object", "array"] = "string"
    help: Text = Field(description="one line for the help of the command line")
    required: bool = True
    default: Scalar | None = None
    example: Scalar | None = Field(default=None, description="the value in the spec's own examples")
    enum: Items[Text] = Field(default=(), description="the permitted values of a string, matched in any case")
    pattern: Regex | None = Field(default=None, description="a regex that the whole of a string matches")
    excludes: Regex | None = Field(default=None, description="a regex that the whole of a string must not match")
    max_length: int | None = Field(default=None, ge=1, description="in characters")
    counted: Mapping[Text, int] = Field(default={}, description="texts that count as so many characters each")
    contains: OneOrMore[Text] = Field(default=(), description="texts that must stand in a string")
    any_case: bool = Field(default=False, description="contains and counted are looked for in any case")

    @property
    def other_names(self) -> tuple[str, ...]:
        """Under which other names the value may be given."""
        return ()

    def check(self, raw: Json, at: str, problems: Problems) -> Json:
        """The value as it is used; where it does not fit, what is wrong is added to ``problems``.

        Args:
            raw: the value as it was given.
            at: its path.
            problems: takes what is wrong.
        """
        try:
            return self._checked(raw)
        except UnfitError as error:
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
            raise UnfitError(f"{self._shown(text)} does not match the pattern {self.pattern}")
        if self.excludes is not None and compile_pattern(self.excludes).matches(text):
            raise UnfitError(f"{self._shown(text)} is not permitted: it matches {self.excludes}")
        missing = [one for one in self.contains if not self._found(one, text)]
        if missing:
            raise UnfitError(f"must contain {' and '.join(missing)}")
        if not self.enum:
            return text
        spellings = self._spellings()
        found = spellings.get(text.strip().casefold())
        return self._unlisted(text) if found is None else found

    def _unlisted(self, text: str) -> str:
        """What is used in place of a text that ``enum`` does not have; raises ``UnfitError`` where it is refused."""
        raise UnfitError(f"{text!r} is not permitted (permitted: {', '.join(self.enum)})")

    def _check_length(self, text: str) -> None:
        if self.max_length is None:
            return
        length, counted = len(text), ""
        for one, worth in self.counted.items():
            found = self._found(one, text)
            length += found * (worth - len(one))
            counted += f", where {one} counts as {worth}" if found else ""
        if length > self.max_length:
            raise UnfitError(f"is too long: {length} characters{counted}, and {self.max_length} are permitted")

    def _found(self, wanted: str, text: str) -> int:
        return len(re.findall(re.escape(wanted), text, re.IGNORECASE if self.any_case else 0))

    def _spellings(self) -> dict[str, str]:
        return {value.casefold(): value for value in self.enum}

    def _shown(self, text: str) -> str:
        return repr(text)

    def _for_strings(self) -> tuple[Any, ...]:
        return self.enum, self.pattern, self.excludes, self.max_length, self.counted, self.contains

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type != "string" and any(self._for_strings()):
            raise UnfitError("enum, pattern, excludes, max_length, counted and contains are for strings")
        if self.counted and self.max_length is None:
            raise UnfitError("counted says how max_length counts, and there is none")
        if self.any_case and not self.counted and not self.contains:
            raise UnfitError("any_case says how contains and counted are looked for, and there is neither")
        if len({value.casefold() for value in self.enum}) < len(self.enum):
            raise UnfitError("enum has a value twice")
        for name in ("default", "example"):
            value = getattr(self, name)
            problems: Problems = []
            if value is not None:
                self.check(value, "", problems)
            for path, reason in problems[:1]:
                at = f": {path.lstrip('.')}" if path else ""
                raise UnfitError(f"the {name}{at} {reason}")
        return self


class Setting(ValueSpec):
    """A setting of an account. A secret is read from where the operator keeps it, and never shown.

    A ``private_key`` is text as PEM or as JSON Web Key, so it may have several lines.
    """

    type: Literal["string", "integer", "boolean", "url", "private_key"] = "string"
    secret: bool = False

    def _shown(self, text: str) -> str:
        return "the secret" if self.secret else super()._shown(text)

    @model_validator(mode="after")
    def _kept_secret(self) -> Self:
        if self.type == "private_key" and not self.secret:
            raise UnfitError("a private_key needs secret = true")
        if self.secret and (self.type not in ("string", "private_key") or self.default is not None or self.enum):
            raise UnfitError("a secret is a string or a private_key, without default and enum")
        return self
