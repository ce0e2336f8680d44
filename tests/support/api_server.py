"""The HTTP listener as the daemon has it, on a real socket and a real database, without a daemon that serves the jobs.

What a daemon would commit the test commits itself, so that nothing has to be waited for.
"""

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from tests.support.log_lines import log_lines
from tests.support.machine_times import other_times
from tidewaiter.bootstrap.live_config import LiveConfig, bind
from tidewaiter.bootstrap.process import health_of
from tidewaiter.bootstrap.seams import Seams
from tidewaiter.bootstrap.web_listener import web_listener
from tidewaiter.clock import Clock, SystemClock
from tidewaiter.config import load
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import FencedUpdate, JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.change_feed import ChangeFeed, ChangeListener, change_of
from tidewaiter.domain.job import Job
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.state_machine import advance
from tidewaiter.log import configure
from tidewaiter.metrics.process_metrics import Metrics
from tidewaiter.storage.base import StorageThreads
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.web.health_routes import ProcessStatus

SPEC = """
name = "harbour"
title = "An API for tests"
base_url = "http://127.0.0.1:9"
[account]
token = { secret = true, help = "the token" }
[auth]
type = "bearer"
token = "${account.token}"
[operations.report]
title = "Report"
[operations.report.params]
period = { help = "which days", enum = ["LAST_DAY", "LAST_WEEK"], aliases = { yesterday = "LAST_DAY" } }
rows = { type = "integer", help = "how many", required = false }
note = { help = "a text", required = false, max_length = 20 }
[operations.report.params.parts]
type = "array"
help = "parts of it"
required = false
max_items = 3
items = { type = "object", fields = { title = { help = "its title", pattern = "[a-z]+" } } }
[operations.report.submit]
url = "/reports"
json = { period = "${params.period}", rows = "${params.rows}", note = "${params.note}", parts = "${params.parts}" }
handle = "id"
[operations.report.poll]
url = "/reports/${handle}"
rules = [{ word = "state", words = { working = "pending", done = "ready" } }]
[operations.report.results]
url = "/reports/${handle}/file"
[operations.listing]
title = "Listing"
[operations.listing.submit]
url = "/listings"
json = {}
handle = "id"
[operations.listing.poll]
url = "/listings/${handle}"
rules = [{ word = "state", words = { working = "pending", done = "ready" } }]
[operations.listing.results]
url = "/listings/${handle}/file"
"""
CONFIG = """
[database]
url = "DATABASE"
[storage]
root = "landed"
[http]
listen = "127.0.0.1:0"
[providers]
folders = ["specs"]
[accounts.quay]
provider = "harbour"
[accounts.quay.settings]
token = "canary-token"
[accounts.pier]
provider = "harbour"
[accounts.pier.settings]
token = "canary-token"
[schedules.nightly]
account = "quay"
operation = "report"
cron = "15 4 * * *"
params = { period = "LAST_DAY", note = "${yesterday}" }
"""
POLICY = OperationPolicy()
OWNER = "owner-1"
ACCOUNTS = ("pier", "quay")
ADMIN = "admin-token-admin-token-admin"
READ = "read-token-read-token-read-token"
TOKENS = """
[tokens.boss]
role = "admin"
token_file = "boss.token"
[tokens.page]
role = "read"
token_file = "page.token"
"""


class LogOutput(io.StringIO):
    """What is logged; ``said`` is set by every line."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


@dataclass(slots=True)
class Reply:
    """An answer: its status, headers and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        document = json.loads(self.body)
        assert not list(other_times(document))
        return document

    def problem(self, status: int) -> Any:
        """The problem document that it must be."""
        assert self.status == status, self.body
        assert self.headers["Content-Type"].startswith("application/problem+json")
        document = self.json
        assert document["status"] == status
        return document


@dataclass(slots=True)
class ApiServer:
    """The listener, a caller of it, and the database behind."""

    base: str
    session: aiohttp.ClientSession
    database: Database
    jobs: JobStore
    tell: ChangeListener
    output: LogOutput
    folder: Path
    storage: LocalStorage
    epochs: dict[int, int] = field(default_factory=dict)

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        """Send a request."""
        async with self.session.request(method, f"{self.base}{path}", allow_redirects=False, **options) as reply:
            return Reply(reply.status, reply.headers, await reply.read())

    async def get(self, path: str, **options: Any) -> Reply:
        """Ask for something."""
        return await self.call("GET", path, **options)

    async def post(self, path: str, document: object = None, **options: Any) -> Reply:
        """Send a document, or nothing."""
        if document is not None:
            options["json"] = document
        return await self.call("POST", path, **options)

    async def submitted(self, headers: Mapping[str, str] | None = None, **changes: object) -> dict[str, Any]:
        """A job that was asked for."""
        reply = await self.post("/v1/jobs", new_job(**changes), headers=headers)
        assert reply.status == 202, reply.body
        found: dict[str, Any] = reply.json
        return found

    async def stored(self, number: int) -> Job:
        """A job as it stands."""
        job = await self.jobs.get(number)
        assert job is not None
        return job

    async def step(self, number: int, *outcomes: o.Outcome, notified: bool = True) -> Job:
        """Commit what steps of a daemon have learned; the listener is told, as by a daemon in its own process."""
        job = await self.stored(number)
        if job.lane not in self.epochs:
            lanes = LaneStore(self.database)
            self.epochs |= {
                lane.id: lane.epoch
                for lane in await lanes.take(OWNER, 8, 60.0, force=False, accounts={job.account, *ACCOUNTS})
            }
        for outcome in outcomes:
            now = SystemClock().now()
            update = advance(await self.stored(number), outcome, POLICY, now, Random(7))
            recorded = await self.jobs.record([FencedUpdate(update, self.epochs[job.lane])], OWNER)
            assert recorded.accepted == {number}
            change = change_of(update)
            if notified and change is not None:
                self.tell(change)
        return await self.stored(number)

    async def landed(
        self, content: bytes, headers: Mapping[str, str] | None = None, **changes: Any
    ) -> tuple[int, Artifact]:
        """A job that has landed one file; its number, and the file."""
        number = int((await self.submitted(headers))["id"])
        key = f"quay/report/{number}/result.csv"
        landed = await self.storage.put(key, content)
        file = Artifact(0, "result.csv", "the result", key, landed.size, landed.sha256, "text/csv", 1_750_000_000.5)
        file = replace(file, **changes)
        await self.step(number, o.Intended("i"), o.Accepted(f"r-{number}"), o.Ready(), o.Stored((file,)))
        return number, file

    def logged(self, name: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        return log_lines(self.output, name)


def new_job(**changes: object) -> dict[str, Any]:
    """The body of a request for a job."""
    return {"account": "quay", "operation": "report", "params": {"period": "LAST_DAY"}, **changes}


@asynccontextmanager
async def serving(
    folder: Path,
    database_url: str,
    *,
    tokens: bool = False,
    clock: Clock | None = None,
    more: str = "",
    key_file: str | None = None,
) -> AsyncIterator[ApiServer]:
    """The listener, on a free port of the loopback interface; ``more`` is added to its configuration."""
    (folder / "specs").mkdir(exist_ok=True)
    (folder / "specs" / "harbour.toml").write_text(SPEC)
    (folder / "boss.token").write_text(ADMIN)
    (folder / "page.token").write_text(READ)
    keys = "" if key_file is None else f'key_file = "{key_file}"\n'
    (folder / "tidewaiter.toml").write_text(
        CONFIG.replace("DATABASE", database_url).replace("[storage]", keys + "[storage]")
        + (TOKENS if tokens else "")
        + more
    )
    config = load(folder / "tidewaiter.toml", {})
    output = LogOutput()
    log = configure("json", "debug", (), stream=output, strict=True)
    clock = clock or SystemClock()
    database = Database.open(database_url, clock)
    bound = socket.create_server(("127.0.0.1", 0))
    with StorageThreads() as threads:
        storage = LocalStorage(folder / "landed", threads)
        async with AiohttpWire() as wire:
            news, stop, metrics = ChangeFeed(log.follower_failed), asyncio.Event(), Metrics()
            seams = Seams(clock, Random(7), wire, database, storage, metrics, news.publish)
            vitals = ProcessStatus(stop)
            health = health_of(config, vitals, metrics, database, clock=clock, log=log)
            site = web_listener(
                LiveConfig(bind(config)), health, vitals, seams, log, change_feed=news, listening=bound, stop=stop
            )
            async with site, aiohttp.ClientSession() as session:
                base = f"http://127.0.0.1:{bound.getsockname()[1]}"
                yield ApiServer(base, session, database, JobStore(database), news.publish, output, folder, storage)
    await database.close()
    log.close()
