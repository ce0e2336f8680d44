"""Values that a step keeps of its reply, for the requests after it."""

from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field

from tidewaiter.providers.spec.field_types import InvalidValueError, Name, PickSpec

MOST_KEPT: Final = 16
"""The most values that a job keeps."""


class KeepSpec(PickSpec):
    """The place of a value that is kept with the job, and is ``${kept.NAME}`` in the requests after it.

    A value is a single text, number or boolean of at most 2,048 characters, without control characters. All values of
    a job together have at most 8 KiB.
    """

    optional: bool = Field(default=False, description="the reply may lack the value; else that is an error")


def _few(values: Mapping[str, KeepSpec]) -> Mapping[str, KeepSpec]:
    if len(values) > MOST_KEPT:
        raise InvalidValueError(f"has {len(values)} values, and a job keeps at most {MOST_KEPT}")
    return values


Keep: TypeAlias = Annotated[Mapping[Name, KeepSpec], AfterValidator(_few)]
