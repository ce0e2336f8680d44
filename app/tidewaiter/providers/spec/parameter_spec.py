"""Parameters of a spec, and checks of a table of values: an account's settings, a job's parameters, an object."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from tidewaiter.domain.http_values import Json
from tidewaiter.providers.spec.field_types import InvalidValueError, Items, Text, When, holds
from tidewaiter.providers.spec.value_spec import Problems, ValueSpec, free, parsed

# --- a table of values ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckedValues:
    """The valid values of a table, in the order of the specs, and the names of the invalid ones."""

    values: dict[str, Json]
    wrong: Collection[str]


def find_unknown(specs: Mapping[str, ValueSpec], raw: Mapping[str, Json], what: str, at: str, found: Problems) -> None:
    """Report unknown names; ``what`` says what they would be."""
    names = {name for own, spec in specs.items() for name in (own, *spec.other_names)}
    known = ", ".join(specs) or "none"
    for name in raw:
        if name not in names:
            suggestion = "".join(f"did you mean {close}? " for close in get_close_matches(name, names, n=1))
            found.append((path(at, name), f"unknown {what} ({suggestion}there are: {known})"))


def by_own_name(specs: Mapping[str, ValueSpec], raw: Mapping[str, Json], at: str, found: Problems) -> dict[str, Json]:
    """The given values by their own names. Null is the same as absent: a JSON client may send every key."""
    values: dict[str, Json] = {}
    for own, spec in specs.items():
        named = [name for name in (own, *spec.other_names) if raw.get(name) is not None]
        if named:
            values[own] = raw[named[0]]
        if len(named) > 1:
            found.append((path(at, own), f"is given twice, as {' and as '.join(named)}"))
    return values


def check_values(specs: Mapping[str, ValueSpec], raw: Mapping[str, Json], at: str, found: Problems) -> CheckedValues:
    """The values, with their types and with defaults."""
    values: dict[str, Json] = {}
    wrong: set[str] = set()
    for name, value in raw.items():
        before = len(found)
        value_checked = specs[name].check(value, path(at, name), found)
        if len(found) > before:
            wrong.add(name)
        else:
            values[name] = value_checked
    # A default that depends on another value comes after those that do not.
    for name, spec in sorted(specs.items(), key=lambda item: bool(item[1].when)):
        if name not in raw and spec.default is not None and holds(spec.when, values):
            values[name] = spec.check(spec.default, path(at, name), found)
    return CheckedValues({name: values[name] for name in specs if name in values}, wrong)


def find_ruled_out(
    specs: Mapping[str, ValueSpec], raw: Mapping[str, Json], checked: CheckedValues, at: str, found: Problems
) -> None:
    """Report values that another value rules out: else a full export could be mistaken for an export of a group."""
    found += [
        (path(at, name), f"is not used{_condition(spec, 'unless')}")
        for name, spec in specs.items()
        if name in raw
        and not holds(spec.when, checked.values)
        and not any(other in checked.wrong for other in spec.when)
    ]


def find_missing(specs: Mapping[str, ValueSpec], checked: CheckedValues, at: str, found: Problems) -> None:
    """Report required values that are missing."""
    found += [
        (path(at, name), f"is missing{_condition(spec)}: {spec.help}")
        for name, spec in specs.items()
        if spec.required
        and name not in checked.values
        and name not in checked.wrong
        and holds(spec.when, checked.values)
    ]


def path(at: str, name: str) -> str:
    """The path of a member of the table at a path."""
    return f"{at}.{name}" if at else name


def _condition(spec: ValueSpec, word: str = "where") -> str:
    every = " and ".join(f"{name} is {_shown(value)}" for name, value in spec.when.items())
    return f" {word} {every}" if every else ""


def _shown(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- parameters -------------------------------------------------------------------------------------------------------


FieldName = Annotated[str, StringConstraints(pattern=r"^[^\s.\[\]]+$", max_length=64)]


class ParameterSpec(ValueSpec):
    """A parameter of an operation, or a field of one; ``aliases`` maps other spellings to values of ``enum``.

    An object without ``fields`` and an array without ``items`` may hold any JSON.
    """

    type: Literal["string", "integer", "boolean", "object", "array"] = Field(
        default="string", description="`object` and `array` are given as JSON"
    )
    default: JsonValue = Field(default=None, description="the value if none is given")
    example: JsonValue = Field(default=None, description="the value in the spec's own examples")
    aliases: Mapping[str, str] = Field(default={}, description='other spellings: `{ weekly = "WEEK" }`')
    more: bool = Field(
        default=False, description="a text that is not in `enum` is sent unchanged; the log warns with `job.warned`"
    )
    also: Items[FieldName] = Field(default=(), description="other permitted names")
    as_written: When = Field(
        default={},
        description="only with `also`: account settings for which the value is sent under the name that was "
        'used: `{ names = "as_written" }`',
    )
    fields: Mapping[FieldName, "ParameterSpec"] = Field(
        default={},
        description="of an object: `[...fields.NAME]`, with the keys of a parameter; without it any JSON is permitted",
    )
    items: "Item | None" = Field(
        default=None, description="of an array: `[...items]`, with the keys of a parameter; without it any JSON"
    )
    max_items: int | None = Field(default=None, ge=1, description="of an array: how many items it may have")
    secret: bool = Field(
        default=False,
        description="a text, such as a password for the files, that is never shown: everywhere it stands as `***`",
    )

    @property
    def other_names(self) -> tuple[str, ...]:
        """Under which other names the value may be given."""
        return self.also

    def check(self, raw: Json, at: str, problems: Problems) -> Json:
        """The checked value, with everything in it; see :meth:`ValueSpec.check`."""
        if self.type not in ("object", "array"):
            return super().check(raw, at, problems)
        try:
            return self._nested(raw, at, problems)
        except InvalidValueError as error:
            problems.append((at, str(error)))
            return None

    def _nested(self, raw: Json, at: str, problems: Problems) -> Json:
        if self.type == "object":
            found = parsed(raw, "an object")
            if not isinstance(found, Mapping):
                raise InvalidValueError("must be an object")
            return self._object(found, at, problems) if self.fields else free(found)
        found = parsed(raw, "an array")
        if not isinstance(found, list | tuple):
            raise InvalidValueError("must be an array")
        if self.max_items is not None and len(found) > self.max_items:
            raise InvalidValueError(f"has {len(found)} items, and {self.max_items} are permitted")
        if self.items is None:
            return free(found)
        return [self.items.check(item, f"{at}[{number}]", problems) for number, item in enumerate(found)]

    def _object(self, raw: Mapping[str, Json], at: str, problems: Problems) -> Json:
        find_unknown(self.fields, raw, "field", at, problems)
        named = by_own_name(self.fields, raw, at, problems)
        checked = check_values(self.fields, named, at, problems)
        find_ruled_out(self.fields, named, checked, at, problems)
        find_missing(self.fields, checked, at, problems)
        return checked.values

    def unlisted(self, value: Json, at: str) -> Problems:
        """The checked values, also nested ones, that are used but are not in ``enum``: the path, and a message."""
        if isinstance(value, Mapping):
            inside = ((self.fields.get(name), one, f"{at}.{name}") for name, one in value.items())
        elif isinstance(value, list):
            inside = ((self.items, one, f"{at}[{number}]") for number, one in enumerate(value))
        elif isinstance(value, str) and self.more and value not in self.enum:
            return [(at, f"{value!r} is not among the known values ({', '.join(self.enum)}); it is sent as it is")]
        else:
            return []
        return [found for spec, one, path in inside if spec is not None for found in spec.unlisted(one, path)]

    def _unlisted(self, text: str) -> str:
        return text if self.more and text.strip() else super()._unlisted(text)

    def _shown(self, text: str) -> str:
        return "the secret" if self.secret else super()._shown(text)

    def _spellings(self) -> dict[str, str]:
        return {alias.strip().casefold(): value for alias, value in self.aliases.items()} | super()._spellings()

    def _for_strings(self) -> tuple[Any, ...]:
        return (*super()._for_strings(), self.aliases)

    @model_validator(mode="after")
    def _nested_only_in_objects_and_arrays(self) -> Self:
        if self.fields and self.type != "object":
            raise InvalidValueError("fields are for objects")
        if self.type != "array" and (self.items is not None or self.max_items is not None):
            raise InvalidValueError("items and max_items are for arrays")
        check_names(self.fields, "fields")
        if any(one.secret for one in (*self.fields.values(), *filter(None, [self.items]))):
            raise InvalidValueError("a secret is a parameter of its own, not a part of an object or array")
        return self

    @model_validator(mode="after")
    def _kept_secret(self) -> Self:
        if self.secret and (self.type != "string" or self.default is not None or self.enum):
            raise InvalidValueError("a secret is a string, without default and enum")
        return self

    @model_validator(mode="after")
    def _consistent_names(self) -> Self:
        if self.more and not self.enum:
            raise InvalidValueError("more permits values that are not in enum, and there is no enum")
        if self.as_written and (not self.also or self.required or self.default is not None):
            raise InvalidValueError("as_written is for a parameter with also, that is not required and has no default")
        return self

    @model_validator(mode="after")
    def _aliases_are_permitted(self) -> Self:
        own = super()._spellings()
        for alias, value in self.aliases.items():
            if value not in self.enum:
                raise InvalidValueError(f"the alias {alias} stands for {value}, which enum does not have")
            if alias.strip().casefold() in own:
                raise InvalidValueError(f"the alias {alias} is a value of enum itself")
        return self


def check_names(params: Mapping[str, ParameterSpec], what: str) -> None:
    """Raises ``InvalidValueError`` if two of them have the same name; ``what`` says what they are."""
    names = [name for own, one in params.items() for name in (own, *one.also)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidValueError(f"the name {twice[0]} is that of two {what}")


class Item(ParameterSpec):
    """The spec of an array's items: a parameter without a name; the ``help`` of the array describes it.

    ``when``, ``required``, ``default`` and ``also`` are not permitted.
    """

    help: Text = Field(default="one of the array", description="one line for people")

    @model_validator(mode="after")
    def _nameless(self) -> Self:
        if self.when or self.also or self.default is not None or not self.required:
            raise InvalidValueError("an item has no when, required, default and also, because it has no name")
        return self
