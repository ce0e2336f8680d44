"""Commits whose acknowledgement is lost: repeated, they are recognized and applied once."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import aiosqlite
import pytest

from tests.support.postgres import Line, Postgres
from tests.support.stored_jobs import NOW, OWNER, StandingClock, Stores, artifact
from tidewaiter.database import engine
from tidewaiter.database.engine import Database, StoreUnavailableError
from tidewaiter.database.trend_store import TrendStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State
from tidewaiter.domain.notification import Subscription
from tidewaiter.domain.trends import TrendStep


class Trouble(Protocol):
    """How a test makes one commit go wrong."""

    def lose_acknowledgement(self) -> None:
        """The next commits are done, but nobody learns of it."""

    def lose_commit(self) -> None:
        """The next transactions end before their commit."""

    def end(self) -> None:
        """All is well again."""


@dataclass(slots=True)
class DiskTrouble:
    """An SQLite file whose disk reports an error, after the commit or before it."""

    before: bool = False
    after: bool = False

    def lose_acknowledgement(self) -> None:
        self.after = True

    def lose_commit(self) -> None:
        self.before = True

    def end(self) -> None:
        self.before = self.after = False


class TroubledConnection(aiosqlite.Connection):
    """A connection over such a disk."""

    def __init__(self, path: Path, trouble: DiskTrouble) -> None:
        super().__init__(lambda: sqlite3.connect(path), iter_chunk_size=64)
        self._trouble = trouble

    async def commit(self) -> None:
        if not self._trouble.before:
            await super().commit()
        if self._trouble.before or self._trouble.after:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error


@dataclass(slots=True)
class NetworkTrouble:
    """A line to PostgreSQL that is cut when the client says a certain word.

    A group is one statement there; ``in_parts`` is for groups that are a transaction of many.
    """

    line: Line
    in_parts: bool

    def lose_acknowledgement(self) -> None:
        self.line.cut_after = b"COMMIT\0" if self.in_parts else b"UPDATE jobs"

    def lose_commit(self) -> None:
        self.line.cut_before = b"COMMIT\0" if self.in_parts else b"UPDATE jobs"

    def end(self) -> None:
        self.line.cut_after = self.line.cut_before = None


@pytest.fixture(params=["sqlite", "postgresql", "postgresql in parts"])
async def troubled(
    request: pytest.FixtureRequest, clock: StandingClock, tmp_path: Path
) -> AsyncIterator[tuple[Stores, Trouble]]:
    """A scene in a database that can be made to fail."""
    async with AsyncExitStack() as stack:
        trouble: Trouble
        if request.param == "sqlite":
            url: str = request.getfixturevalue("sqlite_url")
            trouble = disk = DiskTrouble()
            path = Path(url.removeprefix("sqlite:///"))
            database = Database.open(url, clock, sqlite_connect=lambda: TroubledConnection(path, disk))
        else:
            postgres: Postgres = request.getfixturevalue("postgres")
            line = await stack.enter_async_context(Line(postgres.socket).open())
            name = postgres.create()
            stack.callback(postgres.drop, name)
            trouble = NetworkTrouble(line, request.param != "postgresql")
            database = Database.open(line.url(name), clock)
        stack.push_async_callback(database.close)
        reported = (
            [Subscription("everything", frozenset(State), None)] if request.param == "postgresql in parts" else []
        )
        yield await Stores.set_up(database, reported), trouble


@pytest.mark.fault(11)
async def test_acknowledgement_lost(troubled: tuple[Stores, Trouble]) -> None:
    """A group whose commit went through unheard is accepted at the second try, and its details are there once."""
    stores, trouble = troubled
    staying, moving, ending, stale = [await stores.polling(f"h{number}") for number in range(4)]
    group = [
        stores.update(staying, o.Pending("running")),
        stores.update(moving, o.Ready()),
        stores.update(ending, o.Stored((artifact(0),))),
        replace(stores.update(stale, o.Ready()), epoch=stores.lane.epoch - 1),
    ]
    trouble.lose_acknowledgement()
    with pytest.raises(StoreUnavailableError):
        await stores.jobs.record(group, OWNER)
    trouble.end()

    recorded = await stores.jobs.record(group, OWNER)
    assert recorded.accepted == {staying.id, moving.id, ending.id}
    for one in group[:3]:
        assert await stores.stored(one.update.job) == one.update.job
    assert [entry.version for entry in await stores.jobs.history(ending.id)] == [1, 2, 3, 4]
    assert await stores.jobs.artifacts(ending.id) == [artifact(0)]
    (day,) = await TrendStore(stores.database).periods(TrendStep.DAY, 1, NOW)
    assert (day.sums.landed, day.sums.files, day.sums.duration.count) == (1, 1, 1)


@pytest.mark.fault(11)
@pytest.mark.slow
async def test_a_group_that_outlasts_its_caller(
    sqlite_url: str, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the lock in its thread, and is committed after its caller has given up; repeated, it stays once."""
    database = Database.open(sqlite_url, clock)
    stores = await Stores.set_up(database)
    group = [stores.update(await stores.polling(f"h{number}"), o.Ready()) for number in range(2)]
    group += [stores.update(await stores.polling("h3"), o.Pending("running"))]
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(engine, "_ANSWER_S", 0.05)
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            await stores.jobs.record(group, OWNER)
        monkeypatch.undo()
        other.execute("ROLLBACK")
    recorded = await stores.jobs.record(group, OWNER)
    assert recorded.accepted == {one.update.job.id for one in group}
    for one in group:
        assert await stores.stored(one.update.job) == one.update.job
        assert len(await stores.jobs.history(one.update.job.id)) == one.update.job.version - (one is group[-1])
    await database.close()


@pytest.mark.fault(11)
async def test_commit_lost(troubled: tuple[Stores, Trouble]) -> None:
    """A group that never was committed changes nothing, and is written at the second try."""
    stores, trouble = troubled
    job = await stores.polling("h")
    group = [stores.update(job, o.Ready())]
    trouble.lose_commit()
    with pytest.raises(StoreUnavailableError):
        await stores.jobs.record(group, OWNER)
    trouble.end()

    assert await stores.stored(job) == job
    assert (await stores.jobs.record(group, OWNER)).accepted == {job.id}
    assert await stores.stored(job) == group[0].update.job


@pytest.mark.fault(11)
async def test_acknowledgement_lost_and_the_lane_after_it(troubled: tuple[Stores, Trouble]) -> None:
    """Even when the next owner has moved the job on meanwhile, the first one learns that its update was written."""
    stores, trouble = troubled
    job = await stores.polling("h")
    first = stores.update(job, o.Ready())
    trouble.lose_acknowledgement()
    with pytest.raises(StoreUnavailableError):
        await stores.jobs.record([first], OWNER)
    trouble.end()
    (taken,) = await stores.lanes.take("owner-2", 1, 30.0, force=True, accounts=["acme"])
    second = replace(stores.update(await stores.stored(job), o.Stored(())), epoch=taken.epoch)
    assert (await stores.jobs.record([second], "owner-2")).accepted == {job.id}

    assert (await stores.jobs.record([first], OWNER)).accepted == {job.id}
    assert (await stores.stored(job)).state is State.SUCCEEDED


@pytest.mark.fault(11)
async def test_somebody_elses_write_is_not_taken_for_ones_own(troubled: tuple[Stores, Trouble]) -> None:
    """Another update of the same content, from the same version, is stale: only the very same value is known again."""
    stores, _ = troubled
    job = await stores.polling("h")
    one = stores.update(job, o.Ready())
    twin = stores.update(job, o.Ready())
    assert twin.update == one.update
    assert (await stores.jobs.record([one], OWNER)).accepted == {job.id}
    assert (await stores.jobs.record([twin], OWNER)).accepted == frozenset()
    (taken,) = await stores.lanes.take("owner-2", 1, 30.0, force=True, accounts=["acme"])
    assert (await stores.jobs.record([replace(one, epoch=taken.epoch)], "owner-2")).accepted == frozenset()
