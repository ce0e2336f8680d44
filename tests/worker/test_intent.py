"""The intent of a request that must not be sent twice: durable before the request leaves, and in doubt afterwards."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.support.byte_servers import ReceivedRequest, serving
from tests.support.spec_samples import job_with
from tests.worker.executor_setup import ExecutorSetup, open_executor, queued
from tests.worker.login_api import spec_with
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job, State

START = """
[[operations.report.start]]
name = "enqueue"
url = "/reports/${handle}/enqueue"
"""
_LONG_ENOUGH_S = 0.3


@dataclass(slots=True)
class Silent:
    """A provider that never answers; ``state_at`` reads the job's state when a request is here."""

    state_at: Callable[[], str]
    states: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, _: ReceivedRequest, _writer: asyncio.StreamWriter) -> None:
        """Only look."""
        self.states.append(self.state_at())
        self.asked.set()
        await asyncio.Event().wait()


@asynccontextmanager
async def before_its_request(folder: Path, url: str, job: Job) -> AsyncIterator[tuple[ExecutorSetup, Silent]]:
    """A step that is about to submit, or to start, at a provider that never answers."""
    database = Database.open(url, SystemClock())

    def state() -> str:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as reader:
            return str(reader.execute("SELECT state FROM jobs").fetchone()[0])

    silent = Silent(state)
    spec = spec_with("") + START
    async with (
        serving(silent.answer) as server,
        open_executor(database, folder, job, spec=spec, server=server.origin) as setup,
    ):
        try:
            yield setup, silent
        finally:
            await database.close()


JOBS = [queued(), replace(job_with("42"), state=State.STARTING, stage="enqueue")]


@pytest.mark.parametrize("job", JOBS, ids=["submit", "start"])
async def test_02_nothing_leaves_before_its_intent_is_durable(tmp_path: Path, sqlite_url: str, job: Job) -> None:
    """While the intent cannot be written, nothing is sent; when the request is here, the intent is in the database."""
    async with before_its_request(tmp_path, sqlite_url, job) as (setup, silent):
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            taking = asyncio.ensure_future(setup.take())
            with suppress(TimeoutError):
                async with asyncio.timeout(_LONG_ENOUGH_S):
                    await silent.asked.wait()
            other.execute("ROLLBACK")
        async with asyncio.timeout(20):
            await silent.asked.wait()
        taking.cancel()
        await asyncio.wait([taking])
    assert silent.states == [State.SUBMITTING]


async def test_02_an_intent_in_doubt_keeps_its_key(tmp_path: Path, sqlite_url: str) -> None:
    """It is repeated under its key: a provider that knows such keys makes no second remote job."""
    async with before_its_request(tmp_path, sqlite_url, replace(queued(), intent_key="the key")) as (setup, silent):
        taking = asyncio.ensure_future(setup.take())
        async with asyncio.timeout(20):
            await silent.asked.wait()
        taking.cancel()
        await asyncio.wait([taking])
        assert (await setup.stored()).intent_key == "the key"


@pytest.mark.parametrize("job", JOBS, ids=["submit", "start"])
async def test_02_a_step_that_is_stopped_after_its_request_left(tmp_path: Path, sqlite_url: str, job: Job) -> None:
    """A remote job may exist: the outcome is unknown, and no interruption that submits again."""
    async with before_its_request(tmp_path, sqlite_url, job) as (setup, silent):
        taking = asyncio.ensure_future(setup.take())
        async with asyncio.timeout(20):
            await silent.asked.wait()
        taking.cancel()
        await asyncio.wait([taking])
        assert setup.step.job.state is State.SUBMITTING
        assert isinstance(setup.executor.interrupted(setup.step), o.Unknown)
