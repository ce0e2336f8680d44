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


Number: TypeAlias = Annotated[float, BeforeValidator(_no_boolean), Field(allow_inf_nan=False)]
Positive: TypeAlias = Annotated[Number, Field(gt=0)]
FromZero: TypeAlias = Annotated[Number, Field(ge=0)]
FromOne: TypeAlias = Annotated[Number, Field(ge=1)]
Count: TypeAlias = Annotated[int, BeforeValidator(_no_boolean), Field(ge=1)]
