"""The pace of jobs: how long an operation's oldest job runs, how long its jobs usually take, when one is ready."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.duration_store import DurationStore
from tidewaiter.database.engine import Database
from tidewaiter.database.run_store import RunStore
from tidewaiter.database.trend_store import TrendStore
from tidewaiter.domain.duration_kind import kind_of
from tidewaiter.domain.duration_sketch import NO_DURATIONS
from tidewaiter.domain.expectation import Expectation, expectation_of
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.learned_schedule import LEAST_JOBS
from tidewaiter.providers.provider import BoundAccount

LEAST_RUNS: Final = 30
"""With fewer jobs nobody can say how long an operation usually takes."""
_SHARE: Final = 0.95
_USUAL_VALID_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class OperationPace:
    """The pace of one operation of an account.

    ``usual_s`` is what 95 % of its jobs that succeeded in the last 30 days did not exceed, rounded up to the end of a
    bucket. ``job`` is the oldest that has been submitted and is not landed yet, if any, and ``running_s`` its time
    since the submit: before it, the job waits for its turn, which says nothing about the provider.
    """

    account: str
    operation: str
    usual_s: float
    job: Job | None
    running_s: float


class JobPace:
    """Reads the pace of jobs.

    Args:
        database: where they are.
        clock: the time.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._runs = RunStore(database)
        self._trends = TrendStore(database)
        self._clock = clock
        self._usual: Mapping[tuple[str, str], float] = {}
        self._usual_until: float | None = None

    async def operations(self) -> list[OperationPace]:
        """The pace of every operation that had enough jobs in the last 30 days.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        usual = await self._usual_durations()
        longest = await self._runs.longest_running(sorted({account for account, _ in usual}))
        now = self._clock.now()
        return [
            OperationPace(*names, usual_s, longest.get(names), _running_s(longest.get(names), now))
            for names, usual_s in usual.items()
        ]

    async def _usual_durations(self) -> Mapping[tuple[str, str], float]:
        """What is usual; read once in a few minutes."""
        now = self._clock.monotonic()
        if self._usual_until is None or self._usual_until <= now:
            spreads = await self._trends.durations(self._clock.now())
            self._usual = {
                names: bound_s
                for names, spread in sorted(spreads.items())
                if spread.count >= LEAST_RUNS and (bound_s := spread.bound_s(_SHARE)) is not None
            }
            self._usual_until = now + _USUAL_VALID_S
        return self._usual


def _running_s(job: Job | None, now: float) -> float:
    return 0.0 if job is None or job.intent_at is None else max(0.0, now - job.intent_at)


async def expected_ready(
    database: Database, accounts: Mapping[str, BoundAccount], job: Job, now: float
) -> Expectation | None:
    """When a job's remote job is expected to be ready; ``None`` if it is not polled, or nothing is known.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    account = accounts.get(job.account)
    operation = None if account is None else account.operations.get(job.operation)
    if job.state is not State.POLLING or operation is None or not operation.policy.learn:
        return None
    sketches = await DurationStore(database).of_jobs([job])
    kind = kind_of(operation.policy.learn_by, job.params)
    sketch = sketches.get((job.lane, job.operation, kind), NO_DURATIONS)
    if sketch.count < LEAST_JOBS:
        sketch = sketches.get((job.lane, job.operation, ""), NO_DURATIONS)
    return expectation_of(job, sketch, now)
