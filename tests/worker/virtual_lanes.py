"""Lanes and leases in virtual time: real database, committer and budget, and scripted steps."""

import asyncio
import copy
import io
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from sqlalchemy import text

from tests.support.inline_sqlite import InlineProcess
from tests.support.log_lines import log_lines
from tests.support.spec_samples import provider_of
from tests.support.stored_jobs import new_job
from tests.support.virtual_time import VirtualClock, VirtualLoop, virtual_time
from tidewaiter.clock import Clock
from tidewaiter.database.due_store import DueStore
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_rows import LaneRow, LaneState
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.job import Job
from tidewaiter.log import EventLog, configure
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.transport.request_budget import Budget
from tidewaiter.worker.committer import Committer
from tidewaiter.worker.due_reader import DueReader
from tidewaiter.worker.executor import Executor
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.lane import Lane
from tidewaiter.worker.lane_ownership import DaemonIdentity, LaneOwnership, LanePlan
from tidewaiter.worker.lane_parts import LaneLimits, LaneParts, ProviderAccess
from tidewaiter.worker.lease import Lease
from tidewaiter.worker.shared_results import SharedResults
from tidewaiter.worker.step_context import StepContext
from tidewaiter.worker.storage_gate import StorageGate

LEASE_S = 30.0
ACCOUNTS = ("acme", "other")


class MovedClock(VirtualClock):
    """Virtual time, and a wall clock that a test sets ahead or back: a suspended machine, or a person."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(loop)
        self.ahead_s = 0.0

    def skew(self) -> float:
        """As far as the test has moved it."""
        return self.ahead_s


Step = Callable[[StepContext], Awaitable[o.Outcome]]


async def refuse(_: StepContext) -> o.Outcome:
    """A step that ends its job."""
    return o.Refused("no such period")


async def never(_: StepContext) -> o.Outcome:
    """A step that waits until it is stopped."""
    await asyncio.Event().wait()
    raise AssertionError


class ScriptedExecutor(Executor):
    """Takes steps as a test writes them; ``taken`` has the job of each, in order."""

    def __init__(self) -> None:
        self.step: Step = refuse
        self.taken: list[int] = []
        self.interrupts = 0

    def asks_provider(self, job: Job, operation: BoundOperation) -> bool:
        """Every step does."""
        return True

    async def take(self, step: StepContext) -> o.Outcome:
        """Take a step as it is written now."""
        self.taken.append(step.job.id)
        try:
            return await self.step(step)
        except asyncio.CancelledError:
            self.interrupts += 1
            raise

    async def drop_parts(self, job: Job) -> None:
        """There are none."""


@dataclass(slots=True)
class Daemon:
    """One daemon's committer, executor and leases, on the database of a :class:`Site`."""

    leases: LaneOwnership
    executor: ScriptedExecutor
    committer: Committer
    gate: StorageGate
    running: list["asyncio.Task[None]"]
    output: io.StringIO
    log: EventLog
    plan: LanePlan
    built: list[str] = field(default_factory=list)

    def events(self, name: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        return log_lines(self.output, name)

    @property
    def lane(self) -> Lane:
        """The only lane."""
        (lane,) = self.leases.lanes.values()
        return lane

    async def die(self) -> None:
        """Stop at once, as a process that is killed: nothing is given back."""
        for task in self.running:
            task.cancel()
        await asyncio.wait(self.running)
        self.log.close()


@dataclass(slots=True)
class Site:
    """A database in virtual time.

    ``reachable`` says whether it can be used, and ``answer_s`` how late its answers about leases arrive.
    """

    clock: MovedClock
    database: Database
    reachable: bool = True
    answer_s: float = 0.0
    limits: Limits = field(default_factory=Limits)
    lane_limits: LaneLimits = field(default_factory=lambda: LaneLimits(4, 2, None))

    async def add(self, account: str = "acme") -> Job:
        """Store a job that is due now."""
        (row,) = [one for one in await self.rows() if one["account"] == account]
        jobs = JobStore(self.database)
        job, _ = await jobs.add(new_job(account=account, operation="report", params={}), row["id"], self.clock.now())
        return job

    async def stored(self, job: Job) -> Job:
        """The job as it is in the database."""
        found = await JobStore(self.database).get(job.id)
        assert found is not None
        return found

    async def rows(self) -> list[dict[str, Any]]:
        """The lanes table."""
        async with self.database.writing() as connection:
            found = await connection.execute(text("SELECT id, account, owner, epoch FROM lanes ORDER BY id"))
            return [dict(row._mapping) for row in found]

    async def take_over(self) -> None:
        """Another daemon takes every lane, whatever the lease says."""
        async with self.database.writing() as connection:
            await connection.execute(
                text("UPDATE lanes SET owner = 'another', epoch = epoch + 1, lease_until = lease_until + 86400")
            )

    def daemon(
        self, owner: str = "owner-1", accounts: Collection[str] = ("acme",), clock: Clock | None = None
    ) -> Daemon:
        """A daemon that begins now, with a clock of its own or that of the database."""
        clock, database = clock or self.clock, copy.copy(self.database)
        database.clock = clock
        output = io.StringIO()
        log = configure("json", "debug", [], clock=clock, stream=output, strict=True)
        jobs, executor = JobStore(database), ScriptedExecutor()
        job_log = JobLog(log, clock, jobs)
        committer = Committer(jobs, owner, clock, log, job_log)
        gate = StorageGate(None, clock, log)  # type: ignore[arg-type]  # never shut here
        due_reader = DueReader(DueStore(database), clock)
        parts = LaneParts(executor, jobs, due_reader, committer, job_log, gate, clock, Random(1))
        account = provider_of().bind("acme", {})
        built: list[str] = []

        def make_lane(row: LaneRow, lease: Lease) -> Lane:
            built.append(row.account)
            budget = Budget(clock, Random(1), self.limits, row.request_window, full=not row.clean)
            client = SimpleNamespace(observer=None)
            access = ProviderAccess(account, client, budget)  # type: ignore[arg-type]  # no step sends anything
            shared_results = SharedResults(jobs, None, clock)  # type: ignore[arg-type]  # no file is looked at
            return Lane(row, lease, access, self.lane_limits, parts, shared_results=shared_results)

        plan = LanePlan({name: {} for name in accounts}, make_lane)
        leases = LaneOwnership(
            DistantLaneStore(self, database),
            DaemonIdentity(owner, "host", 1, "1"),
            plan,
            lease_s=LEASE_S,
            alone=False,
            outcomes_settled=committer.settled,
            clock=clock,
            log=log,
        )
        running = [asyncio.create_task(run()) for run in (committer.run, due_reader.run, leases.run)]
        return Daemon(leases, executor, committer, gate, running, output, log, plan, built)


class DistantLaneStore(LaneStore):
    """The lanes of a site, whose database is far away: what it has done is known here only later."""

    def __init__(self, site: Site, database: Database) -> None:
        super().__init__(database)
        self._site = site

    async def take(
        self,
        owner: str,
        most: int,
        lease_s: float,
        *,
        force: bool,
        accounts: Collection[str],
        held: Collection[int] = (),
    ) -> list[LaneRow]:
        """Take lanes, and learn it late."""
        taken = await super().take(owner, most, lease_s, force=force, accounts=accounts, held=held)
        await self._site.clock.sleep(self._site.answer_s)
        return taken

    async def renew(self, owner: str, lease_s: float, states: Mapping[int, LaneState]) -> set[int]:
        """Renew leases, and learn it late."""
        held = await super().renew(owner, lease_s, states)
        await self._site.clock.sleep(self._site.answer_s)
        return held


def live(url: str, story: Callable[[Site], Awaitable[None]]) -> None:
    """Live through a story in virtual time, on a database that several daemons may use."""
    path = Path(url.removeprefix("sqlite:///"))
    site: Site
    with virtual_time() as (loop, _):
        clock = MovedClock(loop)

        def works() -> bool:
            if not site.reachable:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise error
            return True

        async def begin() -> None:
            nonlocal site
            database = InlineProcess(path, works).database(clock)
            database.exclusive = False
            site = Site(clock, database)
            await LaneStore(database).ensure(dict.fromkeys(ACCOUNTS, 1))
            await story(site)
            await database.close()

        loop.run_until_complete(begin())
