"""Daemons as processes, an emulated provider on real sockets, and the check of the results."""

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import TERMINAL, HistoryEntry, Job, NewJob, State
from tidewaiter.emulators.emulated_replies import GeneratedBody
from tidewaiter.emulators.file_host import FileHost
from tidewaiter.emulators.symplify import SymplifyCustomer, SymplifyEmulator, SymplifyVariants

TOKEN = "chaos-canary-77"
_TYPES = ("LISTS", "CAMPAIGNS", "MESSAGES", "OPENS", "SENT", "CLICKS", "PROJECTS", "HARD_BOUNCES", "OPTOUTS")
_GRACE_S = 20.0


def _content(export_type: str, _period: str) -> GeneratedBody:
    """A file of some megabytes, another one for each type, so that a mix-up shows."""
    return GeneratedBody(2_000_000 + 100_000 * _TYPES.index(export_type), _TYPES.index(export_type))


@dataclass(slots=True)
class ChaosRun:
    """One provider, one database, one folder of exports."""

    folder: Path
    emulator: SymplifyEmulator
    files: FileHost
    database_url: str

    @property
    def config(self) -> Path:
        """The daemons' configuration file."""
        return self.folder / "tidewaiter.toml"

    def write_config(self, accounts: int, lease_s: float) -> list[str]:
        """Configure as many accounts, in both forms of the result; returns their names."""
        names = [f"shop-{number}" for number in range(accounts)]
        text = (
            f'[database]\nurl = "{self.database_url}"\n[storage]\nroot = "{self.folder / "exports"}"\n'
            f'[worker]\nlease_s = {lease_s}\nlookout_s = 0.2\n[log]\nformat = "json"\n'
        )
        for number, name in enumerate(names):
            text += (
                f'[accounts.{name}]\nprovider = "symplify"\nallow_private = true\n'
                f'[accounts.{name}.settings]\nserver = "{self.emulator.origin}"\ncustomer_id = "5004"\n'
                f'token = "{TOKEN}"\nresult = "{("url", "redirect")[number % 2]}"\n'
                f"[accounts.{name}.schedule]\nfirst_delay_s = 0.1\ninterval_s = 0.3\ncap_s = 0.5\n"
            )
        self.config.write_text(text)
        return names

    @asynccontextmanager
    async def store(self) -> AsyncIterator[tuple[JobStore, LaneStore]]:
        """The stores, on a connection of the test's own."""
        database = Database.open(self.database_url, SystemClock())
        try:
            yield JobStore(database), LaneStore(database)
        finally:
            await database.close()

    async def submit(self, accounts: list[str], jobs: int, rand: Random) -> list[int]:
        """Put jobs into the database, as the command line does."""
        async with self.store() as (store, lanes):
            await lanes.ensure(dict.fromkeys(accounts, 1))
            numbers = []
            for _ in range(jobs):
                account = rand.choice(accounts)
                lane = (await lanes.ids(account))[0]
                params = {"export_type": rand.choice(_TYPES), "period": "LAST_DAY"}
                new = NewJob(account, "statistics", params, 3600.0)
                job, _created = await store.add(new, lane, SystemClock().now())
                numbers.append(job.id)
            return numbers

    async def start(self) -> asyncio.subprocess.Process:
        """A daemon in a process of its own; its log is appended to a file."""
        with (self.folder / "daemon.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tidewaiter.cli.main", "--config", str(self.config), "serve",
                stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip

    async def started(self, daemon: asyncio.subprocess.Process) -> None:
        """Wait until this daemon serves: a signal before would end it as any program."""
        async with asyncio.timeout(_GRACE_S):
            while not any(  # noqa: ASYNC110  # a file tells of no event
                "daemon.started" in line and f'"pid":{daemon.pid}' in line.replace(" ", "")
                for line in (self.folder / "daemon.log").read_text().splitlines()
            ):
                await asyncio.sleep(0.05)

    async def finished(self, numbers: list[int], within_s: float) -> bool:
        """Wait until all these jobs have ended."""
        try:
            async with asyncio.timeout(within_s), self.store() as (store, _):
                while True:
                    found = await store.find(limit=10_000)
                    if all(job.state in TERMINAL for job in found if job.id in numbers):
                        return True
                    await asyncio.sleep(0.2)
        except TimeoutError:
            return False

    async def reckon(self, numbers: list[int]) -> list[str]:
        """Everything that is wrong with what is left."""
        wrong: list[str] = []
        submits = 0
        async with self.store() as (store, _):
            for number in numbers:
                job = await store.get(number)
                if job is None:
                    wrong.append(f"job {number} is lost")
                    continue
                submits += job.submits
                history = await store.history(number)
                wrong += _wrong_history(job, history)
                wrong += await self._wrong_files(job, store)
        sent = self.emulator.count("create")
        if sent > submits:
            wrong.append(f"{sent} submits were sent for {submits} intents")
        log = (self.folder / "daemon.log").read_text()
        if TOKEN in log:
            wrong.append("the log shows the token")
        if "Traceback" in log:
            wrong.append("the log shows a traceback")
        return wrong + [f"{leak.carrier} reached the file host" for leak in self.files.violations]

    async def _wrong_files(self, job: Job, store: JobStore) -> list[str]:
        if job.state is not State.SUCCEEDED:
            return [f"job {job.id} is {job.state}: {job.reason}"]
        artifacts = await store.artifacts(job.id)
        if len(artifacts) != 1:
            return [f"job {job.id} has {len(artifacts)} files"]
        path = self.folder / "exports" / artifacts[0].key
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        wanted = _content(str(job.params["export_type"]), "").sha256()
        if not digest == wanted == artifacts[0].sha256:
            return [f"job {job.id} landed {digest}, recorded {artifacts[0].sha256}, the provider has {wanted}"]
        names = sorted(one.name for one in path.parent.iterdir())
        return [] if names == sorted([path.name, "manifest.json"]) else [f"job {job.id} left {names}"]


def _wrong_history(job: Job, history: list[HistoryEntry]) -> list[str]:
    """Every submit beyond the first must have its reason in the history."""
    reasons = [entry for entry in history if entry.state is State.QUEUED and entry.state_from is not None]
    wrong = [] if len(reasons) >= job.submits - 1 else [f"job {job.id}: {job.submits} submits, {len(reasons)} reasons"]
    for before, after in pairwise(history):
        if after.state_from is not before.state or after.version <= before.version:
            wrong.append(f"job {job.id}: history breaks at version {after.version}")
    return wrong


async def kill(daemon: asyncio.subprocess.Process) -> None:
    """SIGKILL, by process id."""
    if daemon.returncode is None:
        os.kill(daemon.pid, signal.SIGKILL)
    await daemon.wait()


async def drain(daemon: asyncio.subprocess.Process, within_s: float = _GRACE_S) -> int:
    """SIGTERM, and the exit code."""
    os.kill(daemon.pid, signal.SIGTERM)
    async with asyncio.timeout(within_s):
        return await daemon.wait()


@asynccontextmanager
async def chaos_run(folder: Path, database_url: str, build_s: float = 1.5) -> AsyncIterator[ChaosRun]:
    """A provider and a place for daemons to work."""
    clock = SystemClock()
    async with FileHost(clock=clock, secrets=[TOKEN]) as files:
        variants = SymplifyVariants(build_s=build_s, link_ttl_s=30)
        emulator = SymplifyEmulator(
            clock=clock, files=files, customer=SymplifyCustomer(TOKEN), content=_content, variants=variants
        )
        async with emulator:
            yield ChaosRun(folder, emulator, files, database_url)
