"""Stores on a database with one lane: a manual clock, jobs to store, and updates as steps would make them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from tidewaiter.database.due_store import DueQuestion, DueStore
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import FencedUpdate, JobStore
from tidewaiter.database.lane_rows import LaneRow
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.job import Job, NewJob, Track
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.notification import Subscription
from tidewaiter.domain.state_machine import advance

NOW = 1_750_000_000.25
OWNER = "owner-1"
POLICY = OperationPolicy()


class StandingClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds

    def skew(self) -> float:
        return 0.0


def new_job(**changes: object) -> NewJob:
    """A job to be stored."""
    job = NewJob(account="acme", operation="statistics", params={"period": "2025-05", "limit": 3}, deadline_s=3600.0)
    return replace(job, **changes)  # type: ignore[arg-type]  # the names of its fields


def artifact(number: int, **changes: object) -> Artifact:
    """A landed file."""
    file = Artifact(number, f"{number}.csv", "a label", f"acme/{number}.csv", 2**40, "ab" * 32, "text/csv", NOW + 0.125)
    return replace(file, **changes)  # type: ignore[arg-type]  # the names of its fields


@dataclass(slots=True)
class Stores:
    """A database with one account of one lane, which ``OWNER`` holds."""

    database: Database
    jobs: JobStore
    lanes: LaneStore
    lane: LaneRow
    rand: Random = field(default_factory=lambda: Random(7))

    @classmethod
    async def set_up(cls, database: Database, subscriptions: Sequence[Subscription] = ()) -> "Stores":
        """Make the lane and take it."""
        lanes = LaneStore(database)
        await lanes.ensure({"acme": 1})
        (lane,) = await lanes.take(OWNER, 1, 30.0, force=False, accounts=["acme"])
        return cls(database, JobStore(database, subscriptions), lanes, lane)

    async def add(self, **changes: object) -> Job:
        """Store a job."""
        job, _ = await self.jobs.add(new_job(**changes), self.lane.id, NOW)
        return job

    async def polling(self, handle: str, **changes: object) -> Job:
        """Store a job and bring it to POLLING."""
        job = await self.add(**changes)
        job = await self.accepted(job, o.Intended(f"intent-{job.id}"))
        return await self.accepted(job, o.Accepted(handle, retry_after_s=60.0))

    def update(self, job: Job, outcome: o.Outcome, now: float = NOW) -> FencedUpdate:
        """What a step with that outcome would hand to the committer."""
        return FencedUpdate(advance(job, outcome, POLICY, now, self.rand), self.lane.epoch)

    async def accepted(self, job: Job, outcome: o.Outcome, now: float = NOW) -> Job:
        """Record one outcome, and read the job back."""
        recorded = await self.jobs.record([self.update(job, outcome, now)], OWNER)
        assert recorded.accepted == {job.id}
        return await self.stored(job)

    async def due(self, track: Track, now: float, limit: int, *, submits: bool = True) -> Sequence[Job]:
        """The due jobs of the lane's track."""
        question = DueQuestion(self.lane.id, track, limit, submits=submits)
        (answer,) = await DueStore(self.database).due([question], now)
        return answer.jobs

    async def stored(self, job: Job) -> Job:
        """The job as it stands."""
        found = await self.jobs.get(job.id)
        assert found is not None
        return found
