"""The group commit: many updates in one fenced statement, with their history, files and notifications.

An update is written only if the stored job still has the version that the update started from, *and* the writer still
holds the job's lane at the epoch at which the step began. A writer that lost the lane writes nothing, and neither does
an update after a person's decision.

The acknowledgement of a commit can be lost. The writer then passes the same updates again, and finds no matching
versions, although its own commit succeeded. So every update carries a unique stamp: the lane's epoch, which no two
owners share, and a number that its process counts up. The stamp is stored with the job and with the history row. An
update whose stamp is found was committed before.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from itertools import count
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Executable,
    Integer,
    SmallInteger,
    Subquery,
    Text,
    and_,
    bindparam,
    case,
    delete,
    false,
    literal_column,
    not_,
    or_,
    select,
    true,
    union,
    update,
)
from sqlalchemy import Update as SqlUpdate
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from tidewaiter.database.batch_counts import BatchCounts
from tidewaiter.database.duration_store import DurationWriter
from tidewaiter.database.link_store import LinkWriter
from tidewaiter.database.notification_store import Outbox
from tidewaiter.database.row_codec import PARAMETER, encode, rows_of
from tidewaiter.database.sealing import Seal
from tidewaiter.database.tables import artifacts, history, job_terms, jobs, lanes
from tidewaiter.database.trend_store import TrendWriter
from tidewaiter.domain.batch import EndedBatch
from tidewaiter.domain.job import HistoryEntry, State, track_of
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.outcome import Stored
from tidewaiter.domain.search_terms import file_term
from tidewaiter.domain.state_machine import JobUpdate

_SERIAL_BITS = 40
_MANY_LINKS = 1000
_serials = count(1)

# In an index: written only if they change, because SQLite rewrites the index even for the same value. The cause of a
# failure changes only together with them.
_INDEXED: Final = ("state", "handle", "shared", "finished_at", "callback_hash", "cause")
# The others are written as the update has them; links are treated separately.
_PLAIN: Final = (
    "intent_key",
    "intent_at",
    "remote_status",
    "progress",
    "reason",
    "polls",
    "failures",
    "crashes",
    "submits",
    "resubmits",
    "fetches",
    "submitted_at",
    "ready_at",
    "landed_at",
    "moved_at",
    "unknowns",
    "polls_at_submit",
    "expiries",
    "expired_at",
    "stage",
    "kept",
    "agains",
    "poll_at",
    "polled_at",
)
# Other writers may change these while a step is under way; deadlines move when an account is resumed.
_SHARED: Final = ("due_at", "cancel_requested", "hinted", "deadline_at")
_written = attrgetter(*_INDEXED, *_PLAIN, *_SHARED)
_entry = attrgetter(*(field.name for field in fields(HistoryEntry)))
_artifact = attrgetter(*(field.name for field in fields(Artifact)))
_Columns = Sequence[tuple[str, TypeEngine[Any]]]
_FENCE: Final[_Columns] = (("id", BigInteger()), ("expected", Integer()), ("stamp", BigInteger()))
_UPDATE: Final[_Columns] = (
    *_FENCE,
    ("epoch", BigInteger()),
    ("track", SmallInteger()),
    ("links", Text()),
    *((name, jobs.c[name].type) for name in (*_INDEXED, *_PLAIN, *_SHARED)),
    ("saw_wake_up", Boolean()),
)


@dataclass(frozen=True, slots=True)
class FencedUpdate:
    """An update and the epoch of the lane at which its step began.

    ``serial`` is unique in this process: after a lost acknowledgement pass the same value again, not a copy made from
    its parts.
    """

    update: JobUpdate
    epoch: int
    serial: int = field(default_factory=_serials.__next__)

    @property
    def stamp(self) -> int:
        """The number by which this update is recognized in the database."""
        return self.epoch << _SERIAL_BITS | self.serial


@dataclass(frozen=True, slots=True)
class GroupResult:
    """The result of a group of updates, by job.

    ``accepted`` are durable. ``conflicts`` were refused because another job already follows the same remote job, each
    with the reason. ``unwritable`` have values that the database will never accept, with the reason. An update in none
    of them is stale: its lane or its version has changed, and nothing was written. ``batches`` have ended with them.
    """

    accepted: frozenset[int]
    conflicts: tuple[tuple[int, str], ...] = ()
    unwritable: tuple[tuple[int, str], ...] = ()
    batches: tuple[EndedBatch, ...] = ()


class GroupCommit:
    """The statements that write updates; each runs in a transaction of the caller.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        outbox: writes the notifications about the jobs.
        seal: encrypts links and secret parameters.
    """

    def __init__(self, dialect: str, outbox: Outbox, seal: Seal) -> None:
        self._outbox = outbox
        self.batches = BatchCounts(dialect, outbox)
        self.seal = seal
        self._links = LinkWriter(seal)
        self._trends = TrendWriter(dialect)
        self._durations = DurationWriter(dialect)
        self._update_staying, self._update_moving, self._decide = _updates(dialect)
        self._find_written = _find_by_stamp(dialect)
        self._insert_history = _history_insert(dialect)
        self._insert_terms = _term_insert(dialect)
        self._write_artifacts = _artifact_upsert(dialect)
        self._delete_artifacts = _artifact_delete(dialect)

    async def write(self, connection: AsyncConnection, group: Sequence[FencedUpdate], owner: str) -> GroupResult:
        """Write every update of the group that the fence permits.

        Returns:
            The jobs whose update is in the database, written now or by an earlier attempt.

        Raises:
            IntegrityError: one of them has a handle that another job has.
        """
        staying = [one for one in group if one.update.state_from is one.update.job.state]
        accepted = await self._write_through(connection, self._update_staying, staying, owner)
        moving = [one for one in group if one.update.job.id not in accepted]
        accepted |= await self._write_through(connection, self._update_moving, moving, owner)
        await self._write_details(connection, [one for one in group if one.update.job.id in accepted])
        ended = await self.batches.ended(connection, [one.update for one in group if one.update.job.id in accepted])
        left = [one for one in group if one.update.job.id not in accepted]
        if known := await self._written_before(connection, left):
            again = [one.update for one in left if one.update.job.id in known]
            ended += await self.batches.ended_before(connection, again)
        return GroupResult(accepted | known, batches=ended)

    async def decide(self, connection: AsyncConnection, decision: JobUpdate, ended: list[EndedBatch]) -> bool:
        """Write a person's decision if the job is still parked, at the version that the person saw.

        A batch that ends with it is added to ``ended``.
        """
        result = await connection.execute(self._decide, {PARAMETER: encode([self._row(decision, 0, None)])})
        accepted = result.scalar() is not None
        if accepted and decision.entry is not None:
            await self._links.write(connection, [decision])
            await self.write_history(connection, [(*_entry(decision.entry), None)])
            await self._outbox.write(connection, [decision])
            await self._trends.write(connection, [decision])
            ended += await self.batches.ended(connection, [decision])
        return accepted

    async def write_history(self, connection: AsyncConnection, rows: Sequence[Sequence[object]]) -> None:
        """Write history rows: the fields of an entry, and the stamp."""
        await connection.execute(self._insert_history, {PARAMETER: encode(rows)})

    async def write_terms(self, connection: AsyncConnection, terms: Sequence[tuple[int, int]]) -> None:
        """Write search terms with the ids of their jobs; those that are there already stay."""
        if terms:
            await connection.execute(self._insert_terms, {PARAMETER: encode(sorted(terms))})

    async def _write_through(
        self, connection: AsyncConnection, statement: Executable, group: Sequence[FencedUpdate], owner: str
    ) -> frozenset[int]:
        """Run a fenced update; returns the ids of the jobs that it wrote."""
        if not group:
            return frozenset()
        rows = await self.encoded(group)
        result = await connection.execute(statement, {PARAMETER: rows, "owner": owner})
        return frozenset(result.scalars().all())

    async def _write_details(self, connection: AsyncConnection, accepted: Sequence[FencedUpdate]) -> None:
        entries = [(*_entry(one.update.entry), one.stamp) for one in accepted if one.update.entry is not None]
        if entries:
            await self.write_history(connection, entries)
        await self._links.write(connection, [one.update for one in accepted])
        stored = [
            (one.update.job.id, _last_of(one.update)) for one in accepted if isinstance(one.update.outcome, Stored)
        ]
        if stored:
            await connection.execute(self._delete_artifacts, {PARAMETER: encode(stored)})
        landed = [(one.update.job.id, *_artifact(file)) for one in accepted for file in one.update.artifacts]
        if landed:
            await connection.execute(self._write_artifacts, {PARAMETER: encode(landed)})
            terms = [(file_term(file.name), one.update.job.id) for one in accepted for file in one.update.artifacts]
            await self.write_terms(connection, terms)
        if entries:
            told = [one.update for one in accepted if one.update.entry is not None]
            await self._outbox.write(connection, told)
            await self._trends.write(connection, told)
            await self._durations.write(connection, told)

    async def encoded(self, group: Sequence[FencedUpdate]) -> str:
        """The rows of a group as text; in a thread if many links would block the event loop."""

        def text() -> str:
            return encode([self._row(one.update, one.epoch, one.stamp) for one in group])

        link_count = sum(len(one.update.job.links) for one in group if isinstance(one.update.job.links, tuple))
        return text() if link_count <= _MANY_LINKS else await asyncio.to_thread(text)

    def _row(self, change: JobUpdate, epoch: int, stamp: int | None) -> tuple[object, ...]:
        """A row of ``_UPDATE``."""
        job = change.job
        fence = (job.id, change.expected, stamp, epoch)
        return (*fence, track_of(job.state).value, self._links.column(job), *_written(job), change.saw_wake_up)

    async def _written_before(self, connection: AsyncConnection, group: Sequence[FencedUpdate]) -> frozenset[int]:
        if not group:
            return frozenset()
        rows = [(one.update.job.id, one.update.expected, one.stamp) for one in group]
        return frozenset((await connection.execute(self._find_written, {PARAMETER: encode(rows)})).scalars().all())


# Statements are built once for each dialect: that takes longer than to run them.


@cache
def _updates(dialect: str) -> tuple[Executable, Executable, Executable]:
    """The updates of jobs that stay in their state, of jobs that enter another one, and of a person's decision."""
    changed = rows_of(dialect, _UPDATE)
    return _staying_update(changed), _moving_update(changed), _decision(changed)


def _fenced_update(changed: Subquery) -> SqlUpdate:
    """What a lane's owner writes to every job, and the fence.

    The owner's lanes are locked against a takeover until the commit, always in the same order, so that two such
    statements never wait for each other; SQLite has one writer and ignores the lock.

    A cancel request may have come while the step was under way, so that the step's job does not show it: then the job
    stays due at once. If the step knew of the request, the job keeps its new due time; otherwise a job that cannot be
    cancelled yet would be served without pause. A callback that came during the step is treated in the same way, and
    keeps its flag.
    """
    held = select(lanes.c.id, lanes.c.epoch).where(lanes.c.owner == bindparam("owner", type_=Text()))
    held_lanes = held.order_by(lanes.c.id).with_for_update(read=True).cte("held")
    requested_meanwhile = and_(
        jobs.c.cancel_requested, not_(changed.c.cancel_requested), jobs.c.due_at < changed.c.due_at
    )
    hinted_meanwhile = and_(jobs.c.hinted, not_(changed.c.saw_wake_up), changed.c.finished_at.is_(None))
    due_earlier = or_(requested_meanwhile, and_(hinted_meanwhile, jobs.c.due_at < changed.c.due_at))
    return (
        _versioned_update(changed)
        .where(held_lanes.c.id == jobs.c.lane, held_lanes.c.epoch == changed.c.epoch)
        .values(
            due_at=case((due_earlier, jobs.c.due_at), else_=changed.c.due_at),
            hinted=case((hinted_meanwhile, true()), else_=changed.c.hinted),
        )
    )


def _staying_update(changed: Subquery) -> Executable:
    """The update of jobs that stay in their state, as most do: half the work, because it changes only one index.

    A job for which anything else changes is left to :func:`_moving_update`.
    """
    same = (
        jobs.c.state == changed.c.state,
        jobs.c.handle.is_not_distinct_from(changed.c.handle),
        jobs.c.shared == changed.c.shared,
        changed.c.finished_at.is_(None),
        jobs.c.callback_hash.is_not_distinct_from(changed.c.callback_hash),
    )
    return _fenced_update(changed).where(*same).returning(jobs.c.id)


def _moving_update(changed: Subquery) -> Executable:
    """The update of jobs that reach another state. A job that has ended has no cancel request any more."""
    still_requested = case((changed.c.finished_at.is_not(None), false()), else_=jobs.c.cancel_requested)
    return _fenced_update(changed).values(**_indexed(changed), cancel_requested=still_requested).returning(jobs.c.id)


def _decision(changed: Subquery) -> Executable:
    """The update by a person: fenced by the version, because no step works on a parked job."""
    return (
        _versioned_update(changed)
        .where(jobs.c.state == State.PARKED.value)
        .values(**_indexed(changed), **{name: changed.c[name] for name in _SHARED})
        .returning(jobs.c.id)
    )


def _versioned_update(changed: Subquery) -> SqlUpdate:
    values = {name: changed.c[name] for name in (*_PLAIN, "links", "stamp")}
    return (
        update(jobs)
        .where(jobs.c.id == changed.c.id, jobs.c.version == changed.c.expected)
        .values(**values, version=changed.c.expected + 1)
    )


def _indexed(changed: Subquery) -> dict[str, ColumnElement[Any]]:
    return {name: changed.c[name] for name in (*_INDEXED, "track")}


@cache
def _find_by_stamp(dialect: str) -> Executable:
    """The jobs whose update was written before; the history still has the stamp when the job has changed again."""
    updates = rows_of(dialect, _FENCE)
    next_version = updates.c.expected + 1
    on_job = and_(jobs.c.id == updates.c.id, jobs.c.version == next_version, jobs.c.stamp == updates.c.stamp)
    on_entry = and_(
        history.c.job_id == updates.c.id, history.c.version == next_version, history.c.stamp == updates.c.stamp
    )
    return union(select(updates.c.id).join(jobs, on_job), select(updates.c.id).join(history, on_entry))


@cache
def _history_insert(dialect: str) -> Executable:
    names = [column.name for column in history.c]
    rows = rows_of(dialect, [(name, history.c[name].type) for name in names])
    return history.insert().from_select(names, select(*rows.c))


@cache
def _term_insert(dialect: str) -> Executable:
    names = [column.name for column in job_terms.c]
    rows = rows_of(dialect, [(name, job_terms.c[name].type) for name in names])
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    # SQLite would read ON CONFLICT as part of the join: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    added = insert(job_terms).from_select(names, select(*rows.c).where(literal_column("1 = 1")))
    return added.on_conflict_do_nothing()


def _last_of(update: JobUpdate) -> int:
    """The highest file number of a job with all its files: rows with a higher number belong to no file any more."""
    return max((one.number for one in update.artifacts), default=-1)


@cache
def _artifact_delete(dialect: str) -> Executable:
    rows = rows_of(dialect, [("id", BigInteger()), ("last", Integer())])
    beyond = select(rows.c.id).where(rows.c.id == artifacts.c.job_id, artifacts.c.number > rows.c.last)
    return delete(artifacts).where(beyond.correlate(artifacts).exists())


@cache
def _artifact_upsert(dialect: str) -> Executable:
    """A file that is landed again, after a step that died, replaces its first row."""
    names = [column.name for column in artifacts.c]
    rows = rows_of(dialect, [(name, artifacts.c[name].type) for name in names])
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    # SQLite would read ON CONFLICT as part of the join: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    added = insert(artifacts).from_select(names, select(*rows.c).where(literal_column("1 = 1")))
    key = ["job_id", "number"]
    changed = {name: added.excluded[name] for name in names if name not in key}
    return added.on_conflict_do_update(index_elements=key, set_=changed)
