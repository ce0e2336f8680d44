"""Daemons as processes that serve accounts of marked providers: started, hurt, asked, and reckoned up in the end."""

import asyncio
import hashlib
import json
import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO, TypeVar

import aiohttp

from tests.chaos.marked_provider import (
    SPEC,
    FileWatch,
    MarkedProvider,
    content,
    marked_provider,
    partial_files,
)
from tests.support.ports import free_port
from tests.support.scripted_provider import HEAD
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database, StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import TERMINAL, Job, NewJob, State

T = TypeVar("T")

_ROOT = Path(__file__).parents[2]
_PATIENCE_S = 60.0
# Two requests that left one period apart may arrive a little closer.
JITTER_S = 0.2
# Connections to providers and the database that are kept for the next request; on SQLite each has two descriptors.
_KEPT_OPEN = 16


@dataclass(slots=True)
class MarkedDaemon:
    """A daemon with a configuration, a log and an HTTP address of its own."""

    name: str
    folder: Path
    address: str
    process: asyncio.subprocess.Process | None = None
    prefix: tuple[str, ...] = ()
    """The command that starts the program, if another one does."""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def log(self) -> str:
        """What it has logged, in all its lives."""
        return (self.folder / f"{self.name}.log").read_text()

    def events(self, name: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        return [line for line in map(json.loads, self.log().splitlines()) if line["event"] == name]

    async def start(self, stdout: IO[bytes] | int | None = None, environ: Mapping[str, str] | None = None) -> None:
        """Start it, also again. Its lines go to its log unless ``stdout`` is given."""
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), **(environ or {})}
        config = str(self.folder / f"{self.name}.toml")
        command = (*self.prefix, sys.executable, "-m", "tidewaiter.cli.main", "--config", config, "serve")
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, stdout=stdout or log, stderr=log, env=environment
            )

    async def asked(self, path: str) -> tuple[int, dict[str, object]]:
        """Status and JSON of an answer; 0 if nobody answers."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session,
                session.get(f"http://{self.address}{path}") as reply,
            ):
                document: dict[str, object] = await reply.json()
                return reply.status, document
        except (aiohttp.ClientConnectionError, TimeoutError):
            return 0, {}

    async def until(self, path: str, status: int, within_s: float = _PATIENCE_S) -> dict[str, object]:
        """The answer, once it has that status."""
        async with asyncio.timeout(within_s):
            while True:
                found, document = await self.asked(path)
                if found == status:
                    return document
                await asyncio.sleep(0.1)

    async def serving(self) -> None:
        """Wait until it serves and is ready."""
        async with asyncio.timeout(_PATIENCE_S):
            while (await self.asked("/readyz"))[1].get("phase") != "serving":  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.1)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self.process is not None and self.process.returncode is None:
            self.signal(signal.SIGKILL)
            await self.process.wait()

    async def drain(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            return await self.process.wait()

    def descriptors(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def threads(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("Threads:")[2].split()[0])

    def address_space(self) -> int:
        """Its bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[0]) * resource.getpagesize()

    def figures(self) -> tuple[int, int]:
        """Descriptors and threads."""
        return self.descriptors(), self.threads()


@dataclass(slots=True)
class MarkedRun:
    """Accounts, each with a provider of its own, one database, one folder, and the daemons."""

    folder: Path
    database_url: str
    providers: dict[str, MarkedProvider]
    store: JobStore
    lanes: LaneStore
    watch: FileWatch
    limits: str
    lease_s: float
    storage: Path
    """The folder of the files, as the daemons see it."""
    daemons: list[MarkedDaemon] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)
    markers: set[str] = field(default_factory=set)

    def daemon(self, name: str, database_url: str | None = None, more: str = "") -> MarkedDaemon:
        """A daemon that is configured, not started; ``more`` is added to its configuration."""
        daemon = MarkedDaemon(name, self.folder, f"127.0.0.1:{free_port()}")
        text = (
            f'[database]\nurl = "{database_url or self.database_url}"\n[storage]\nroot = "{self.storage}"\n'
            f"[worker]\nlease_s = {self.lease_s}\nlookout_s = 0.1\ndrain_s = 5\n"
            f'[http]\nlisten = "{daemon.address}"\n[log]\nformat = "json"\n'
            f'[providers]\nfolders = ["{self.folder / "specs"}"]\n'
        )
        for account, provider in self.providers.items():
            text += (
                f'[accounts.{account}]\nprovider = "shop"\nallow_private = true\n{self.limits}\n'
                "schedule = { first_delay_s = 0.1, interval_s = 0.3, cap_s = 0.5 }\n"
                f'settings = {{ server = "{provider.url}", daemon = "{name}" }}\n'
            )
        (self.folder / f"{name}.toml").write_text(text + more)
        self.daemons.append(daemon)
        return daemon

    async def submit(self, jobs: int, *accounts: str) -> None:
        """Put new jobs of each account into the database."""
        for account in accounts or self.providers:
            lane = (await self._answer(partial(self.lanes.ids, account)))[0]
            for _ in range(jobs):
                marker = f"m{next(self._numbers)}"
                self.markers.add(marker)
                self.watch.whole.add(hashlib.sha256(content(marker)).hexdigest())
                new = NewJob(account, "report", {"marker": marker}, 3600.0)
                await self.store.add(new, lane, SystemClock().now())

    async def jobs(self, within_s: float = _PATIENCE_S) -> Sequence[Job]:
        """All jobs, as soon as the database answers."""
        return await self._answer(lambda: self.store.find(limit=10_000), within_s)

    async def _answer(self, read: Callable[[], Awaitable[T]], within_s: float = _PATIENCE_S) -> T:
        """What is read, as soon as the database answers: a connection may have been lost since the last read."""
        async with asyncio.timeout(within_s):
            while True:
                try:
                    return await read()
                except StoreUnavailableError:
                    await asyncio.sleep(0.2)

    async def ended(self, within_s: float = _PATIENCE_S) -> Sequence[Job]:
        """All jobs, once each has ended or is parked."""
        async with asyncio.timeout(within_s):
            while True:
                jobs = await self.jobs()
                if all(job.state in TERMINAL or job.state is State.PARKED for job in jobs):
                    return jobs
                await asyncio.sleep(0.2)

    async def comes(self, seen: Callable[[], object], within_s: float = _PATIENCE_S) -> None:
        """Wait until something is seen."""
        async with asyncio.timeout(within_s):
            while not seen():  # noqa: ASYNC110  # another process tells of no event
                await asyncio.sleep(0.02)

    async def owners(self) -> dict[str, str | None]:
        """Which daemon holds the lease of each account: the name of a daemon by its process."""
        names = {worker.owner: worker.pid for worker in await self.lanes.workers()}
        by_pid = {one.pid: one.name for one in self.daemons if one.process is not None}
        return {
            lane.account: by_pid.get(names.get(lane.owner or "", 0)) if lane.leased else None
            for lane in await self.lanes.all_lanes()
        }

    async def owned(self, enough: Callable[[dict[str, str | None]], bool], within_s: float = 30.0) -> dict[str, str]:
        """The owners, as soon as every lane has one and they are as wanted."""
        async with asyncio.timeout(within_s):
            while True:
                owners = await self.owners()
                if None not in owners.values() and enough(owners):
                    return {account: str(owner) for account, owner in owners.items()}
                await asyncio.sleep(0.1)

    def posts(self) -> Counter[str]:
        """How often each marker was submitted, at all providers."""
        return sum((provider.posts for provider in self.providers.values()), start=Counter())

    async def quiet(self, daemon: MarkedDaemon, before: tuple[int, int]) -> None:
        """Wait until a daemon uses no more descriptors and threads than before, but for connections it keeps open."""
        found = daemon.figures()
        try:
            async with asyncio.timeout(30):
                while found[0] > before[0] + _KEPT_OPEN or found[1] > before[1] + _KEPT_OPEN:
                    await asyncio.sleep(0.2)
                    found = daemon.figures()
        except TimeoutError:
            raise AssertionError(f"{found} descriptors and threads, {before} before") from None

    async def wrong(self, period_s: float = 0.0, requests: int = 0) -> list[str]:
        """Every promise that is broken, in sentences; and the numbers, printed."""
        jobs, posts = await self.ended(), self.posts()
        self.watch.look()
        landed = [path for path in self.watch.seen if path.name != "manifest.json"]
        succeeded = [str(job.params["marker"]) for job in jobs if job.state is State.SUCCEEDED]
        wrong = [f"{marker} was posted {number} times" for marker, number in posts.items() if number > 1]
        wrong += [f"{marker} is lost" for marker in self.markers - {str(job.params["marker"]) for job in jobs}]
        wrong += [f"{marker} succeeded without a POST" for marker in succeeded if posts[marker] != 1]
        wrong += [
            f"{job.params['marker']} is {job.state}: {job.reason}"
            for job in jobs
            if job.state not in (State.SUCCEEDED, State.PARKED)
        ]
        wrong += [f"half a file: {torn}" for torn in self.watch.torn]
        wrong += [f"{len(landed)} files of {len(succeeded)} jobs"] * (len(landed) != len(succeeded))
        wrong += [f"left over: {path}" for path in partial_files(self.watch.root)]
        if requests:
            wrong += [
                f"{most} requests of {name} within {period_s} s, {requests} are allowed"
                for name, provider in self.providers.items()
                if (most := provider.most_within(period_s - JITTER_S)) > requests
            ]
        wrong += [f"a traceback in the log of {one.name}" for one in self.daemons if "Traceback" in one.log()]
        parked = sum(job.state is State.PARKED for job in jobs)
        report = f"{len(jobs)} jobs, {sum(posts.values())} POSTs, {parked} parked, {len(landed)} files"
        print(report)  # noqa: T201  # the numbers of docs/proof.md
        return wrong


@asynccontextmanager
async def marked_run(
    folder: Path,
    database_url: str,
    *,
    accounts: Sequence[str] = ("shop", "other"),
    limits: str = "",
    lease_s: float = 3.0,
    storage: Path | None = None,
    seen_storage: Path | None = None,
) -> AsyncIterator[MarkedRun]:
    """Providers, a database with a lane for each account, and a watch over the landed files.

    They are in ``storage``, by default a folder of the test, which this process sees at ``seen_storage``.
    """
    storage = storage or folder / "landed"
    async with AsyncExitStack() as stack:
        providers = {name: await stack.enter_async_context(marked_provider()) for name in accounts}
        (folder / "specs").mkdir()
        (folder / "specs" / "shop.toml").write_text(HEAD + SPEC)
        database = Database.open(database_url, SystemClock())
        stack.push_async_callback(database.close)
        store, lanes = JobStore(database), LaneStore(database)
        await lanes.ensure(dict.fromkeys(accounts, 1))
        watch = FileWatch(seen_storage or storage, set())
        run = MarkedRun(folder, database_url, providers, store, lanes, watch, limits, lease_s, storage)
        watching = asyncio.create_task(watch.run())
        try:
            yield run
        finally:
            watching.cancel()
            for daemon in run.daemons:
                await daemon.kill()
