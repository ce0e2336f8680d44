"""kill -9 at each durable point of a job with several requests: nothing is submitted or started twice."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, config_for, open_provider
from tests.support.stage_provider import SPEC, answers
from tidewaiter.clock import SystemClock
from tidewaiter.config import Config
from tidewaiter.database import migrate
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.http_values import JsonObject
from tidewaiter.domain.job import TERMINAL, Job, NewJob, State

REPEATED = ("POST /files", "GET /files/f1", "POST /jobs/j1/hurry", "GET /jobs/j1", "GET /jobs/j1/file")
"""The requests that may be sent again."""
ONCE = ("POST /jobs", "POST /jobs/j1/enqueue")
"""Those that must not."""


@dataclass(slots=True)
class Killer:
    """Kills the daemon when a request comes, or when its reply has left."""

    config: Config
    folder: Path
    after_reply: bool
    daemon: asyncio.subprocess.Process | None = None
    killed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """A daemon in a process of its own."""
        with (self.folder / "daemon.log").open("ab") as log:
            self.daemon = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tidewaiter.cli.main", "serve", cwd=self.folder, stdout=log, stderr=log,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )  # fmt: skip

    async def kill(self) -> None:
        """SIGKILL, by process id."""
        self.shoot()
        if self.daemon is not None:
            await self.daemon.wait()

    def shoot(self) -> None:
        """The same, without waiting: the server ends the handler of a client that is gone."""
        if self.daemon is not None and self.daemon.returncode is None:
            os.kill(self.daemon.pid, signal.SIGKILL)
        self.killed.set()

    def at(self, answer: Answer) -> Answer:
        """An answer at which the daemon is killed, the first time."""

        async def deadly(request: web.Request) -> web.StreamResponse:
            if self.killed.is_set():
                return await answer(request)
            response = await answer(request)
            if self.after_reply:
                await response.prepare(request)
                await response.write_eof()
            self.shoot()
            return response

        return deadly


@asynccontextmanager
async def stored_job(config: Config) -> AsyncIterator[tuple[JobStore, int]]:
    """A job in the database of a daemon that does not run yet."""
    await asyncio.to_thread(migrate.upgrade, config.database.url)
    database = Database.open(config.database.url, clock := SystemClock())
    try:
        jobs, lanes = JobStore(database), LaneStore(database)
        await lanes.ensure({"shop": 1})
        (lane,) = await lanes.ids("shop")
        params: JsonObject = {"rows": "a", "fast": True}
        job, _ = await jobs.add(NewJob("shop", "report", params, 3600.0), lane, clock.now())
        yield jobs, job.id
    finally:
        await database.close()


async def _end_of(jobs: JobStore, number: int) -> Job:
    async with asyncio.timeout(40):
        while True:
            job = await jobs.get(number)
            assert job is not None
            if job.state in (*TERMINAL, State.PARKED):
                return job
            await asyncio.sleep(0.05)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("request_line", "after_reply"),
    [
        pytest.param("POST /jobs/j1/enqueue", False, marks=pytest.mark.slow),
        *(
            pytest.param(line, after_reply, marks=pytest.mark.chaos)
            for line in (*REPEATED, *ONCE)
            for after_reply in (False, True)
            if (line, after_reply) != ("POST /jobs/j1/enqueue", False)
        ),
    ],
)
async def test_a_kill_at_each_request(tmp_path: Path, sqlite_url: str, request_line: str, *, after_reply: bool) -> None:
    """Before a reply the outcome of what must not be repeated is unknown; afterwards it may have been committed."""
    replies = answers()
    async with open_provider(replies) as shop:
        killer = Killer(config_for(tmp_path, SPEC, shop.url, sqlite_url), tmp_path, after_reply)
        replies[request_line] = killer.at(replies[request_line])
        async with stored_job(killer.config) as (jobs, number):
            try:
                await killer.start()
                async with asyncio.timeout(30):
                    await killer.killed.wait()
                await killer.kill()
                await killer.start()
                job = await _end_of(jobs, number)
                history = await jobs.history(number)
            finally:
                await killer.kill()
    assert [shop.asked.count(line) for line in ONCE] in ([1, 1], [1, 0])
    if request_line in ONCE and not after_reply:
        assert (job.state, job.stage) == (State.PARKED, request_line.rpartition("/")[2].replace("jobs", "submit"))
    elif request_line in REPEATED:
        assert (job.state, job.handle) == (State.SUCCEEDED, "j1")
    else:
        assert job.state in (State.SUCCEEDED, State.PARKED)
    assert job.submits == 1
    assert sum(entry.state is State.SUBMITTING for entry in history) <= 4
    assert "Traceback" not in (tmp_path / "daemon.log").read_text()
