"""The shapes of trends; see :mod:`tidewaiter.web.api.body_schemas`."""

from typing import Annotated, Literal

from pydantic import Field

from tidewaiter.web.api.body_schemas import Moment, Outgoing


class SumsShape(Outgoing):
    """Sums of jobs that have ended. Durations are estimates: they are counted in buckets."""

    landed: Annotated[int, Field(description="jobs whose files have landed")]
    failed: int
    expired: int
    cancelled: int
    files: int
    bytes: int
    duration_p50_s: Annotated[float | None, Field(description="of jobs that succeeded, from their making to their end")]
    duration_p95_s: float | None
    delay_p50_s: Annotated[float | None, Field(description='from "ready" to the landed files')]
    delay_p95_s: float | None


class PeriodShape(SumsShape):
    """What ended in one period."""

    at: Annotated[Moment, Field(description="its begin")]


class OperationSumsShape(SumsShape):
    """What ended of one operation in all periods."""

    account: str
    operation: str


class TrendsShape(Outgoing):
    """What ended in each period, oldest first and the current one last; and of each operation in all of them."""

    step: Literal["hour", "day", "week"]
    periods: list[PeriodShape]
    operations: list[OperationSumsShape]
