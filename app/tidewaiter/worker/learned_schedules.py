"""The learned schedules of a lane: what its jobs took, and the plans made of that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.duration_store import DurationStore, SketchKey, kinds_with
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.domain.common_transitions import is_timed
from tidewaiter.domain.duration_kind import kind_of
from tidewaiter.domain.duration_sketch import NO_DURATIONS, DurationSketch, ObservedDuration
from tidewaiter.domain.expectation import LATE_SHARE
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.learned_schedule import LEAST_JOBS, LearnedSchedule, learn
from tidewaiter.providers.bound_operation import BoundOperation

_STORE_RETRY_S: Final = 1.0
_MOST_KINDS: Final = 32
_PLAN_VALID_S: Final = 5.0
_FEW: Final = 16
_MOST_NEWS: Final = 3


@dataclass(slots=True)
class _Known:
    """The sketch of one kind of jobs, and the schedule that was made of it, when."""

    sketch: DurationSketch
    schedule: LearnedSchedule
    made_at: float


class LearnedSchedules:
    """Knows the schedules of a lane, and makes them anew as its jobs get ready.

    A plan takes a millisecond or two, so it is made only for a job that needs it, when enough has changed, and not
    more often than every few seconds.

    Args:
        store: has the sketches when the lane is taken. What is added here, the group commit adds there.
        lane: its number.
        operations: those of its account, by name.
        clock: the time.
    """

    def __init__(self, store: DurationStore, lane: int, operations: Mapping[str, BoundOperation], clock: Clock) -> None:
        self._store = store
        self._lane = lane
        self._operations = operations
        self._clock = clock
        self._known: dict[SketchKey, _Known] = {}

    async def load(self) -> None:
        """Read the sketches from the database."""
        while True:
            try:
                found = await self._store.of_lane(self._lane)
            except StoreUnavailableError:
                await self._clock.sleep(_STORE_RETRY_S)
                continue
            self._known = {key: _Known(sketch, LearnedSchedule(key[1]), 0.0) for key, sketch in found.items()}
            return

    def of(self, job: Job) -> LearnedSchedule | None:
        """The schedule of a job: that of its kind, or of all jobs while its kind is new; ``None``: it is turned off."""
        operation = self._operations.get(job.operation)
        if operation is None or not operation.policy.learn:
            return None
        kind = self._kind(job, operation)
        own = self._made(operation, kind)
        if not kind or own.sketch.count >= LEAST_JOBS:
            return own
        common = self._made(operation, "")
        return LearnedSchedule(kind, common.sketch, common.plan)

    def usual_s(self, job: Job, least_jobs: int) -> float | None:
        """The seconds that 95 % of the jobs like this one did not exceed; ``None``: not polled, or too few jobs."""
        learned = self.of(job) if job.state is State.POLLING and is_timed(job) else None
        if learned is None or learned.sketch.count < least_jobs:
            return None
        return learned.sketch.quantile_s(LATE_SHARE)

    def add(self, operation: str, observed: ObservedDuration) -> None:
        """Count a remote job that is ready, after its commit."""
        for kind in kinds_with(observed):
            known = self._known.setdefault((operation, kind), _Known(NO_DURATIONS, LearnedSchedule(kind), 0.0))
            known.sketch = known.sketch.with_one(observed.after_s, observed.until_s)

    def _kind(self, job: Job, operation: BoundOperation) -> str:
        """The kind of a job. If an operation has very many kinds, the further ones are not told apart."""
        kind = kind_of(operation.policy.learn_by, job.params)
        if not kind or (operation.name, kind) in self._known:
            return kind
        others = sum(name == operation.name for name, _ in self._known)
        return kind if others <= _MOST_KINDS else ""

    def _made(self, operation: BoundOperation, kind: str) -> LearnedSchedule:
        """The schedule of one kind; made anew if enough jobs have got ready since it was made."""
        known = self._known.get((operation.name, kind))
        if known is None:
            return LearnedSchedule(kind)
        news = known.sketch.count - known.schedule.sketch.count
        if news < min(_MOST_NEWS, max(1, known.sketch.count // _FEW)):
            return known.schedule
        now = self._clock.monotonic()
        if known.schedule.plan is not None and now - known.made_at < _PLAN_VALID_S:
            return known.schedule
        known.schedule = learn(kind, known.sketch, operation.policy, known.schedule)
        known.made_at = now
        return known.schedule
