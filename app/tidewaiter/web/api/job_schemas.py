"""The shapes of the JSON of many jobs at once, of counts of jobs, and of when a job is expected to be ready."""

from typing import Annotated

from pydantic import Field, StringConstraints

from tidewaiter.domain.job import State
from tidewaiter.domain.job_labels import MOST_LABELS
from tidewaiter.services.many_jobs import MOST_AT_ONCE, JobAction
from tidewaiter.web.api.body_schemas import Incoming, JobNumber, Moment, Name, Outgoing, UniqueKey

_Text = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]+$")]
_State = Annotated[State, Field(strict=False)]  # JSON has texts


class ManyJobsFilter(Incoming):
    """Which jobs: all given conditions must match. The members mean the same as in `GET /v1/jobs`."""

    account: Name | None = None
    operation: Name | None = None
    state: Annotated[tuple[_State, ...], Field(max_length=len(State), strict=False)] = ()
    unique_key: UniqueKey | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    q: _Text | None = None
    label: Annotated[tuple[_Text, ...], Field(max_length=MOST_LABELS, strict=False)] = ()
    batch: _Text | None = None
    schedule: _Text | None = None
    cause: _Text | None = None
    unhandled: bool = False

    def as_query(self) -> dict[str, tuple[str, ...]]:
        """The same conditions as the query of a list."""
        return {
            name: ("true",) if value is True else (value,) if isinstance(value, str) else tuple(value)
            for name, value in self
            if value
        }


class ManyJobsBody(Incoming):
    """The jobs to act on: their numbers, or a filter."""

    ids: Annotated[tuple[JobNumber, ...], Field(max_length=MOST_AT_ONCE, strict=False)] = ()
    filter: ManyJobsFilter | None = None
    dry_run: Annotated[bool, Field(description="change nothing, and say what would be done")] = False


class ChangedJob(Outgoing):
    """A job that was changed, or would be."""

    id: JobNumber
    continues_as: Annotated[JobNumber, Field(description="the new job of a retry; else the job itself")]
    state: Annotated[State, Field(description="the state of the job that continues")]


class RefusedJob(Outgoing):
    """A job that was not changed."""

    id: JobNumber
    reason: str


class ManyJobsShape(Outgoing):
    """The result of one action on many jobs."""

    action: JobAction
    dry_run: bool
    count: Annotated[int, Field(description="how many jobs were changed, or would be")]
    more: Annotated[bool, Field(description="whether there are more jobs that match")]
    jobs: list[ChangedJob]
    refused: list[RefusedJob]


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


class ExpectationShape(Outgoing):
    """When a remote job is expected to be ready, from what earlier ones of its kind took."""

    usual_s: Annotated[float, Field(description="seconds from the submit that half of them did not exceed")]
    ready_at: Annotated[Moment | None, Field(description="when it is expected; null if it is later than all of them")]
    margin_s: Annotated[float | None, Field(description="it is not further from that, in four of five cases")]
    late: Annotated[bool, Field(description="whether it takes longer than 95 % of them")]


class NextStepShape(Outgoing):
    """When the next step of a job is due, and why."""

    due_at: Annotated[Moment | None, Field(description="when its next step is due, such as the next poll")]
    ready: Annotated[
        ExpectationShape | None, Field(description="null if it is not polled, or too few jobs came before it")
    ]
    sentence: Annotated[str | None, Field(description="the same in words, with times in UTC")]
