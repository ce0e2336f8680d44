"""Backfills: one job for each window of a span of time, a few at a time, until all have ended."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from tidewaiter.domain.batch import Batch
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import State
from tidewaiter.domain.secret_params import NO_SECRETS, SecretParams
from tidewaiter.domain.windows import Span, Window, WindowError

USUAL_AT_ONCE: Final = 4
MOST_AT_ONCE: Final = 100
MOST_PARKED: Final = 20
"""A backfill with so many parked jobs waits for a person."""


class BackfillState(StrEnum):
    """How far a backfill is."""

    RUNNING = "running"
    """Windows are left to be submitted, or jobs have not ended."""
    PAUSED = "paused"
    """No more windows are submitted until a person resumes it; its jobs continue."""
    CANCELLED = "cancelled"
    """A person has cancelled it before every window was submitted."""
    ENDED = "ended"
    """Every window is reused, or its job has ended."""


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """Which windows, in which order, and how many jobs may be under way at a time.

    ``reuse``: no job is made for a window whose result has already landed with the same parameters.
    """

    span: Span
    newest_first: bool = False
    at_once: int = USUAL_AT_ONCE
    reuse: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    traceparent: str | None = None

    def as_text(self) -> str:
        """The plan as JSON."""
        return json.dumps({**asdict(self), "labels": dict(self.labels)}, sort_keys=True)

    def window_at(self, place: int) -> Window:
        """The window that is submitted at that place, from 0.

        Raises:
            WindowError: there is none, because the rules of the time zone have changed.
        """
        windows = self.span.windows()
        if place >= len(windows):
            raise WindowError("timezone", f"{self.span.zone!r} has other rules now: there are {len(windows)} windows")
        return windows[len(windows) - 1 - place if self.newest_first else place]


@lru_cache(maxsize=256)
def plan_of(text: str) -> BackfillPlan:
    """The plan of a text of :meth:`BackfillPlan.as_text`."""
    members = json.loads(text)
    return BackfillPlan(**{**members, "span": Span(**members["span"])})


@dataclass(frozen=True, slots=True)
class Backfill:
    """A backfill as it stands; its jobs are those of ``batch``, which has its name. Times are epoch seconds.

    ``params`` may hold templates of the window, and has ``***`` in place of ``secrets``. ``next_window`` is the place
    of the first window that is not submitted yet, and ``reused`` of those before it have no job, because their results
    had landed already.
    """

    batch: Batch
    account: str
    operation: str
    params: Mapping[str, Json]
    plan: BackfillPlan
    windows: int
    next_window: int
    reused: int
    paused_at: float | None
    paused_by: str | None
    paused_reason: str | None
    secrets: SecretParams = NO_SECRETS

    @property
    def name(self) -> str:
        """Its name, which is that of its batch."""
        return self.batch.name

    @property
    def is_cancelled(self) -> bool:
        """Whether no more windows are submitted, although some are left."""
        return self.batch.complete and self.next_window < self.windows

    @property
    def state(self) -> BackfillState:
        """How far it is."""
        if self.is_cancelled:
            return BackfillState.CANCELLED
        if self.batch.ended_at is not None:
            return BackfillState.ENDED
        return BackfillState.RUNNING if self.paused_at is None else BackfillState.PAUSED

    @property
    def parked(self) -> int:
        """How many of its jobs are parked, so that a person must decide about them."""
        return self.batch.states.get(State.PARKED, 0)

    def room(self, most: int) -> int:
        """How many more jobs may be under way, if ``most`` may be at a time.

        Parked jobs hold no place, because nothing happens to them by itself. But where many park, the next ones would
        park, too: with :data:`MOST_PARKED` of them there is no room.
        """
        return 0 if self.parked >= MOST_PARKED else most - (self.batch.open - self.parked)

    @property
    def done(self) -> int:
        """How many windows have ended, with those that are reused."""
        return max(0, self.next_window - self.batch.open)

    def expected_end(self, now: float) -> float | None:
        """When it ends at the rate so far; ``None`` if it does not run, or none of its jobs has ended."""
        jobs_done = self.done - self.reused
        if self.state is not BackfillState.RUNNING or jobs_done <= 0:
            return None
        return now + (self.windows - self.done) * (now - self.batch.created_at) / jobs_done

    def key_at(self, place: int) -> str:
        """The unique key of a window's job: several daemons that submit a window make one job."""
        return f"backfill:{self.name}:{self.plan.window_at(place).key}"
