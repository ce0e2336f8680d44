"""A step and its executor, with everything below: network, database, storage and committer."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from aiohttp.test_utils import TestServer

from tests.support.log_lines import log_lines
from tests.support.spec_samples import job_with, provider_of
from tests.support.stored_jobs import OWNER, StandingClock
from tests.worker.login_api import Api, spec_with
from tidewaiter.database.account_store import AccountStore
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import FencedUpdate, JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.job import Job, NewJob, State
from tidewaiter.domain.state_machine import JobUpdate
from tidewaiter.log import EventLog, configure
from tidewaiter.storage.base import StorageThreads
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.request_budget import Budget
from tidewaiter.transport.wire import Timeouts
from tidewaiter.worker.account_observer import AccountObserver
from tidewaiter.worker.account_pauses import Pauses
from tidewaiter.worker.authenticated_client import AuthenticatedClient
from tidewaiter.worker.committer import Committer
from tidewaiter.worker.executor import Executor
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.lease import Lease
from tidewaiter.worker.result_fetcher import ResultFetcher
from tidewaiter.worker.step_context import StepContext

LEASE_S = 60.0
PASSWORD = "canary-password"


@dataclass(slots=True)
class ExecutorSetup:
    """An executor and the step that it is to take; ``may_send`` is asked before every request."""

    executor: Executor
    step: StepContext
    clock: StandingClock
    budget: Budget
    lease: Lease
    jobs: JobStore
    pauses: Pauses
    output: io.StringIO
    may_send: Callable[[], bool]
    log: EventLog
    api: Api = field(default_factory=Api)

    async def take(self) -> o.Outcome:
        """Take the step."""
        async with asyncio.timeout(20):
            return await self.executor.take(self.step)

    async def stored(self) -> Job:
        """The job as it is in the database."""
        job = await self.jobs.get(self.step.job.id)
        assert job is not None
        return job

    def events(self, name: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        return log_lines(self.output, name)


def queued() -> Job:
    """A job that has not been submitted."""
    return replace(job_with(None, intent=None), state=State.QUEUED)


async def stored_as(job: Job, jobs: JobStore, lane: int, epoch: int, now: float) -> Job:
    """Put a job into the database as it is, for an hour."""
    new = NewJob(account=job.account, operation=job.operation, params=job.params, deadline_s=3600.0)
    added, _ = await jobs.add(new, lane, now)
    due = replace(job, id=added.id, lane=lane, created_at=now, deadline_at=now + 3600, version=added.version + 1)
    update = JobUpdate(due, added.version, State.QUEUED, o.Pending())
    assert (await jobs.record([FencedUpdate(update, epoch)], OWNER)).accepted == {added.id}
    return due


@asynccontextmanager
async def open_executor(
    database: Database,
    folder: Path,
    job: Job,
    *,
    spec: str,
    server: str,
    timeouts: Timeouts | None = None,
    public_url: str | None = None,
) -> AsyncIterator[ExecutorSetup]:
    """A step that is about to be taken for a job, of an account of ``spec`` whose provider is ``server``."""
    clock, output = StandingClock(), io.StringIO()
    log = configure("json", "debug", [PASSWORD], clock=clock, stream=output, strict=True)
    jobs, lanes = JobStore(database), LaneStore(database)
    await lanes.ensure({"shop": 1})
    (row,) = await lanes.take(OWNER, 1, LEASE_S, force=False, accounts=["shop"])
    settings = {"server": server, "password": PASSWORD}
    account = provider_of(spec).bind("shop", settings)
    budget, lease = Budget(clock, Random(1), Limits()), Lease(row.id, row.epoch, clock, LEASE_S)
    pauses = Pauses(AccountStore(database), {"shop": settings}, Random(1), log)
    observer = AccountObserver(
        "shop", lease, budget, clock=clock, log=log, limit_headers=account.limit_headers, pauses=pauses
    )
    job_log = JobLog(log, clock, jobs)
    committer = Committer(jobs, OWNER, clock, log, job_log)
    committing = asyncio.ensure_future(committer.run())

    def may_send() -> bool:
        return setup.may_send()

    with StorageThreads() as threads:
        async with AiohttpWire() as wire:
            client = AccountClient(
                wire,
                ClientSettings(account.origin, True, 65_536, timeouts or Timeouts()),
                account.auth.credentials,
                budget,
                may_send=may_send,
                on_reply=observer.headers_received,
                clock=clock,
            )
            signed = AuthenticatedClient(
                client, account.auth.session, budget=budget, observer=observer, clock=clock, rand=Random(1), log=log
            )
            fetcher = ResultFetcher(LocalStorage(folder, threads), jobs, clock, job_log, rand=Random(1))
            executor = Executor(fetcher, jobs, committer, clock=clock, rand=Random(1), log=log, public_url=public_url)
            due = await stored_as(job, jobs, row.id, row.epoch, clock.now())
            step = StepContext.of(due, account.operations["report"], signed, lease)
            setup = ExecutorSetup(executor, step, clock, budget, lease, jobs, pauses, output, lease.held, log)
            try:
                yield setup
            finally:
                committing.cancel()
                await asyncio.wait([committing])  # or a connection that it opens would be closed by nobody
                log.close()


@asynccontextmanager
async def open_login_executor(database: Database, folder: Path, job: Job) -> AsyncIterator[ExecutorSetup]:
    """The same, for an API whose logins take as long as a test wants."""
    api = Api()
    async with (
        TestServer(api.application(), host="127.0.0.1") as server,
        open_executor(database, folder, job, spec=spec_with(), server=str(server.make_url(""))) as setup,
    ):
        setup.api = api
        yield setup
