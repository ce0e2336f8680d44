"""A download that is killed between any two writes: the next one ends with exactly the listed files."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest

from tests.support.byte_servers import ReceivedRequest, serving
from tests.support.spec_samples import WHOLE, operation_of
from tests.support.stored_jobs import OWNER, Stores
from tests.worker.download_setup import head, whole
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import Credentials, Link
from tidewaiter.domain.job import Job
from tidewaiter.domain.manifest import Artifact, folder_of
from tidewaiter.log import configure
from tidewaiter.storage.base import StorageThreads
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.request_budget import Budget
from tidewaiter.worker.account_observer import AccountObserver
from tidewaiter.worker.authenticated_client import AuthenticatedClient
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.lease import Lease
from tidewaiter.worker.result_fetcher import ResultFetcher
from tidewaiter.worker.step_context import StepContext


def _zipped(*contents: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.txt", content)
    return data.getvalue()


MEMBERS = {"/y.zip": [b"Psi 1", b"Psi 2", b"Psi 3"], "/z.zip": [b"Omega 1", b"Omega 2"]}
BODIES = {"/a": b"Alpha", "/b": b"Beta.", "/c": b"Gamma"} | {path: _zipped(*every) for path, every in MEMBERS.items()}


READS = ("look for", "read", "list")
"""What a storage does that changes nothing."""

T = TypeVar("T")


class KilledError(BaseException):
    """The process ends here."""


class MortalStorage(LocalStorage):
    """A storage whose process is killed just before, or just after, one of its writes."""

    left = -1
    after = False
    dead = False

    def _start(self, doing: str, work: Callable[[], T]) -> Awaitable[T]:
        return super()._start(doing, work) if doing.startswith(READS) else self._write(super()._start, doing, work)

    async def _write(self, start: Callable[..., Awaitable[T]], doing: str, work: Callable[[], T]) -> T:
        if self.dead:
            raise KilledError
        self.left -= 1
        self.dead = self.left == 0
        if self.left == 0 and not self.after:
            raise KilledError
        done = await start(doing, work)
        if self.dead:
            raise KilledError
        return done


class Visits:
    """Visits to one job, whose rows stand in a real database."""

    def __init__(
        self, stores: Stores, job: Job, fetcher: ResultFetcher, client: AuthenticatedClient, origin: str
    ) -> None:
        self.stores, self.job, self.origin = stores, job, origin
        self._fetcher, self._client, self._lease = fetcher, client, Lease(1, 1, SystemClock(), 3600.0)
        self._operation = operation_of(WHOLE)

    async def fetch(self, paths: Sequence[str]) -> tuple[o.Outcome, list[Artifact]]:
        """One download of a list."""
        self.job = await self.stores.accepted(self.job, o.FetchStarted())
        kinds = [(path, "zip" if path in MEMBERS else None) for path in paths]
        links = [Link(f"{self.origin}{path}", "Patient", archive=kind) for path, kind in kinds]
        step = StepContext.of(self.job, self._operation, self._client, self._lease)
        outcome = await self._fetcher.land_files(step, links)
        return outcome, step.artifacts

    async def record(self, outcome: o.Outcome, landed: Sequence[Artifact]) -> None:
        """Commit what a visit learned, as a lane does."""
        fenced = self.stores.update(self.job, outcome)
        if landed and not fenced.update.artifacts:
            fenced = replace(fenced, update=replace(fenced.update, artifacts=tuple(landed)))
        assert (await self.stores.jobs.record([fenced], OWNER)).accepted == {self.job.id}
        self.job = await self.stores.stored(self.job)


@asynccontextmanager
async def visits(stores: Stores, handle: str, storage: LocalStorage) -> AsyncIterator[Visits]:
    """A job that is to be fetched, from a server that refuses ``/b`` once."""
    clock, log = SystemClock(), configure("json", "error", [], strict=True)
    refused = [True]

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        refuses = asked.target == "/b" and bool(refused)
        if refuses:
            refused.clear()
        writer.write(head(403, "Content-Length: 0") if refuses else whole(BODIES[asked.target]))
        await writer.drain()

    job = await stores.accepted(await stores.polling(handle), o.Ready())
    async with serving(answer) as server, AiohttpWire() as wire:
        budget = Budget(clock, Random(1), Limits())
        client = AccountClient(
            wire,
            ClientSettings("https://elsewhere.example:443", True, 65_536),
            Credentials(),
            budget,
        )
        observer = AccountObserver("acme", Lease(1, 1, clock, 3600.0), budget, clock=clock, log=log)
        signed = AuthenticatedClient(
            client, None, budget=budget, observer=observer, clock=clock, rand=Random(1), log=log
        )
        fetcher = ResultFetcher(storage, stores.jobs, clock, JobLog(log, clock, stores.jobs), rand=Random(1))
        yield Visits(stores, job, fetcher, signed, server.origin)
    log.close()


FILES = (["/a", "/a", "/a", "/b"], ["/b", "/c"], ["/c", "/a", "/a", "/b"])
ARCHIVES = (["/z.zip", "/a", "/b"], ["/b", "/y.zip"], ["/y.zip", "/a", "/z.zip", "/b"])


async def one_life(
    folder: Path, stores: Stores, kill_at: int, lists: tuple[list[str], list[str], list[str]], *, after: bool
) -> bool:
    """A visit with a refused file, one with another list that is killed, and a last one; whether it was killed."""
    expected = [content for path in lists[2] for content in MEMBERS.get(path, [BODIES[path]])]
    with StorageThreads() as threads:
        storage = MortalStorage(folder, threads)
        async with visits(stores, f"{kill_at}-{after}-{len(lists[0])}", storage) as job:
            outcome, landed = await job.fetch(lists[0])
            assert isinstance(outcome, o.LinksExpired)
            await job.record(outcome, landed)
            job.job = await job.stores.accepted(job.job, o.Ready())
            storage.left, storage.after = kill_at, after
            killed = False
            try:
                await job.fetch(lists[1])
            except KilledError:
                killed = True
            storage.left, storage.dead = -1, False
            outcome, landed = await job.fetch(lists[2])
            assert isinstance(outcome, o.Stored)
            await job.record(outcome, landed)
            rows = await job.stores.jobs.artifacts(job.job.id)
            place = folder / folder_of(job.job.account, job.job.operation, job.job.created_at, job.job.id)
    manifest = json.loads((place / "manifest.json").read_bytes())["artifacts"]
    assert [one.number for one in rows] == list(range(len(expected)))
    assert [(folder / one.key).read_bytes() for one in rows] == expected
    assert [(one["number"], one["key"], one["sha256"]) for one in manifest] == [
        (one.number, one.key, one.sha256) for one in rows
    ]
    assert {path.name for path in place.iterdir()} == {"manifest.json", *(one.name for one in rows)}
    return killed


@pytest.mark.fault(3, 4)
@pytest.mark.invariant(6)
@pytest.mark.slow
@pytest.mark.parametrize(("lists", "writes"), [(FILES, 6), (ARCHIVES, 12)], ids=["files", "archives"])
async def test_killed_between_any_two_writes(
    tmp_path: Path, database: Database, lists: tuple[list[str], list[str], list[str]], writes: int
) -> None:
    """Before or after each: list, manifest, rows and folder agree in the end, and the bytes are those of the list.

    Of an archive all members are counted, or none, and the archive itself is gone.
    """
    stores = await Stores.set_up(database)
    for after in (False, True):
        kill_at = 1
        while await one_life(tmp_path / "landed", stores, kill_at, lists, after=after):
            kill_at += 1
        assert kill_at > writes


class NotingStorage(LocalStorage):
    """A storage that notes what it does."""

    done: list[str]

    def _start(self, doing: str, work: Callable[[], T]) -> Awaitable[T]:
        self.done.append(doing)
        return super()._start(doing, work)


@pytest.mark.fault(13)
@pytest.mark.invariant(6)
async def test_names_are_durable_before_they_are_recorded(tmp_path: Path, sqlite_url: str) -> None:
    """The folder of the files is synced, and only then the manifest is written and the outcome names them."""
    database = Database.open(sqlite_url, SystemClock())
    with StorageThreads() as threads:
        storage = NotingStorage(tmp_path / "landed", threads)
        storage.done = []
        async with visits(await Stores.set_up(database), "synced", storage) as job:
            outcome, _ = await job.fetch(["/a", "/c"])
    await database.close()
    assert isinstance(outcome, o.Stored)
    synced, manifest = (
        next(place for place, doing in enumerate(storage.done) if wanted in doing)
        for wanted in ("sync the folder of the files", "manifest.json")
    )
    assert synced < manifest
