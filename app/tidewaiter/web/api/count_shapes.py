"""The shapes of the JSON bodies of counts of jobs."""

from typing import Annotated

from pydantic import Field

from tidewaiter.domain.job import State
from tidewaiter.web.api.body_schemas import Outgoing


class JobGroupShape(Outgoing):
    """The jobs with one value."""

    value: Annotated[str | None, Field(description="null for the jobs that have none")]
    jobs: int
    states: Annotated[dict[State, int], Field(description="how many are in each state")]


class JobCountsShape(Outgoing):
    """The groups, the largest first."""

    by: str
    groups: list[JobGroupShape]
    jobs: Annotated[int, Field(description="how many were counted")]
    complete: Annotated[bool, Field(description="false if older jobs match, too, and were not counted")]
