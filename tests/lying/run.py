"""Runs plans: many remotes behind one origin, the real daemon with an account for each, until every job has ended."""

import asyncio
import gc
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

from tests.lying.answers import Answer, Request, Script
from tests.lying.archives import LARGEST_MEMBER, MOST_MEMBERS
from tests.lying.mechanisms import UPLOAD
from tests.lying.origin import listening
from tests.lying.plan import ARCHIVES, Plan
from tests.lying.remote import Remote
from tests.lying.specs import DEADLINE_S, spec_of
from tests.support.inline_sqlite import InlineProcess
from tests.support.scratch import scratch
from tests.support.virtual_time import VirtualClock, virtual_time
from tidewaiter import bootstrap
from tidewaiter.config import Config
from tidewaiter.database.account_store import AccountStore
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain.job import TERMINAL, HistoryEntry, Job, State
from tidewaiter.domain.manifest import Artifact
from tidewaiter.log import EventLog, configure
from tidewaiter.services import DAEMON, AccountService, JobService, RefusedError
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.transport.aiohttp_wire import AiohttpWire

T = TypeVar("T")

_ENDS = frozenset({*TERMINAL, State.PARKED})
_PERSON_S = 120.0
_LOOK_S = 60.0
_PATIENCE_S = DEADLINE_S + 2 * 3600.0


@dataclass(frozen=True, slots=True)
class Ended:
    """One mix after its end: the remote as it stands, the job, its history and files, and what its folder holds."""

    remote: Remote
    job: Job
    history: list[HistoryEntry]
    artifacts: list[Artifact]
    stored: dict[str, bytes]
    parts: list[str]

    @property
    def plan(self) -> Plan:
        """What was run."""
        return self.remote.plan


def run(plans: Sequence[Plan], template: Path) -> list[Ended]:
    """Run plans side by side, in virtual time.

    Args:
        plans: with different seeds.
        template: a migrated, empty SQLite file.
    """
    before = _descriptors()
    with scratch("lies") as folder:
        with virtual_time() as (loop, clock):
            loop.set_exception_handler(_unheard)
            ended = loop.run_until_complete(_live(plans, folder, template, clock))
        gc.collect()
        left = {number: path for number, path in _descriptors().items() if number not in before}
        return [_with_descriptors(one, left.values()) for one in ended]


def _unheard(_: asyncio.AbstractEventLoop, _context: dict[str, object]) -> None:
    """Futures of connections that broke, which nobody waits for any more."""


def _descriptors() -> dict[int, str]:
    """What is open, by number; nothing where the system does not tell."""
    found: dict[int, str] = {}
    folder = Path("/proc/self/fd")
    for link in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):
            found[int(link.name)] = str(link.readlink())
    return found


def _with_descriptors(ended: Ended, left: "Sequence[str] | object") -> Ended:
    assert not isinstance(left, str)
    mine = [path for path in left if re.search(rf"/{ended.job.id}-\d+-[0-9a-f]+\.part", path)]  # type: ignore[attr-defined]
    ended.parts.extend(f"open: {path}" for path in mine)
    return ended


async def _inline(work: Callable[[], T]) -> T:
    return work()


async def _live(plans: Sequence[Plan], folder: Path, template: Path, clock: VirtualClock) -> list[Ended]:
    remotes: dict[str, Remote] = {}
    faults: list[Exception] = []

    def handle(request: Request) -> Script:
        remote = remotes.get(request.path.split("/")[1])
        try:
            return Answer(404, (), b"").script() if remote is None else remote.handle(request)
        except Exception as error:
            faults.append(error)
            raise

    async with listening(handle) as origin:
        remotes.update({f"m{plan.seed}": Remote(plan, origin, clock.monotonic) for plan in plans})
        config = _config(folder, list(remotes.values()))
        shutil.copyfile(template, folder / "tidewaiter.db")
        with _log(clock, remotes) as log:
            ended = await _serve(config, remotes, folder, clock, log)
    if faults:
        raise ExceptionGroup("the server of the test itself failed", faults)
    return ended


def _config(folder: Path, remotes: Sequence[Remote]) -> Config:
    (folder / "specs").mkdir()
    for remote in remotes:
        (folder / "specs" / f"{remote.plan.spec}.toml").write_text(spec_of(remote.plan))
    (folder / "uploads").mkdir()
    (folder / "uploads" / "ask.csv").write_bytes(UPLOAD)
    accounts: dict[str, dict[str, object]] = {
        f"m{remote.plan.seed}": {
            "provider": remote.plan.spec,
            "allow_private": True,
            "settings": {"server": remote.base, "token": remote.canary},
        }
        for remote in remotes
    }
    for remote in remotes:
        account = accounts[f"m{remote.plan.seed}"]
        if remote.plan.shape == "multipart":
            account["uploads"] = [str(folder / "uploads")]
        if remote.plan.shape in ARCHIVES:
            account["bounds"] = {"most_files": MOST_MEMBERS, "largest_file_bytes": LARGEST_MEMBER}
    return Config.model_validate(
        {
            "database": {"url": f"sqlite:///{folder}/tidewaiter.db"},
            "storage": {"root": str(folder / "landed")},
            "worker": {"lease_s": 30_000.0, "lookout_s": 120.0, "drain_s": 5.0, "heartbeat_s": 3600.0},
            "accounts": accounts,
            "retention": {},
            "log": {},
            "providers": {"folders": [str(folder / "specs")]},
        }
    )


@contextmanager
def _log(clock: VirtualClock, remotes: dict[str, Remote]) -> Iterator[EventLog]:
    secrets = [remote.canary for remote in remotes.values()]
    log = configure("json", "info", secrets if len(secrets) < 2 else [], clock=clock, stream=io.StringIO(), strict=True)
    try:
        yield log
    finally:
        log.close()


async def _serve(
    config: Config, remotes: dict[str, Remote], folder: Path, clock: VirtualClock, log: EventLog
) -> list[Ended]:
    accounts = bootstrap.bind_accounts(config)
    process = InlineProcess(folder / "tidewaiter.db")
    database = process.database(clock)
    jobs = JobStore(database)
    pauses = AccountStore(database)
    service = JobService(
        accounts, jobs,
        shards=dict.fromkeys(accounts, 1), clock=clock, rand=Random(1), log=log,
    )  # fmt: skip
    async with AiohttpWire() as wire:
        storage = LocalStorage(folder / "landed", _inline)
        seams = bootstrap.Seams(clock, Random(1), wire, database, storage)
        daemon = await bootstrap.build_daemon(config, accounts, seams, log)
        numbers = {name: (await service.submit(name, "report", {}, actor=DAEMON))[0].id for name in remotes}
        stop = asyncio.Event()
        life = asyncio.ensure_future(daemon.run(stop))
        people = [asyncio.ensure_future(_resume(AccountService(accounts, database, clock), pauses, clock))]
        people += [
            asyncio.ensure_future(_cancel(service, clock, numbers[name], remote.plan.cancel_at))
            for name, remote in remotes.items()
            if remote.plan.cancel_at is not None
        ]
        await _until_ended(jobs, clock, life)
        for person in people:
            person.cancel()
        await asyncio.gather(*people, return_exceptions=True)
        stop.set()
        _ = await life
        ended = [await _ended(service, remotes[name], number, folder) for name, number in numbers.items()]
    await database.close()
    process.cut()
    return ended


async def _until_ended(jobs: JobStore, clock: VirtualClock, life: "asyncio.Future[bool]") -> None:
    while clock.monotonic() < _PATIENCE_S and not life.done():
        counts = await jobs.counts()
        if not any(count for state, count in counts.items() if state not in _ENDS):
            return
        await clock.sleep(_LOOK_S)


async def _resume(accounts: AccountService, pauses: AccountStore, clock: VirtualClock) -> None:
    """A person who resumes every account whose credentials were refused, as they are right."""
    while True:
        await clock.sleep(_PERSON_S)
        for account in await pauses.paused():
            _ = await accounts.resume(account, actor=DAEMON)


async def _cancel(service: JobService, clock: VirtualClock, number: int, after_s: float) -> None:
    await clock.sleep(after_s)
    try:
        _ = await service.cancel(number, actor=DAEMON)
    except RefusedError:
        return  # it has ended by then


async def _ended(service: JobService, remote: Remote, number: int, folder: Path) -> Ended:
    job, history, artifacts = await service.show(number)
    (place,) = [*(folder / "landed").glob(f"{job.account}/report/*/*/*/{number}")] or [folder / "none"]
    stored = {path.name: path.read_bytes() for path in place.iterdir()} if place.is_dir() else {}
    partial = folder / "landed" / ".partial"
    parts = [path.name for path in partial.iterdir() if path.name.startswith(f"{number}-")] if partial.is_dir() else []
    return Ended(remote, job, history, artifacts, stored, parts)


def manifest_of(ended: Ended) -> dict[str, object]:
    """The manifest as it lies on the disk; empty where there is none."""
    document: dict[str, object] = json.loads(ended.stored.get("manifest.json", b"{}"))
    return document
