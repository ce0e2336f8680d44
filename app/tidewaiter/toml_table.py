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


Number: TypeAlias = Annotated[float, BeforeValidator(_no_truth_value), Field(allow_inf_nan=False)]
Positive: TypeAlias = Annotated[Number, Field(gt=0)]
FromZero: TypeAlias = Annotated[Number, Field(ge=0)]
FromOne: TypeAlias = Annotated[Number, Field(ge=1)]
Count: TypeAlias = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=1)]
