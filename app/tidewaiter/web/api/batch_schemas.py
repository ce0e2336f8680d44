"""The shapes of the JSON bodies of batches and backfills."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, SkipValidation, StringConstraints

from tidewaiter.domain.backfill import MOST_AT_ONCE, USUAL_AT_ONCE
from tidewaiter.web.api.body_schemas import Incoming, Labels, Moment, Name, Outgoing, Text


class NewBackfillBody(Incoming):
    """A backfill: a job for each window of a span of time."""

    account: Annotated[Name, Field(description="a configured account")]
    operation: Annotated[Name, Field(description="one that the account's provider has")]
    params: Annotated[
        dict[str, SkipValidation[JsonValue]],
        Field(
            default_factory=dict,
            max_length=1000,
            description="the parameters, with templates such as ${window.from} and ${window.to}",
        ),
    ]
    first: Annotated[Text, Field(alias="from", description="the first day, or a time, such as 2026-01-31T06:00")]
    to: Annotated[Text, Field(description="the last day, which is included, or a time, which is not")]
    window: Annotated[Text, Field(description="a number and h, d, w or mo (months), such as 1d")]
    timezone: Annotated[Text, Field(description="whose days they are")] = "UTC"
    newest_first: bool = False
    at_once: Annotated[int, Field(ge=1, le=MOST_AT_ONCE, description="how many jobs may be under way")] = USUAL_AT_ONCE
    reuse: Annotated[bool, Field(description="no job for a window that has landed with the same parameters")] = True
    name: Annotated[Text | None, Field(description="its name and that of its batch; without it one is made")] = None
    labels: Annotated[Labels, Field(default_factory=dict)]


class BackfillPauseReason(Incoming):
    """Why a backfill is paused."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500), Field(description="for others to read")] = (
        "paused through the API"
    )


class BatchShape(Outgoing):
    """Jobs that were submitted under one name."""

    name: str
    created_at: Moment
    created_by: Annotated[str, Field(description="the name of the token, or of the system's user")]
    jobs: Annotated[int, Field(description="how many jobs have joined it; a retry joins, too")]
    open: Annotated[int, Field(description="how many of them have not ended; a parked job has not")]
    complete: Annotated[bool, Field(description="false while a backfill still adds jobs")]
    ended_at: Annotated[Moment | None, Field(description="when its last job ended; a job that joins clears it")]
    states: Annotated[dict[str, int], Field(description="the number of stored jobs in each state that has some")]


class BackfillPause(Outgoing):
    """Who paused a backfill, and why: `daemon` if the job of a window was refused."""

    by: str
    reason: str
    at: Moment


class BackfillShape(Outgoing):
    """A backfill: how far it is, and when it is expected to end. Its jobs are those of the batch with its name."""

    name: str
    account: str
    operation: str
    params: dict[str, JsonValue]
    first: Annotated[str, Field(alias="from")]
    to: str
    window: str
    timezone: str
    newest_first: bool
    at_once: int
    reuse: bool
    labels: dict[str, str]
    state: Literal["running", "paused", "cancelled", "ended"]
    windows: int
    submitted: Annotated[int, Field(description="how many windows have their job, or need none")]
    reused: Annotated[int, Field(description="how many windows need no job")]
    done: Annotated[int, Field(description="how many windows have ended or need no job")]
    open: Annotated[int, Field(description="how many jobs have not ended")]
    states: Annotated[dict[str, int], Field(description="the number of stored jobs in each state that has some")]
    pause: Annotated[BackfillPause | None, Field(description="null if it is not paused")]
    created_at: Moment
    created_by: Annotated[str, Field(description="the name of the token, or of the system's user")]
    expected_end_at: Annotated[Moment | None, Field(description="at the rate so far; null if it is not known")]
    ended_at: Moment | None


class BackfillPage(Outgoing):
    """Backfills, the newest first."""

    backfills: list[BackfillShape]
    next: Annotated[str | None, Field(description="the address of the next page; null on the last")]


class BackfillPreviewShape(Outgoing):
    """What a backfill would do."""

    windows: int
    first: Annotated[dict[str, JsonValue], Field(description="the parameters of the first job")]
    last: Annotated[dict[str, JsonValue], Field(description="the parameters of the last job")]
    reused: Annotated[int, Field(description="how many windows need no job")]


class BatchPage(Outgoing):
    """Batches, the newest first."""

    batches: list[BatchShape]
    next: Annotated[str | None, Field(description="the address of the next page; null on the last")]
