"""Records the logs of two days: a bad day that triggers every alert, and a healthy one.

The daemons, the database and the files are real ones in virtual time, the provider is an emulator that shows faults.
What no fault from outside can bring about (a fault of the program itself) is said through the real log at the end.

``python -m tests.alerts.record`` writes the recordings anew.
"""

import asyncio
import errno
import re
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tests.simulation.world import World, config_of, from_command_line, in_world, inline, log_of
from tests.support.inline_sqlite import InlineProcess
from tests.support.virtual_time import VirtualLoop
from tidewaiter import bootstrap
from tidewaiter.database import migrate
from tidewaiter.emulators.controls import FaultKind, FaultRule, InjectedFault, RetryAfter
from tidewaiter.services import DAEMON
from tidewaiter.storage.folder import LocalStorage

T = TypeVar("T")

FOLDER = Path(__file__).parent
BAD = FOLDER / "recorded.jsonl"
GOOD = FOLDER / "healthy.jsonl"
_MINUTE = 60.0
_SEED = 5


class _Disk:
    """The disk below the database, which may refuse."""

    def __init__(self) -> None:
        self.broken = False

    def works(self) -> bool:
        """Asked before every call to the database."""
        if self.broken:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return True


class _Folder(LocalStorage):
    """A folder whose disk may be full: then whatever is to be done there fails."""

    full = False

    def _start(self, doing: str, work: Callable[[], T]) -> Awaitable[T]:
        def no_room() -> T:
            raise OSError(errno.ENOSPC, "No space left on device")

        return super()._start(doing, no_room if self.full else work)


@asynccontextmanager
async def _daemon(world: World, disk: _Disk, folder: _Folder, *, is_cut: bool = False) -> AsyncIterator[None]:
    """A daemon lives while the block runs; it is drained at its end, or gone without a word."""
    config = config_of(world)
    database = InlineProcess(world.database_path, disk.works).database(world.clock)
    seams = bootstrap.Seams(world.clock, world.rand, world.wire, database, folder)
    daemon = await bootstrap.build_daemon(config, bootstrap.bind_accounts(config), seams, log_of(world))
    stop = asyncio.Event()
    life = asyncio.ensure_future(daemon.run(stop))
    yield
    assert not life.done(), "the daemon was to live through everything"
    if is_cut:
        life.cancel()
        await asyncio.wait([life])
    else:
        stop.set()
        await life
    await database.close()


class Day:
    """A day with a daemon: somebody submits jobs, and things happen."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.disk = _Disk()
        self.folder = _Folder(world.root / "exports", inline)

    def daemon(self, *, is_cut: bool = False) -> AbstractAsyncContextManager[None]:
        """A daemon lives while the block runs."""
        return _daemon(self.world, self.disk, self.folder, is_cut=is_cut)

    async def submit(self, account: str, export_type: str) -> int:
        """Ask for an export; the job's number."""
        params = {"export_type": export_type, "period": "LAST_DAY"}
        job, _ = await from_command_line(
            self.world, lambda services: services.jobs.submit(account, "statistics", params, actor=DAEMON)
        )
        return job.id

    def fault(self, route: str, kind: FaultKind, times: int | None = 1, **more: object) -> None:
        """Let the provider show a fault."""
        self.world.emulator.faults.extend([FaultRule(route, times, InjectedFault(kind, **more))])  # type: ignore[arg-type]  # its members

    async def pass_(self, minutes: float) -> None:
        """Let time pass."""
        await self.world.clock.sleep(minutes * _MINUTE)

    async def an_account_is_refused(self) -> None:
        """Its credentials are refused until a person replaces them."""
        await self.submit("by-redirect", "LISTS")
        self.fault("status", FaultKind.UNAUTHORIZED, None)
        await self.pass_(20)
        self.world.emulator.faults.clear()
        await from_command_line(self.world, lambda services: services.accounts.resume("by-redirect", actor=DAEMON))
        await self.pass_(10)

    async def the_provider_asks_for_rest(self) -> None:
        """Again and again."""
        await self.submit("by-url", "OPENS")
        self.fault("status", FaultKind.THROTTLE, 9, retry_after=RetryAfter.SECONDS, seconds=90.0)
        await self.pass_(35)

    async def the_provider_says_strange_things(self) -> None:
        """A status word that no document names, until somebody has seen enough of it."""
        self.fault("create", FaultKind.UNKNOWN_WORD, text="perhaps")
        number = await self.submit("by-url", "CLICKS")
        await self.pass_(10)
        await from_command_line(self.world, lambda services: services.jobs.cancel(number, actor=DAEMON))
        await self.pass_(5)

    async def jobs_fail(self) -> None:
        """One after the other."""
        for export_type in ("LISTS", "CAMPAIGNS", "MESSAGES"):
            self.fault("create", FaultKind.ERROR_STATUS)
            await self.submit("by-redirect", export_type)
            await self.pass_(10)

    async def the_storage_is_full(self) -> None:
        """Nothing has room."""
        self.folder.full = True
        await self.submit("by-url", "PROJECTS")
        await self.pass_(15)
        self.folder.full = False
        await self.pass_(5)

    async def the_database_is_away(self) -> None:
        """For longer than a lease lasts."""
        await self.submit("by-url", "OPTOUTS")
        self.disk.broken = True
        await self.pass_(4)
        self.disk.broken = False
        await self.pass_(10)

    async def the_loop_stands_still(self) -> None:
        """Something blocks the process for seconds."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop._jump.at += 4.0
        await self.pass_(10)

    async def jobs_are_late(self) -> None:
        """The provider wants nobody for the better part of an hour, and jobs pile up."""
        self.fault("status", FaultKind.THROTTLE, retry_after=RetryAfter.SECONDS, seconds=2400.0)
        await self.submit("by-url", "HARD_BOUNCES")
        await self.pass_(2)
        await self.submit("by-url", "LISTS")
        await self.pass_(50)


async def _bad(world: World) -> str:
    day = Day(world)
    async with day.daemon(is_cut=True):
        await day.submit("by-url", "CAMPAIGNS")
        await day.pass_(20)
        for trouble in (
            day.an_account_is_refused,
            day.the_provider_asks_for_rest,
            day.the_provider_says_strange_things,
            day.jobs_fail,
            day.the_storage_is_full,
            day.the_database_is_away,
            day.the_loop_stands_still,
            day.jobs_are_late,
        ):
            await trouble()
    await day.pass_(15)
    async with day.daemon():
        await day.pass_(65)
        await _say_what_cannot_be_brought_about(world)
        await day.pass_(5)
    return world.output.getvalue()


async def _say_what_cannot_be_brought_about(world: World) -> None:
    """Faults of the program itself, of what stands around it, and of a provider whose submits must not be repeated."""
    log = log_of(world)
    work = {"job": 3, "account": "by-url", "operation": "statistics"}
    other = {**work, "account": "by-redirect"}
    said: tuple[tuple[str, dict[str, object]], ...] = (
        ("job.failed", {**other, "state": "failed", "schedule": "daily", "reason": "the provider says ERROR"}),
        ("job.slow", {**other, "state": "polling", "running_s": 9000.0, "usual_s": 1448.2}),
        ("job.parked", {**work, "state": "parked", "reason": "nobody knows whether the provider has taken the submit"}),
        ("job.crashed", {**work, "state": "polling", "reason": "KeyError: 'status'"}),
        ("daemon.failed", {"reason": "ListenerDiedError: the socket takes no connections any more"}),
        ("http.failed", {"reason": "KeyError: 'page'", "method": "GET", "path": "/"}),
        ("access.slowed", {"reason": "too many wrong tokens came from this address", "remote": "192.0.2.7"}),
        ("log.dropped", {"lines": 212}),
        ("schedule.refused", {"schedule": "daily", "account": "by-url", "reason": "export_type is no known type"}),
        ("notification.died", {"notification": 7, "endpoint": "crm", "job": 3, "reason": "HTTP 410: Gone"}),
        ("schedule.missed", {"schedule": "daily", "account": "by-url", "ticks": 2, "catch_up": "skip"}),
    )
    for name, fields in said:
        log.emit(name, **fields)
        await world.clock.sleep(30.0)
    log.close()


async def _good(world: World) -> str:
    """Half a day with jobs, and with the hiccups that every day has."""
    day = Day(world)
    async with day.daemon():
        for export_type in ("LISTS", "OPENS", "CLICKS", "SENT"):
            await day.submit("by-url", export_type)
            await day.submit("by-redirect", export_type)
            await day.pass_(15)
        day.fault("status", FaultKind.UNAVAILABLE, 2)
        day.fault("status", FaultKind.THROTTLE, 2, retry_after=RetryAfter.SECONDS, seconds=20.0)
        await day.submit("by-url", "PROJECTS")
        await day.pass_(20)
        await day.submit("by-url", "CAMPAIGNS")
        await day.pass_(45)
    async with day.daemon():
        await day.pass_(20)
    return world.output.getvalue()


def recorded(live: Callable[[World], Awaitable[str]]) -> str:
    """The log of one of the days."""
    with tempfile.TemporaryDirectory(prefix="tidewaiter-record-") as folder:
        template = Path(folder) / "template.db"
        migrate.upgrade(f"sqlite:///{template}")

        async def lived(world: World) -> str:
            world.emulator.variants = replace(world.emulator.variants, build_s=90.0)
            said = (await live(world)).replace(str(world.root), "/var/lib/tidewaiter")
            # Libraries speak with tracebacks, which tell of this machine and of the disk that is none.
            lines = [line for line in said.splitlines(keepends=True) if '"event": "library.logged"' not in line]
            return re.sub(r'"pid": \d+', '"pid": 1', "".join(lines))

        return in_world(_SEED, template, lived, lag=True)


def bad_day() -> str:
    """The log of the day with every trouble."""
    return recorded(_bad)


def good_day() -> str:
    """The log of the healthy day."""
    return recorded(_good)


if __name__ == "__main__":
    BAD.write_text(bad_day())
    GOOD.write_text(good_day())
