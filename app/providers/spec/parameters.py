"""The parameters of an operation: single values, and objects and arrays of them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from app.domain.jsonvalue import Json
from app.providers.spec.fields import Items, Text, UnfitError, When
from app.providers.spec.scalars import free, parsed
from app.providers.spec.tables import find_missing, find_out_of_place, find_unknown, fit, given
from app.providers.spec.values import Problems, ValueSpec

FieldName = Annotated[str, StringConstraints(pattern=r"^[^\s.\[\]]+$", max_length=64)]


class Parameter(ValueSpec):
    """A parameter of an operation, or a field of one; ``aliases`` maps other spellings to values of ``enum``.

    An object without ``fields`` and an array without ``items`` may hold any JSON.
    """

    type: Literal["string", "integer", "boolean", "object", "array"] = "string"
    default: JsonValue = None
    example: JsonValue = Field(default=None, description="the value in the spec's own examples")
    aliases: Mapping[str, str] = Field(default={}, description="other spellings of permitted values")
    more: bool = Field(default=False, description="values that enum does not have are sent, too, with a warning")
    also: Items[FieldName] = Field(default=(), description="other names under which it may be given")
    as_written: When = Field(default={}, description="account settings under which it keeps the name that was used")
    fields: Mapping[FieldName, "Parameter"] = Field(default={}, description="of an object: what may stand in it")
    items: "Item | None" = Field(default=None, description="of an array: what each of its items is")
    max_items: int | None = Field(default=None, ge=1, description="of an array")

    @property
    def other_names(self) -> tuple[str, ...]:
        """Under which other names the value may be given."""
        return self.also

    def check(self, raw: Json, at: str, problems: Problems) -> Json:
        """The value as it is used, with all that is in it; see :meth:`ValueSpec.check`."""
        if self.type not in ("object", "array"):
            return super().check(raw, at, problems)
        try:
            return self._nested(raw, at, problems)
        except UnfitError as error:
            problems.append((at, str(error)))
            return None

    def _nested(self, raw: Json, at: str, problems: Problems) -> Json:
        if self.type == "object":
            found = parsed(raw, "an object")
            if not isinstance(found, Mapping):
                raise UnfitError("must be an object")
            return self._object(found, at, problems) if self.fields else free(found)
        found = parsed(raw, "an array")
        if not isinstance(found, list | tuple):
            raise UnfitError("must be an array")
        if self.max_items is not None and len(found) > self.max_items:
            raise UnfitError(f"has {len(found)} items, and {self.max_items} are permitted")
        if self.items is None:
            return free(found)
        return [self.items.check(item, f"{at}[{number}]", problems) for number, item in enumerate(found)]

    def _object(self, raw: Mapping[str, Json], at: str, problems: Problems) -> Json:
        find_unknown(self.fields, raw, "field", at, problems)
        named = given(self.fields, raw, at, problems)
        fitted = fit(self.fields, named, at, problems)
        find_out_of_place(self.fields, named, fitted, at, problems)
        find_missing(self.fields, fitted, at, problems)
        return fitted.values

    def unlisted(self, value: Json, at: str) -> Problems:
        """The checked values, here and inside, that are used although ``enum`` does not have them: where, and what."""
        if isinstance(value, Mapping):
            inside = ((self.fields.get(name), one, f"{at}.{name}") for name, one in value.items())
        elif isinstance(value, list):
            inside = ((self.items, one, f"{at}[{number}]") for number, one in enumerate(value))
        elif isinstance(value, str) and self.more and value not in self.enum:
            return [
                (at, f"{value!r} is none of the values that are known ({', '.join(self.enum)}); it is sent as it is")
            ]
        else:
            return []
        return [found for spec, one, path in inside if spec is not None for found in spec.unlisted(one, path)]

    def _unlisted(self, text: str) -> str:
        return text if self.more and text.strip() else super()._unlisted(text)

    def _spellings(self) -> dict[str, str]:
        return {alias.strip().casefold(): value for alias, value in self.aliases.items()} | super()._spellings()

    def _for_strings(self) -> tuple[Any, ...]:
        return (*super()._for_strings(), self.aliases)

    @model_validator(mode="after")
    def _nested_where_it_can_be(self) -> Self:
        if self.fields and self.type != "object":
            raise UnfitError("fields are for objects")
        if self.type != "array" and (self.items is not None or self.max_items is not None):
            raise UnfitError("items and max_items are for arrays")
        check_names(self.fields, "fields")
        return self

    @model_validator(mode="after")
    def _written_names_are_apart(self) -> Self:
        if self.more and not self.enum:
            raise UnfitError("more goes beyond the values of enum, and there is no enum")
        if self.as_written and (not self.also or self.required or self.default is not None):
            raise UnfitError("as_written is for a parameter with also, that is not required and has no default")
        return self

    @model_validator(mode="after")
    def _aliases_lead_somewhere(self) -> Self:
        own = super()._spellings()
        for alias, value in self.aliases.items():
            if value not in self.enum:
                raise UnfitError(f"the alias {alias} stands for {value}, which enum does not have")
            if alias.strip().casefold() in own:
                raise UnfitError(f"the alias {alias} is a value of enum itself")
        return self


def check_names(params: Mapping[str, Parameter], what: str) -> None:
    """Raises ``UnfitError`` where one name would mean two of them; ``what`` says what they are."""
    names = [name for own, one in params.items() for name in (own, *one.also)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UnfitError(f"the name {twice[0]} is that of two {what}")


class Item(Parameter):
    """What each item of an array is: a parameter without a name, for which the array's ``help`` speaks."""

    help: Text = "one of the array"

    @model_validator(mode="after")
    def _nameless(self) -> Self:
        if self.when or self.also or self.default is not None or not self.required:
            raise UnfitError("an item has no when, required, default and also, for it has no name")
        return self
