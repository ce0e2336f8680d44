"""A daemon in a process of its own, killed with SIGKILL at one request to its provider, and the job that it serves."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.support.scripted_provider import Answer
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.http_values import JsonObject
from tidewaiter.domain.job import TERMINAL, Job, NewJob, State

_PATIENCE_S = 60


@dataclass(slots=True)
class DoomedDaemon:
    """The daemon of the configuration in a folder; with ``after_reply`` it gets the reply to its last request."""

    folder: Path
    after_reply: bool
    _process: asyncio.subprocess.Process | None = None
    _killed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def log(self) -> str:
        """What its processes have logged."""
        return (self.folder / "daemon.log").read_text()

    def at(self, answer: Answer) -> Answer:
        """An answer at which the daemon is killed, the first time."""

        async def deadly(request: web.Request) -> web.StreamResponse:
            response = await answer(request)
            if not self._killed.is_set():
                if self.after_reply:
                    await response.prepare(request)
                    await response.write_eof()
                self._shoot()
            return response

        return deadly

    async def start(self) -> None:
        """Start it, also again after its death."""
        with (self.folder / "daemon.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tidewaiter.cli.main", "serve", cwd=self.folder, stdout=log, stderr=log,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )  # fmt: skip

    async def run_to_its_death(self) -> None:
        """Start it, and wait until it has been killed."""
        await self.start()
        async with asyncio.timeout(_PATIENCE_S):
            await self._killed.wait()
        await self.kill()

    async def kill(self) -> None:
        """Kill it with SIGKILL, if it runs, and wait for its end."""
        self._shoot()
        if self._process is not None:
            await self._process.wait()

    def _shoot(self) -> None:
        """Without waiting: the server cancels the handler of a client that is gone."""
        self._killed.set()
        if self._process is not None and self._process.returncode is None:
            os.kill(self._process.pid, signal.SIGKILL)


@dataclass(slots=True)
class StoredJob:
    """A job in the database of a daemon."""

    store: JobStore
    number: int

    async def end(self) -> Job:
        """The job, once it has ended or is parked."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                job = await self.store.get(self.number)
                assert job is not None
                if job.state in (*TERMINAL, State.PARKED):
                    return job
                await asyncio.sleep(0.05)


@asynccontextmanager
async def stored_job(database_url: str, params: JsonObject | None = None) -> AsyncIterator[StoredJob]:
    """A new job of the account ``shop`` in a migrated database, whether or not a daemon runs."""
    database = Database.open(database_url, clock := SystemClock())
    try:
        store, lanes = JobStore(database), LaneStore(database)
        await lanes.ensure({"shop": 1})
        (lane,) = await lanes.ids("shop")
        job, _ = await store.add(NewJob("shop", "report", params or {}, 3600.0), lane, clock.now())
        yield StoredJob(store, job.id)
    finally:
        await database.close()
