"""An environment for one emulated API: whole daemons in virtual time, the services, and access to their data."""

import asyncio
import io
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

from tests.simulation.simulated_wire import SimulatedWire
from tests.support.inline_sqlite import InlineProcess
from tests.support.log_lines import log_lines
from tests.support.scratch import patience, scratch
from tests.support.virtual_time import virtual_time
from tidewaiter import bootstrap
from tidewaiter.clock import Clock
from tidewaiter.config import Config
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import TERMINAL, HistoryEntry, Job, State
from tidewaiter.emulators.catalogue import EmulatedAccount
from tidewaiter.emulators.server import EmulatedServer
from tidewaiter.log import EventLog, configure
from tidewaiter.services import DAEMON, AccountService, JobService
from tidewaiter.storage.folder import LocalStorage

T = TypeVar("T")

ACCOUNT = "own"
_ENDS = TERMINAL | {State.PARKED}


@dataclass(slots=True)
class Environment:
    """What a story can lay its hands on."""

    root: Path
    clock: Clock
    wire: SimulatedWire
    config: Config
    secrets: Collection[str]
    service: JobService
    output: io.StringIO = field(default_factory=io.StringIO)
    rand: Random = field(default_factory=lambda: Random(1))

    async def submit(self, operation: str, params: Mapping[str, Json] | None = None) -> Job:
        """Ask for a job."""
        job, _ = await self.service.submit(ACCOUNT, operation, params or {}, actor=DAEMON)
        return job

    async def job(self, job: Job) -> Job:
        """The job as it stands."""
        found = await self.service.jobs.get(job.id)
        assert found is not None
        return found

    async def ended(self, job: Job, within_s: float = 90_000.0) -> Job:
        """The job when it has ended, or waits for a person."""
        begun = self.clock.monotonic()
        while (found := await self.job(job)).state not in _ENDS and self.clock.monotonic() < begun + within_s:
            await self.clock.sleep(patience(self.clock.monotonic() - begun))
        return found

    async def run(self, operation: str, params: Mapping[str, Json] | None = None) -> Job:
        """Ask for a job and wait for its end; a daemon has to run."""
        return await self.ended(await self.submit(operation, params))

    async def resume(self) -> None:
        """A person says that the account works again."""
        accounts = AccountService(self.service.accounts, self.service.jobs.database, self.clock)
        await accounts.resume(ACCOUNT, actor=DAEMON)

    async def file_of(self, job: Job) -> bytes:
        """What the only file of a job holds."""
        (artifact,) = await self.service.jobs.artifacts(job.id)
        return (self.root / "exports" / artifact.key).read_bytes()

    async def json_of(self, job: Job) -> Json:
        """The only file of a job, read as JSON."""
        found: Json = json.loads(await self.file_of(job))
        return found

    async def history(self, job: Job) -> list[HistoryEntry]:
        """What has become of a job, step by step."""
        _, history, _ = await self.service.show(job.id)
        return history

    def events(self, name: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        return log_lines(self.output, name)

    @asynccontextmanager
    async def daemon(self, *, is_cut: bool = False) -> AsyncIterator[None]:
        """A daemon lives while the block runs; it is drained at its end, or its power is cut."""
        process = InlineProcess(self._path)
        config, accounts = self.config, bootstrap.bind_accounts(self.config)
        database = process.database(self.clock)
        seams = bootstrap.Seams(
            self.clock, self.rand, self.wire, database, LocalStorage(self.root / "exports", _inline)
        )
        daemon = await bootstrap.build_daemon(config, accounts, seams, _log(self.output, self.clock, self.secrets))
        stop = asyncio.Event()
        life = asyncio.ensure_future(daemon.run(stop))
        try:
            yield
        finally:
            if is_cut:
                process.on = False
                life.cancel()
                await asyncio.wait([life])
                process.cut()
            else:
                stop.set()
                await life
                await database.close()

    @property
    def _path(self) -> Path:
        return self.root / "tidewaiter.db"

    def leaks(self) -> list[str]:
        """Where a secret shows that must show nowhere: in the log, in the database, or in the name of a file."""
        with sqlite3.connect(self._path) as database:
            dump = "\n".join(database.iterdump())
        database.close()
        names = "\n".join(str(path) for path in self.root.rglob("*"))
        places = {"the log": self.output.getvalue(), "the database": dump, "a file's name": names}
        return [f"{where} shows a secret" for where, text in places.items() if any(one in text for one in self.secrets)]


def in_environment(
    template: Path,
    build: Callable[[Clock], tuple[Sequence[EmulatedServer], Callable[[], EmulatedAccount]]],
    story: Callable[[Environment], Awaitable[T]],
    *,
    lookout_s: float = 20.0,
    **table: Json,
) -> T:
    """Tell a story, and see that no secret showed anywhere.

    Args:
        template: a migrated, empty SQLite file.
        build: makes the servers, each with a port of its own, and the account that leads to them.
        story: what happens.
        lookout_s: how often the daemon looks for new jobs and for what people have decided; in days, most of its work.
        table: more of the account's table in the configuration.
    """
    with virtual_time() as (loop, clock), scratch("stage") as folder:
        shutil.copyfile(template, folder / "tidewaiter.db")
        servers, account = build(clock)
        return loop.run_until_complete(
            _run_story(folder, clock, servers, account(), story, lookout_s=lookout_s, table=table)
        )


async def _run_story(
    root: Path,
    clock: Clock,
    servers: Sequence[EmulatedServer],
    account: EmulatedAccount,
    story: Callable[[Environment], Awaitable[T]],
    *,
    lookout_s: float,
    table: Mapping[str, Json],
) -> T:
    config = _config(root, account, table, lookout_s)
    secrets = [str(account.settings[name]) for name in account.secrets]
    accounts, output = bootstrap.bind_accounts(config), io.StringIO()
    database = InlineProcess(root / "tidewaiter.db").database(clock)
    service = JobService(
        accounts, JobStore(database),
        shards=dict.fromkeys(accounts, 1), clock=clock, rand=Random(2), log=_log(output, clock, secrets),
    )  # fmt: skip
    environment = Environment(root, clock, SimulatedWire(servers, clock, Random(3)), config, secrets, service, output)
    scenario = await story(environment)
    assert environment.leaks() == []
    await database.close()
    return scenario


def _config(root: Path, account: EmulatedAccount, table: Mapping[str, Json], lookout_s: float) -> Config:
    own: dict[str, Json] = {
        "provider": account.provider,
        "allow_private": True,
        "settings": dict(account.settings),
        "limits": dict(account.limits),
        "schedule": dict(account.schedule),
        **table,
    }
    return Config.model_validate(
        {
            "database": {"url": f"sqlite:///{root / 'tidewaiter.db'}"},
            "storage": {"root": str(root / "exports")},
            "worker": {"lease_s": 1200.0, "lookout_s": lookout_s, "drain_s": 10.0, "heartbeat_s": 3600.0},
            "accounts": {ACCOUNT: own},
            "retention": {},
            "log": {},
            "providers": {},
        }
    )


def _log(output: io.StringIO, clock: Clock, secrets: Collection[str]) -> EventLog:
    return configure("json", "info", list(secrets), clock=clock, stream=output, strict=True)


async def _inline(work: Callable[[], T]) -> T:
    """No thread: a fixed order."""
    return work()
