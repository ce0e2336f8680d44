"""A scripted provider on loopback, a spec for it, and a daemon that works with both."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.log_lines import log_lines
from tidewaiter import bootstrap
from tidewaiter.clock import SystemClock
from tidewaiter.config import Config, load
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.sealing import Seal
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.log import EventLog, configure
from tidewaiter.services import DAEMON, AccountService, JobService
from tidewaiter.storage.base import StorageThreads
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.transport.aiohttp_wire import AiohttpWire

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEAD = """
name = "shop"
title = "Shop"
base_url = "${account.server}"
error = "error"

[account]
server = { type = "url", help = "the server" }

[operations.report]
title = "Report"

[operations.report.schedule]
first_delay_s = 0
interval_s = 0.1
factor = 1
retry_after_floor_s = 0.05
"""


@dataclass(slots=True)
class ScriptedProvider:
    """The provider: ``answers`` by method and path, and every request that came, as method and target."""

    answers: dict[str, Answer]
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Record and answer."""
        self.asked.append(f"{request.method} {request.raw_path}")
        return await self.answers[f"{request.method} {request.path}"](request)

    def times(self, start: str) -> int:
        """How many requests began like this."""
        return sum(asked.startswith(start) for asked in self.asked)


@asynccontextmanager
async def open_provider(answers: dict[str, Answer]) -> AsyncIterator[ScriptedProvider]:
    """A provider on a port of its own."""
    shop = ScriptedProvider(answers)
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", shop.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        shop.url = str(server.make_url("")).rstrip("/")
        yield shop


def answering(*bodies: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Each of these in turn, the last one for ever: bytes as they are, anything else as JSON."""
    left = list(bodies)

    async def answer(_: web.Request) -> web.StreamResponse:
        body = left.pop(0) if len(left) > 1 else left[0]
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(body=data, status=status, headers=headers)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Each of these in turn, the last one for ever."""
    left = list(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return answer


@dataclass(slots=True)
class Running:
    """A daemon that serves one account of the shop."""

    service: JobService
    accounts: AccountService
    jobs: JobStore
    root: Path
    output: io.StringIO

    async def submit(self, **params: str | int | bool) -> Job:
        """A new job."""
        job, _ = await self.service.submit("shop", "report", params, actor=DAEMON)
        return job

    async def until(self, job_id: int, *states: State, within_s: float = 30) -> Job:
        """The job, once it is in one of these states, or has come to its end where none is given."""
        wanted = states or (*TERMINAL, State.PARKED)
        async with asyncio.timeout(within_s):
            while True:
                job = await self.jobs.get(job_id)
                assert job is not None
                if job.state in wanted:
                    return job
                await asyncio.sleep(0.02)

    async def run(self, **params: str | int | bool) -> Job:
        """A new job, at its end."""
        return await self.until((await self.submit(**params)).id)

    async def outcomes(self, job_id: int) -> list[str]:
        """What the history says that the job's steps learned."""
        return [entry.outcome for entry in await self.jobs.history(job_id)]

    async def file(self, job_id: int) -> bytes:
        """The job's only file."""
        (artifact,) = await self.jobs.artifacts(job_id)
        return (self.root / artifact.key).read_bytes()

    async def manifest(self, job: Job) -> dict[str, object]:
        """What the job's manifest says."""
        (path,) = self.root.glob(f"shop/report/*/*/*/{job.id}/manifest.json")
        document: dict[str, object] = json.loads(path.read_bytes())
        return document

    async def logged(self, name: str, within_s: float = 30) -> list[dict[str, object]]:
        """The log lines of one event, once there are any."""
        async with asyncio.timeout(within_s):
            while True:
                if lines := self.events(name):
                    return lines
                await asyncio.sleep(0.02)

    def events(self, name: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        return log_lines(self.output, name)


CONFIG = """
[database]
url = "{database}"
[storage]
root = "{folder}/landed"
[worker]
lookout_s = 0.05
drain_s = 5
[providers]
folders = ["{folder}/specs"]
[accounts.shop]
provider = "shop"
allow_private = true
settings = {{ server = "{server}" }}
{account}
"""


def config_for(folder: Path, spec: str, server: str, database_url: str, account: str = "") -> Config:
    """A configuration with one account, on an operator's own spec; it stays in ``tidewaiter.toml``."""
    (folder / "specs").mkdir(exist_ok=True)
    (folder / "specs" / "shop.toml").write_text(HEAD + spec)
    file = folder / "tidewaiter.toml"
    file.write_text(CONFIG.format(database=database_url, folder=folder, server=server, account=account))
    return load(file, {})


@asynccontextmanager
async def daemon_for(config: Config) -> AsyncIterator[Running]:
    """The real daemon, put together by the composition root, until the block is left."""
    clock, output = SystemClock(), io.StringIO()
    log: EventLog = configure("json", "info", [], stream=output, strict=True)
    accounts = bootstrap.bind_accounts(config)
    database = Database.open(config.database.url, clock)
    jobs = JobStore(database, seal=Seal(config.database.keys))
    service = JobService(
        accounts,
        jobs,
        shards=dict.fromkeys(accounts, 1),
        clock=clock,
        rand=Random(1),
        log=log,
    )
    try:
        with StorageThreads() as threads:
            root = config.storage.root
            assert root is not None
            storage = LocalStorage(root, threads)
            async with AiohttpWire() as wire:
                seams = bootstrap.Seams(clock, Random(1), wire, database, storage)
                daemon = await bootstrap.build_daemon(config, accounts, seams, log)
                stop = asyncio.Event()
                async with asyncio.TaskGroup() as group:
                    group.create_task(daemon.run(stop))
                    try:
                        yield Running(service, AccountService(accounts, database, clock), jobs, root, output)
                    finally:
                        stop.set()
    finally:
        await database.close()
        log.close()


@asynccontextmanager
async def serving(
    folder: Path, database_url: str, spec: str, answers: dict[str, Answer], account: str = ""
) -> AsyncIterator[tuple[ScriptedProvider, Running]]:
    """A provider, and a daemon that serves an account of it."""
    async with (
        open_provider(answers) as shop,
        daemon_for(config_for(folder, spec, shop.url, database_url, account)) as running,
    ):
        yield shop, running
