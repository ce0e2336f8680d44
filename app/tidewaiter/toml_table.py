"""The base of all tables of TOML files, and the types of their numbers and booleans.

A file writes a number or a boolean without quotes: ``"no"`` or ``"5"`` is a text, and refused. Only a
:class:`VariableText`, from an environment variable or a secret file, stands for one. Separate from toml_file because it
needs pydantic.
"""

import re
from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

TRUTH_WORDS: Final = {
    "true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip
"""What an environment variable may say for a boolean, in any case."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")


class VariableText(str):
    """The text of an environment variable or a secret file, which may stand for a value of any type."""

    __slots__ = ()


def boolean_of(value: object) -> object:
    """The boolean that a variable's text stands for; anything else as it is.

    Raises:
        ValueError: it is another text. The message quotes only words that mean true or false, for any other text may be
            a secret in the wrong place.
    """
    if not isinstance(value, str):
        return value
    meant = TRUTH_WORDS.get(value.strip().lower())
    if isinstance(value, VariableText):
        if meant is None:
            raise ValueError(f"must be one of {', '.join(TRUTH_WORDS)}")
        return meant
    raise ValueError(unquoted(value, "must be true or false"))


def unquoted(text: str, must: str) -> str:
    """Why a text of a file is refused where a number or boolean belongs, and what to write."""
    meant = TRUTH_WORDS.get(text.strip().lower()) if "true" in must else None
    if meant is not None:
        return f'{must}: "{text}" is a text; write {str(meant).lower()}, without quotes'
    if "number" in must and _NUMBER.fullmatch(text.strip()):
        return f'{must}: "{text}" is a text; write {text.strip()}, without quotes'
    return f"{must}, without quotes"


class TomlTable(BaseModel):
    """A table: unknown keys are errors, it cannot be changed, and messages do not quote values."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True, defer_build=True
    )


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004  # pydantic collects ValueErrors
    if isinstance(value, str) and not isinstance(value, VariableText):
        raise ValueError(unquoted(value, "must be a number"))  # noqa: TRY004  # the same
    return value


def _whole_number(value: object) -> object:
    if isinstance(value, float):
        raise ValueError("must be a whole number, without a point")  # noqa: TRY004  # pydantic collects ValueErrors
    if isinstance(value, str) and not isinstance(value, VariableText):
        raise ValueError(unquoted(value, "must be a whole number"))  # noqa: TRY004  # the same
    return _number(value)


def _boolean(value: object) -> object:
    found = boolean_of(value)
    if found is not None and not isinstance(found, bool):
        raise ValueError("must be true or false")
    return found


# The bounds stand before the validator: so they are bounds of a number in the JSON Schema, too.
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_number)]
FromZero: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_number)]
FromOne: TypeAlias = Annotated[float, Field(ge=1, allow_inf_nan=False), BeforeValidator(_number)]
CountFromZero: TypeAlias = Annotated[int, Field(ge=0), BeforeValidator(_whole_number)]
Count: TypeAlias = Annotated[int, Field(ge=1), BeforeValidator(_whole_number)]
Boolean: TypeAlias = Annotated[bool, BeforeValidator(_boolean)]
