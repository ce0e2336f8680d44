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
from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from functools import cache
from itertools import count
from operator import attrgetter, is_

from sqlalchemy import Connection

from tidewaiter.database.batch_counts import BatchCounts, may_end_batch
from tidewaiter.database.bound_statement import BoundStatement, bound
from tidewaiter.database.duration_store import DurationWriter
from tidewaiter.database.link_store import LinkWriter, has_pages
from tidewaiter.database.notification_store import Outbox
from tidewaiter.database.one_statement import GroupStatement
from tidewaiter.database.row_codec import JOB_FIELDS, PARAMETER, encode, encode_row, joined
from tidewaiter.database.sealing import Seal
from tidewaiter.database.trend_store import TrendWriter
from tidewaiter.database.update_statements import (
    INDEXED,
    PLAIN,
    SHARED,
    WAITING,
    artifact_delete,
    artifact_upsert,
    find_by_stamp,
    history_insert,
    term_insert,
    updates_of_jobs,
    waiting_statement,
)
from tidewaiter.domain.batch import EndedBatch
from tidewaiter.domain.immutable import immutable
from tidewaiter.domain.job import HistoryEntry, track_of
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.outcome import Stored
from tidewaiter.domain.search_terms import file_term
from tidewaiter.domain.state_machine import JobUpdate
from tidewaiter.domain.trends import trend_rows

_SERIAL_BITS = 40
_MANY_LINKS = 1000
_serials = count(1)

_written = attrgetter(*INDEXED, *PLAIN, *SHARED)
_indexed = attrgetter(*INDEXED)
_waited = attrgetter(*WAITING, "cancel_requested", "hinted")
_unchanged = attrgetter(
    *(name for name in JOB_FIELDS if name not in (*WAITING, "version", "cancel_requested", "hinted", "deadline_at"))
)
_entry = attrgetter(*(field.name for field in fields(HistoryEntry)))
_artifact = attrgetter(*(field.name for field in fields(Artifact)))


def _only_waits(change: JobUpdate) -> bool:
    """Whether an update changes nothing but the columns of ``WAITING``, as that of a poll that was "not yet" does.

    Members that did not change are the same objects. As the stored job has the version of ``before``, it has its other
    columns too, except those that other writers may change.
    """
    before = change.before
    if before is None or change.entry is not None or change.artifacts or before.version != change.expected:
        return False
    return all(map(is_, _unchanged(before), _unchanged(change.job)))


@immutable(frozen=True, slots=True)
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


@immutable(frozen=True, slots=True)
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
        self._on_postgresql = dialect == "postgresql"
        self._outbox = outbox
        self.batches = BatchCounts(dialect, outbox)
        self.seal = seal
        self._links = LinkWriter(seal)
        self._trends = TrendWriter(dialect)
        self._durations = DurationWriter(dialect)
        self._update_waiting = bound(waiting_statement, dialect)
        self._update_staying, self._update_moving, self._decide = _updates_of_jobs(dialect)
        self._find_written = bound(find_by_stamp, dialect)
        self._insert_history = bound(history_insert, dialect)
        self._insert_terms = bound(term_insert, dialect)
        self._write_artifacts = bound(artifact_upsert, dialect)
        self._delete_artifacts = bound(artifact_delete, dialect)

    def write(
        self,
        connection: Connection,
        group: Sequence[FencedUpdate],
        rows: Mapping[int, str],
        owner: str,
        *,
        at_once: bool,
    ) -> GroupResult:
        """Write every update of the group that the fence permits.

        Args:
            connection: of the transaction.
            group: at most one update for each job.
            rows: what :meth:`encoded` made of them.
            owner: who writes.
            at_once: by one statement, and without a transaction; see :meth:`is_one_statement`.

        Returns:
            The jobs whose update is in the database, written now or by an earlier attempt.

        Raises:
            IntegrityError: one of them has a handle that another job has.
        """
        ended: tuple[EndedBatch, ...] = ()
        if at_once:
            accepted = self._write_at_once(connection, group, rows, owner)
        else:
            accepted, ended = self._write_in_parts(connection, group, rows, owner)
        left = [one for one in group if one.update.job.id not in accepted]
        if known := self._written_before(connection, left):
            again = [one.update for one in left if one.update.job.id in known]
            ended += self.batches.ended_before(connection, again)
        return GroupResult(accepted | known, batches=ended)

    def is_one_statement(self, group: Sequence[FencedUpdate]) -> bool:
        """Whether the group is written by one statement, which needs no transaction around it.

        On PostgreSQL it is, unless an update has to be reported, may end a batch, or counts how long its remote job
        took, which all read something, or has pages of links.
        """
        return self._on_postgresql and not any(
            one.duration is not None or self._outbox.reports(one) or may_end_batch(one) or has_pages(one)
            for one in map(attrgetter("update"), group)
        )

    def _write_at_once(
        self, connection: Connection, group: Sequence[FencedUpdate], rows: Mapping[int, str], owner: str
    ) -> frozenset[int]:
        statement = GroupStatement()
        for one in group:
            statement.update(_kind(one.update), rows[one.update.job.id])
        for kind, some in _details(group).items():
            statement.details(kind, some)
        each = [(one.update.job.id, *key, value) for one in group if one.update.entry is not None
                for key, value in trend_rows([one.update])]  # fmt: skip
        statement.details("trends", each)
        return statement.write(connection, owner)

    def _write_in_parts(
        self, connection: Connection, group: Sequence[FencedUpdate], rows: Mapping[int, str], owner: str
    ) -> tuple[frozenset[int], tuple[EndedBatch, ...]]:
        waiting = [one.update.job.id for one in group if _only_waits(one.update)]
        accepted = self._write_through(connection, self._update_waiting, waiting, rows, owner)
        others = [one.update for one in group if not _only_waits(one.update)]
        staying = [one.job.id for one in others if one.state_from is one.job.state]
        accepted |= self._write_through(connection, self._update_staying, staying, rows, owner)
        moving = [one.job.id for one in others if one.job.id not in accepted]
        accepted |= self._write_through(connection, self._update_moving, moving, rows, owner)
        written = [one for one in group if one.update.job.id in accepted]
        self._write_details(connection, written)
        return accepted, self.batches.ended(connection, [one.update for one in written])

    def decide(self, connection: Connection, decision: JobUpdate, ended: list[EndedBatch]) -> bool:
        """Write a person's decision if the job is still parked, at the version that the person saw.

        A batch that ends with it is added to ``ended``.
        """
        result = self._decide.run(connection, {PARAMETER: encode([self._row(decision, 0, None)])})
        accepted = result.scalar() is not None
        if accepted and decision.entry is not None:
            self._links.write(connection, [decision])
            self.write_history(connection, [(*_entry(decision.entry), None)])
            self._outbox.write(connection, [decision])
            self._trends.write(connection, [decision])
            ended += self.batches.ended(connection, [decision])
        return accepted

    def write_history(self, connection: Connection, rows: Sequence[Sequence[object]]) -> None:
        """Write history rows: the fields of an entry, and the stamp."""
        self._insert_history.run(connection, {PARAMETER: encode(rows)})

    def write_terms(self, connection: Connection, terms: Sequence[tuple[int, int]]) -> None:
        """Write search terms with the ids of their jobs; those that are there already stay."""
        if terms:
            self._insert_terms.run(connection, {PARAMETER: encode(sorted(terms))})

    def _write_through(
        self,
        connection: Connection,
        statement: BoundStatement,
        jobs_: Sequence[int],
        rows: Mapping[int, str],
        owner: str,
    ) -> frozenset[int]:
        """Run a fenced update for these jobs; returns the ids of those that it wrote."""
        if not jobs_:
            return frozenset()
        parameters = {PARAMETER: joined([rows[number] for number in jobs_]), "owner": owner}
        return frozenset(statement.run(connection, parameters).scalars().all())

    def _write_details(self, connection: Connection, accepted: Sequence[FencedUpdate]) -> None:
        details = _details(accepted)
        if entries := details["history"]:
            self.write_history(connection, entries)
        self._links.write(connection, [one.update for one in accepted])
        if stored := details["beyond"]:
            self._delete_artifacts.run(connection, {PARAMETER: encode(stored)})
        if landed := details["artifacts"]:
            self._write_artifacts.run(connection, {PARAMETER: encode(landed)})
            self._insert_terms.run(connection, {PARAMETER: encode(details["terms"])})
        if entries:
            told = [one.update for one in accepted if one.update.entry is not None]
            self._outbox.write(connection, told)
            self._trends.write(connection, told)
            self._durations.write(connection, told)

    async def encoded(self, group: Sequence[FencedUpdate]) -> Mapping[int, str]:
        """The row of each job's update as text; made in a thread if many links would block the event loop."""

        def texts() -> Mapping[int, str]:
            return {one.update.job.id: encode_row(self._row_of(one)) for one in group}

        link_count = sum(len(one.update.job.links) for one in group if isinstance(one.update.job.links, tuple))
        return texts() if link_count <= _MANY_LINKS else await asyncio.to_thread(texts)

    def _row_of(self, one: FencedUpdate) -> tuple[object, ...]:
        """A row of the statement that writes this update."""
        update = one.update
        if not _only_waits(update):
            return self._row(update, one.epoch, one.stamp)
        return (update.job.id, update.expected, one.stamp, one.epoch, *_waited(update.job), update.saw_wake_up)

    def _row(self, change: JobUpdate, epoch: int, stamp: int | None) -> tuple[object, ...]:
        """A row of ``_UPDATE``."""
        job = change.job
        fence = (job.id, change.expected, stamp, epoch)
        return (*fence, track_of(job.state).value, self._links.column(job), *_written(job), change.saw_wake_up)

    def _written_before(self, connection: Connection, group: Sequence[FencedUpdate]) -> frozenset[int]:
        if not group:
            return frozenset()
        rows = [(one.update.job.id, one.update.expected, one.stamp) for one in group]
        return frozenset(self._find_written.run(connection, {PARAMETER: encode(rows)}).scalars().all())


@cache
def _updates_of_jobs(dialect: str) -> Sequence[BoundStatement]:
    return [BoundStatement(statement) for statement in updates_of_jobs(dialect)]


def _last_of(update: JobUpdate) -> int:
    """The highest file number of a job with all its files: rows with a higher number belong to no file any more."""
    return max((one.number for one in update.artifacts), default=-1)


def _details(group: Sequence[FencedUpdate]) -> dict[str, list[tuple[object, ...]]]:
    """The rows that belong to these updates, by the names of :meth:`GroupStatement.details`."""
    updates = [one.update for one in group]
    return {
        "history": [(*_entry(one.update.entry), one.stamp) for one in group if one.update.entry is not None],
        "beyond": [(one.job.id, _last_of(one)) for one in updates if isinstance(one.outcome, Stored)],
        "artifacts": [(one.job.id, *_artifact(file)) for one in updates for file in one.artifacts],
        "terms": sorted((file_term(file.name), one.job.id) for one in updates for file in one.artifacts),
    }


def _kind(change: JobUpdate) -> str:
    """Which of the updates writes this one: the smallest that has all of what changes."""
    if _only_waits(change):
        return "waiting"
    before, after = change.before, change.job
    if before is None or before.version != change.expected or _indexed(before) != _indexed(after):
        return "moving"
    return "staying"
