"""What the tables of TOML files have in common, and the numbers that they hold. Only this part needs pydantic."""

from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class TomlTable(BaseModel):
    """A table: it has no unknown key, nothing changes later, and no message shows what was written."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True, defer_build=True
    )


def _no_truth_value(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004  # pydantic collects ValueErrors
    return value


# The bounds stand before the validator: so they are bounds of a number in the JSON Schema, too.
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_truth_value)]
FromZero: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_no_truth_value)]
FromOne: TypeAlias = Annotated[float, Field(ge=1, allow_inf_nan=False), BeforeValidator(_no_truth_value)]
Count: TypeAlias = Annotated[int, Field(ge=1), BeforeValidator(_no_truth_value)]
