"""Header fields in the syntax of Structured Fields: a list of items with parameters. Source: RFC 9651, section 4.2.

Only this form is read, because no field that we know has another one. A library for all forms would be a dependency at
run time for one field.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LONGEST_FIELD: Final = 8192
_MOST_ITEMS: Final = 64
_BLANKS: Final = re.compile(r"[ \t]*")
_SPACES: Final = re.compile(r" *")
_KEY: Final = re.compile(r"[a-z*][a-z0-9_.*-]*")
_VALUE: Final = re.compile(
    r"""
    "(?P<string>(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"
    | (?P<decimal>-?[0-9]{1,12}\.[0-9]{1,3})(?![0-9.])
    | (?P<integer>-?[0-9]{1,15})(?![0-9.])
    | (?P<token>[A-Za-z*][A-Za-z0-9!\#$%&'*+.^_`|~:/-]*)
    | :(?P<bytes>[A-Za-z0-9+/=]*):
    | \?(?P<boolean>[01])
    | @(?P<date>-?[0-9]{1,15})(?![0-9.])
    | %"(?P<display>[\x20-\x21\x23-\x7e]*)"
    """,
    re.VERBOSE | re.ASCII,
)
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class FieldItem:
    """One item: its value as text, and its parameters. Integers are numbers, everything else is text or a boolean."""

    value: str
    parameters: Mapping[str, int | str | bool]


class MalformedFieldError(ValueError):
    """A field has another syntax; then all of it is ignored (section 4.2)."""


def list_of_items(field: str) -> list[FieldItem]:
    """The items of a list field.

    Args:
        field: the whole field; repeated fields joined by commas.

    Raises:
        MalformedFieldError: it is no list of items, or longer than any that makes sense.
    """
    if len(field) > LONGEST_FIELD:
        raise MalformedFieldError
    text, at = field.strip(" "), 0
    items: list[FieldItem] = []
    while at < len(text):
        item, at = _item(text, at)
        items.append(item)
        at = _after(_BLANKS, text, at)
        if at == len(text):
            return items
        if text[at] != "," or len(items) == _MOST_ITEMS:
            raise MalformedFieldError
        at = _after(_BLANKS, text, at + 1)
        if at == len(text):
            raise MalformedFieldError  # a comma at the end
    return items


def _item(text: str, at: int) -> tuple[FieldItem, int]:
    value, at = _value(text, at)
    parameters: dict[str, int | str | bool] = {}
    while text.startswith(";", at):
        at = _after(_SPACES, text, at + 1)
        found = _KEY.match(text, at)
        if found is None:
            raise MalformedFieldError
        at, key = found.end(), found[0]
        parameters[key] = True
        if text.startswith("=", at):
            parameters[key], at = _value(text, at + 1)
    return FieldItem(str(value), parameters), at


def _value(text: str, at: int) -> tuple[int | str | bool, int]:
    found = _VALUE.match(text, at)
    if found is None:
        raise MalformedFieldError
    match found.lastgroup:
        case "integer":
            return int(found["integer"]), found.end()
        case "boolean":
            return found["boolean"] == "1", found.end()
        case "string":
            return _ESCAPED.sub(r"\1", found["string"]), found.end()
        case kind:
            return found[str(kind)], found.end()


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()
