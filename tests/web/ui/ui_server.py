"""The page on a real listener and a real database, without a daemon, so that nothing changes by itself."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import aiohttp
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection

from tests.support.database_engines import all_engines
from tests.support.stored_jobs import NOW, StandingClock
from tests.web.ui.sample_data import OWNER, SampleDatabase
from tidewaiter.bootstrap.live_config import LiveConfig, bind
from tidewaiter.bootstrap.process import health_of, metrics_of_process
from tidewaiter.bootstrap.seams import Seams
from tidewaiter.bootstrap.web_listener import web_listener
from tidewaiter.clock import Clock, SystemClock
from tidewaiter.config import load
from tidewaiter.database.engine import Database
from tidewaiter.domain.change_feed import ChangeFeed
from tidewaiter.log import configure
from tidewaiter.storage.open_storage import open_storage
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.web.health_routes import Phase, ProcessStatus

ADMIN = "admin-token-0123456789abcdef"
READER = "reader-token-0123456789abcdef"
SUBMITTER = "submitter-token-0123456789abc"
_ACCOUNT = """
[accounts.{name}]
provider = "report"
limits = {{ requests = {requests}, period_s = 60, remote_jobs = 5 }}
[accounts.{name}.settings]
server = "https://{name}.example"
key = "canary-{name}"
"""
_SPEC = """
name = "report"
title = "An API of reports"
documentation = "https://report.example/api"
base_url = "${account.server}"
[account]
server = { type = "url", help = "the server" }
key = { help = "the key", secret = true }
[operations.statistics]
title = "Statistics"
[operations.statistics.params]
export_type = { type = "string", help = "what of" }
period = { type = "string", help = "of when" }
[operations.statistics.submit]
url = "/jobs"
json = { type = "${params.export_type}" }
handle = "id"
[operations.statistics.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { working = "pending", done = "ready" } }]
[operations.statistics.results]
url = "/jobs/${handle}/file"
[operations.profiles]
title = "Profiles"
[operations.profiles.params]
export_type = { type = "string", help = "what of" }
period = { type = "string", help = "of when" }
[operations.profiles.submit]
url = "/profiles"
json = { type = "${params.export_type}" }
handle = "id"
[operations.profiles.poll]
url = "/profiles/${handle}"
rules = [{ word = "state", words = { working = "pending", done = "ready" } }]
[operations.profiles.results]
url = "/profiles/${handle}/file"
[operations.segments]
title = "Segments of the audience"
[operations.segments.params]
kind = { type = "string", help = "which ones", enum = ["ACTIVE", "LOST"] }
since = { type = "string", help = "from which day on", example = "2026-01-31" }
limit = { type = "integer", help = "at most so many", required = false }
hashed = { type = "boolean", help = "without addresses", default = true }
fields = { type = "array", help = "which columns", items = { type = "string" }, required = false }
region = { type = "string", help = "where", when = { kind = "ACTIVE" }, required = false }
[operations.segments.params.rule]
type = "object"
help = "who belongs to it"
required = false
fields = { field = { help = "of the profile" }, values = { type = "array", help = "any of them" } }
[operations.segments.submit]
url = "/segments"
json = { type = "${params.kind}" }
handle = "id"
[operations.segments.poll]
url = "/segments/${handle}"
rules = [{ word = "state", words = { working = "pending", done = "ready" } }]
[operations.segments.results]
url = "/segments/${handle}/file"
"""
_SCHEDULES = """
[schedules.daily-opens]
account = "newsletter"
operation = "statistics"
cron = "15 3 * * *"
timezone = "Europe/Amsterdam"
params = { export_type = "OPENS", period = "${yesterday}" }
[schedules.weekly-profiles]
account = "shop"
operation = "profiles"
cron = "0 6 * * 1"
params = { export_type = "SENT", period = "${week-1w}" }
"""
ACCOUNTS: Mapping[str, int] = {"newsletter": 60, "shop": 120, "social": 30, "loyalty": 90}
REQUESTS = [(account, operation) for account in ACCOUNTS for operation in ("statistics", "profiles")]


@dataclass(slots=True)
class UiServer:
    """A page that is served, the database behind it, and what stands in it."""

    origin: str
    sample: SampleDatabase
    vitals: ProcessStatus
    output: io.StringIO = field(default_factory=io.StringIO)

    async def get(self, path: str, *, accept: str = "text/html", **headers: str) -> tuple[int, str]:
        """The status and the text of a page; redirects are not followed."""
        sent_headers = {"Accept": accept, **headers}
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.origin + path, headers=sent_headers, allow_redirects=False) as reply,
        ):
            return reply.status, await reply.text()


def write_config(folder: Path, port: int, *, tokens: bool, more: str = "") -> Path:
    """A configuration of several accounts, none of which has a provider that answers."""
    (folder / "specs").mkdir(exist_ok=True)
    (folder / "specs" / "report.toml").write_text(_SPEC)
    text = f'[http]\nlisten = "127.0.0.1:{port}"\n[providers]\nfolders = ["specs"]\n'
    text += "".join(_ACCOUNT.format(name=name, requests=requests) for name, requests in ACCOUNTS.items())
    text += _SCHEDULES + more
    if tokens:
        for name, role, token in (("ops", "admin", ADMIN), ("guest", "read", READER), ("robot", "submit", SUBMITTER)):
            (folder / f"{name}.token").write_text(token)
            text += f'[tokens.{name}]\nrole = "{role}"\ntoken_file = "{name}.token"\n'
    path = folder / "tidewaiter.toml"
    path.write_text(text)
    return path


@asynccontextmanager
async def served(
    folder: Path,
    url: str,
    *,
    tokens: bool = False,
    clock: Clock | None = None,
    phase: Phase = Phase.SERVING,
    more: str = "",
) -> AsyncIterator[UiServer]:
    """Serve the page meanwhile, over the database of that URL; ``more`` is added to the configuration."""
    standing = StandingClock()
    standing.at = NOW if clock is None else clock.now()
    told_by = clock or standing
    # Code that fills the database moves its clock; the page uses the same clock.
    database = Database.open(url, standing)
    if database.dialect == "sqlite":
        for engine in all_engines(database):
            event.listen(engine, "connect", _hurry)
    stop = asyncio.Event()
    with ExitStack() as stack:
        bound = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = bound.getsockname()[1]
        config = load(write_config(folder, port, tokens=tokens, more=more), {})
        output = io.StringIO()
        log = configure("json", "debug", (), stream=output, strict=True)
        vitals = ProcessStatus(stop)
        vitals.enter(phase)
        metrics = metrics_of_process(SystemClock(), log)
        health = health_of(
            config, vitals, metrics, database, clock=SystemClock(), log=log, downloads=lambda: config.worker.downloads
        )
        async with AiohttpWire() as wire:
            storage = stack.enter_context(open_storage(folder / "exports", None, {}))
            seams = Seams(Ticking(told_by), Random(7), wire, database, storage, metrics)
            site = web_listener(
                LiveConfig(bind(config)),
                health,
                vitals,
                seams,
                log,
                change_feed=ChangeFeed(log.follower_failed),
                listening=bound,
                stop=stop,
            )
            async with site:
                yield UiServer(f"http://127.0.0.1:{port}", SampleDatabase(database, standing), vitals, output)
    log.close()
    await database.close()


def _hurry(connection: DBAPIConnection, _record: object) -> None:
    """Nobody needs a scene after a power cut."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.close()


class Ticking(SystemClock):
    """A clock with another clock's time of day, whose ``sleep`` really sleeps."""

    def __init__(self, other: Clock) -> None:
        super().__init__()
        self._other = other

    def now(self) -> float:
        return self._other.now()

    def skew(self) -> float:
        return 0.0


__all__ = [
    "ACCOUNTS",
    "ADMIN",
    "OWNER",
    "READER",
    "REQUESTS",
    "SUBMITTER",
    "Ticking",
    "UiServer",
    "served",
    "write_config",
]
