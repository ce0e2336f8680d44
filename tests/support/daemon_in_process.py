"""A daemon as ``tidewaiter serve`` runs it, in this process: real signals, a real file, an emulated provider."""

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.log_lines import log_lines
from tidewaiter import bootstrap
from tidewaiter.clock import SystemClock
from tidewaiter.config import Config, load
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import TERMINAL, Job, NewJob, State
from tidewaiter.emulators.emulated_replies import GeneratedBody
from tidewaiter.emulators.file_host import FileHost
from tidewaiter.emulators.symplify import SymplifyCustomer, SymplifyEmulator, SymplifyVariants
from tidewaiter.log import configure

TOKEN = "canary-of-the-emulator"
OTHER_TOKEN = "another-canary-entirely"
OUTCOMES = ("config.reloaded", "config.refused")
_WITHIN_S = 30.0


def body(export_type: str, _period: str) -> GeneratedBody:
    """What an export holds: large enough that its download can be cut off."""
    return GeneratedBody(300_000, len(export_type))


@dataclass(slots=True)
class DaemonSetup:
    """A folder with a configuration, an emulated provider, and what the daemon has logged."""

    folder: Path
    database_url: str
    emulator: SymplifyEmulator
    files: FileHost
    output: io.StringIO = field(default_factory=io.StringIO)
    environ: dict[str, str] | None = field(default_factory=dict)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    code: int | None = None

    @property
    def path(self) -> Path:
        """The configuration file."""
        return self.folder / "tidewaiter.toml"

    def account(self, name: str, more: str = "", *, token: str = TOKEN, interval_s: float = 0.1) -> str:
        """An account on the emulator; the secret stands in a file of its own."""
        secret = self.folder / f"{name}.token"
        if not secret.exists():
            secret.write_text(token)
        return (
            f'[accounts.{name}]\nprovider = "symplify"\nallow_private = true\n{more}\n'
            f'[accounts.{name}.settings]\nserver = "{self.emulator.origin}"\ncustomer_id = "5004"\n'
            f'token_file = "{secret.name}"\n'
            f"[accounts.{name}.schedule]\nfirst_delay_s = 0\ninterval_s = {interval_s}\nfactor = 1\ncap_s = 5\n"
        )

    def limited(self, name: str, requests: int, period_s: float) -> str:
        """The table with an account's limit."""
        return f"[accounts.{name}.limits]\nrequests = {requests}\nperiod_s = {period_s}\n"

    def write(self, *tables: str, worker: str = "drain_s = 5", lease_s: float = 3) -> None:
        """Write the configuration: these tables, after those that every one has."""
        head = (
            f'[database]\nurl = "{self.database_url}"\n[storage]\nroot = "landed"\n'
            f"[worker]\nlease_s = {lease_s}\nlookout_s = 0.05\n{worker}\n"
        )
        self.path.write_text("\n".join([head, *tables]))

    def load(self) -> Config:
        """The configuration as it stands in the file."""
        return load(self.path, self.environ or {})

    @asynccontextmanager
    async def serving(self, *, until: str = "daemon.started") -> AsyncIterator[None]:
        """The daemon, up while the block runs; it is drained at its end, unless it has ended by then."""
        config = self.load()
        log = configure("json", config.log.level, config.secrets, stream=self.output, strict=True)
        life = asyncio.create_task(bootstrap.serve(config, log, stop=self.stop, environ=self.environ))
        try:
            await self.logged(until, life=life)
            yield
        finally:
            self.stop.set()
            self.code = await life
            log.close()

    async def reload(self) -> dict[str, object]:
        """Hang up on the process, and give the line that says what became of it."""
        before = len(self.lines(*OUTCOMES))
        os.kill(os.getpid(), signal.SIGHUP)
        return (await self.logged(*OUTCOMES, more_than=before))[before]

    def lines(self, *names: str) -> list[dict[str, object]]:
        """The log lines of these events."""
        return log_lines(self.output, *names)

    async def logged(
        self, *names: str, more_than: int = 0, life: "asyncio.Task[int] | None" = None
    ) -> list[dict[str, object]]:
        """The log lines of these events, once there are more than so many."""
        async with asyncio.timeout(_WITHIN_S):
            while len(lines := self.lines(*names)) <= more_than:
                if life is not None and life.done():
                    life.result()
                await asyncio.sleep(0.01)
        return lines

    @asynccontextmanager
    async def store(self) -> AsyncIterator[tuple[JobStore, LaneStore]]:
        """The stores, on a connection of the test's own."""
        database = Database.open(self.database_url, SystemClock())
        try:
            yield JobStore(database), LaneStore(database)
        finally:
            await database.close()

    async def submit(self, account: str, jobs: int = 1, export_type: str = "OPENS") -> list[int]:
        """Put jobs into the database, as another process does."""
        async with self.store() as (store, lanes):
            await lanes.ensure({account: 1})
            (lane, *_) = await lanes.ids(account)
            numbers = []
            for _ in range(jobs):
                new = NewJob(account, "statistics", {"export_type": export_type, "period": "LAST_DAY"}, 3600.0)
                job, _created = await store.add(new, lane, SystemClock().now())
                numbers.append(job.id)
        return numbers

    async def until(self, numbers: Iterable[int], *states: State) -> list[Job]:
        """These jobs, once each is in one of these states, or has ended where none is given."""
        wanted = states or (*TERMINAL, State.PARKED)
        async with asyncio.timeout(_WITHIN_S), self.store() as (store, _):
            while True:
                found = [await store.get(number) for number in numbers]
                jobs = [job for job in found if job is not None]
                if len(jobs) == len(found) and all(job.state in wanted for job in jobs):
                    return jobs
                await asyncio.sleep(0.02)

    async def asked(self, route: str, times: int) -> None:
        """Wait until the provider was asked that often in all."""
        await self.comes(lambda: self.emulator.count(route) >= times)

    async def comes(self, is_there: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(_WITHIN_S):
            while not is_there():  # noqa: ASYNC110  # an emulator's record has no event to wait for
                await asyncio.sleep(0.005)


@asynccontextmanager
async def open_daemon_setup(folder: Path, database_url: str, *, build_s: float = 0.3) -> AsyncIterator[DaemonSetup]:
    """A provider, and a place for a daemon."""
    clock = SystemClock()
    async with (
        FileHost(clock=clock, secrets=[TOKEN]) as files,
        SymplifyEmulator(
            clock=clock,
            files=files,
            customer=SymplifyCustomer(TOKEN),
            content=body,
            variants=SymplifyVariants(build_s=build_s),
        ) as emulator,
    ):
        yield DaemonSetup(folder, database_url, emulator, files)
