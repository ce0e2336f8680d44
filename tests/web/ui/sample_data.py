"""Databases for the page, filled through the stores, with a seed and a manual clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from tests.support.stored_jobs import StandingClock
from tidewaiter.database.account_store import AccountStore, PauseCause
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import FencedUpdate, JobStore
from tidewaiter.database.lane_rows import LaneRow, LaneState
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backfill import Backfill, BackfillPlan
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.batch import Batch
from tidewaiter.domain.job import Job, NewJob
from tidewaiter.domain.job_context import JobContext
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.state_machine import advance
from tidewaiter.domain.windows import Span

OWNER = "9f2c51d07ab3e864"
HOUR = 3600.0
_LEASE_S = 48 * HOUR
_POLICY = OperationPolicy(deadline_s=86_400.0, cleans=True, cancels=True)
_KINDS = ("OPENS", "CLICKS", "SENT", "BOUNCES", "UNSUBSCRIBES")
_TROUBLES = (
    "HTTP 502: the provider answers with a page of its proxy",
    "the connection broke after 12.4 MB of 31.0 MB",
    "HTTP 500: internal error, request id 5f1e9c",
)


@dataclass
class SampleDatabase:
    """A database, its clock, and the lanes that a daemon on ``tide-1`` serves."""

    database: Database
    clock: StandingClock
    seed: int = 7
    lanes: dict[str, LaneRow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rand = Random(self.seed)
        self.jobs = JobStore(self.database)
        self.lane_store = LaneStore(self.database)
        self.accounts = AccountStore(self.database)

    async def open(self, accounts: Sequence[str]) -> None:
        """Let a daemon serve these accounts."""
        await self.lane_store.ensure(dict.fromkeys(accounts, 1))
        await self.lane_store.heartbeat(OWNER, "tide-1", 4711, "0.4.0", _LEASE_S)
        taken = await self.lane_store.take(OWNER, 64, _LEASE_S, force=False, accounts=accounts)
        self.lanes |= {lane.account: lane for lane in taken}

    async def reopen(self, accounts: Sequence[str]) -> None:
        """Go on where a daemon on a copy of this database was."""
        taken = await self.lane_store.take(OWNER, 64, _LEASE_S, force=True, accounts=accounts)
        self.lanes |= {lane.account: lane for lane in taken}

    async def add(self, account: str, operation: str, **changes: object) -> Job:
        """Ask for a job, now."""
        params = {"export_type": self.rand.choice(_KINDS), "period": "LAST_DAY"}
        request = {"params": params, "deadline_s": 86_400.0, **changes}
        job, _ = await self.jobs.add(
            NewJob(account, operation, **request),  # type: ignore[arg-type]  # the names of its fields
            self.lanes[account].id,
            self.clock.at,
        )
        return job

    async def learn(
        self, job: Job, *outcomes: o.Outcome, after_s: float = 0.0, policy: OperationPolicy | None = None
    ) -> Job:
        """Record outcomes, each so many seconds after the one before."""
        for outcome in outcomes:
            self.clock.at += after_s
            update = advance(job, outcome, policy or _POLICY, self.clock.at, self.rand)
            recorded = await self.jobs.record([FencedUpdate(update, self.lanes[job.account].epoch)], OWNER)
            assert recorded.accepted == {job.id}
            job = update.job
        return job

    async def polling(
        self, account: str, operation: str, progress: str | None = None, wait_s: float | None = None, **changes: object
    ) -> Job:
        """A job whose remote job is under way."""
        job = await self.add(account, operation, **changes)
        job = await self.learn(job, o.Intended(f"intent-{job.id}"), after_s=0.4)
        job = await self.learn(job, o.Accepted(f"exp-{self.rand.getrandbits(40):010x}"), after_s=0.3)
        waits_s = wait_s if wait_s is not None else self.rand.uniform(5, 90)
        return await self.learn(job, o.Pending("RUNNING", progress, waits_s), after_s=self.rand.uniform(1, 8))

    async def landed(self, account: str, operation: str, files: int = 1, slow_s: float = 4.0) -> Job:
        """A job that has succeeded."""
        job = await self.polling(account, operation)
        job = await self.learn(job, o.Ready((), "FINISHED"), o.FetchStarted(), after_s=0.4)
        job = await self.learn(job, o.Stored(self._files(job, files)), after_s=self.rand.uniform(0.4, slow_s))
        return await self.learn(job, o.Cleaned(), after_s=0.3)

    async def failed(self, account: str, operation: str, reason: str) -> Job:
        """A job that its provider has refused."""
        job = await self.polling(account, operation)
        return await self.learn(job, o.Refused(reason), after_s=1.0)

    async def parked(self, account: str, operation: str) -> Job:
        """A job of which nobody knows what became of its submit."""
        job = await self.add(account, operation)
        job = await self.learn(job, o.Intended(f"intent-{job.id}"), after_s=0.3)
        job = await self.learn(job, o.Unknown("the connection broke before the reply to the submit came"), after_s=30.0)
        return await self.learn(
            job, o.Undecidable("the provider lists no jobs, so nobody can tell whether it has this one"), after_s=2.0
        )

    async def troubled(self, account: str, operation: str, times: int) -> Job:
        """A job with a long history that has landed in the end."""
        job = await self.polling(account, operation, unique_key="report:2025-06-14")
        for turn in range(times):
            job = await self.learn(job, o.Retry(f"{self.rand.choice(_TROUBLES)} (try {turn + 1})"), after_s=20.0)
        job = await self.learn(job, o.Pending("RUNNING", "84 %", 30.0), after_s=30.0)
        job = await self.learn(job, o.Ready((), "FINISHED"), o.FetchStarted(), after_s=31.0)
        job = await self.learn(job, o.Retry(_TROUBLES[1]), o.FetchStarted(), after_s=12.0)
        job = await self.learn(job, o.Stored(self._files(job, 3)), after_s=47.0)
        return await self.learn(job, o.Cleaned(), after_s=0.8)

    async def throttle(self, account: str, used: int, closed_s: float = 0.0, reason: str | None = None) -> None:
        """Let a lane's last requests be so many, and be closed for a while."""
        lane = self.lanes[account]
        window = [self.clock.at - 55.0 * i / max(used, 1) for i in range(used)]
        until = self.clock.at + closed_s if closed_s else 0.0
        states = {lane.id: LaneState(lane.epoch, window, until, reason)}
        assert await self.lane_store.renew(OWNER, _LEASE_S, states) == {lane.id}

    async def refuse(self, account: str, reason: str) -> None:
        """Let an account's credentials be refused."""
        lane = self.lanes[account]
        assert await self.accounts.refuse(account, PauseCause.CREDENTIALS, reason, None, lane=lane.id, epoch=lane.epoch)

    def _files(self, job: Job, number: int) -> tuple[Artifact, ...]:
        return tuple(
            Artifact(
                place,
                f"{place + 1:03d}-{job.operation}.csv" if number > 1 else f"{job.operation}.csv",
                f"{job.operation} part {place + 1}" if number > 1 else job.operation,
                f"{job.account}/{job.operation}/{job.id}/{place}.csv",
                self.rand.randint(20_000, 90_000_000),
                f"{self.rand.getrandbits(256):064x}",
                "text/csv",
                self.clock.at,
                self.rand.randint(100, 900_000),
            )
            for place in range(number)
        )


async def an_hour(sample: SampleDatabase, requests: Sequence[tuple[str, str]], jobs: int) -> None:
    """An hour of work in which so many jobs end, most of them well; ends an hour later."""
    began = sample.clock.at
    for turn in range(jobs):
        sample.clock.at = began + (HOUR - 60.0) * (turn / jobs) ** 0.85
        account, operation = sample.rand.choice(requests)
        if sample.rand.random() < 0.02:
            job = await sample.polling(account, operation)
            await sample.learn(job, o.CancelAsked(), o.Cancelled(), after_s=2.0)
        else:
            slow_s = 14.0 if 0.45 < turn / jobs < 0.6 else 4.0
            await sample.landed(account, operation, sample.rand.choice((1, 1, 1, 2, 3)), slow_s)
    sample.clock.at = began + HOUR


async def under_way(sample: SampleDatabase, requests: Sequence[tuple[str, str]], polling: int) -> None:
    """Jobs that wait in every state, begun within the last minutes."""
    now = sample.clock.at
    for turn in range(polling):
        sample.clock.at = now - sample.rand.uniform(20, 600)
        account, operation = sample.rand.choice(requests)
        done = sample.rand.randint(1, 99)
        progress = sample.rand.choice((f"{done} %", f"{done} of 100", None))
        wait_s = now - sample.clock.at + sample.rand.uniform(-6, 80)
        await sample.polling(account, operation, progress, wait_s)
        if turn % 9 == 0:
            sample.clock.at = now - 9.0
            await sample.add(account, operation)
        if turn % 14 == 0:
            sample.clock.at = now - 12.0
            await sample.learn(await sample.polling(account, operation), o.Ready((), "FINISHED"), o.FetchStarted())
    sample.clock.at = now


async def fill(sample: SampleDatabase, name: str, windows: int = 10) -> Backfill:
    """A backfill of so many days, of which no window is submitted."""
    batch = Batch(name, sample.clock.at, "ada", 0, 0, complete=False, ended_at=None, counts={})
    plan = BackfillPlan(Span("2026-01-01", f"2026-01-{windows:02}", "1d"))
    params = {"export_type": "OPENS", "period": "${window.from}"}
    new = Backfill(batch, "newsletter", "statistics", params, plan, windows, 0, 0, None, None, None)
    assert await BackfillStore(sample.jobs).create(new)
    return new


async def submit(sample: SampleDatabase, new: Backfill, jobs: int, *, reused: int = 0) -> None:
    """Submit windows of a backfill that nobody has advanced; all jobs but one land."""
    for place in range(jobs):
        job = await sample.add("newsletter", "statistics", context=JobContext(batch=new.name))
        if place:
            await sample.learn(job, o.Intended(f"i{job.id}"), o.Accepted(f"e{job.id}"), o.Ready(()), o.FetchStarted())
            await sample.learn((await sample.jobs.get(job.id)) or job, o.Stored(sample._files(job, 1)), o.Cleaned())
    await BackfillStore(sample.jobs).advance(new, jobs + reused, reused, sample.clock.at)
