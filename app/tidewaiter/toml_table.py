"""The base of all tables of TOML files, and their number types. Separate from toml_file because it needs pydantic."""

from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class TomlTable(BaseModel):
    """A table: unknown keys are errors, it cannot be changed, and messages do not quote values."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True, defer_build=True
    )


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004  # pydantic collects ValueErrors
    return value


# The bounds stand before the validator: so they are bounds of a number in the JSON Schema, too.
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_boolean)]
FromZero: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_no_boolean)]
FromOne: TypeAlias = Annotated[float, Field(ge=1, allow_inf_nan=False), BeforeValidator(_no_boolean)]
CountFromZero: TypeAlias = Annotated[int, Field(ge=0), BeforeValidator(_no_boolean)]
Count: TypeAlias = Annotated[int, Field(ge=1), BeforeValidator(_no_boolean)]
