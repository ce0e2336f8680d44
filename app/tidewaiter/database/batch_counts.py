"""The counts of batches: written with the jobs that join a batch, and with the updates that end them.

The statements run in the transaction of the caller, after everything else, and in the order of names. So two
transactions never wait for each other's batches in a circle, and a count is exact whatever process dies.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Double,
    Executable,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    literal_column,
    not_,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from tidewaiter.database.notification_store import Outbox
from tidewaiter.database.row_codec import PARAMETER, encode, rows_of
from tidewaiter.database.tables import batches, jobs
from tidewaiter.domain.batch import Batch, EndedBatch, StateCounts
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.domain.state_machine import JobUpdate

BATCH_COLUMNS: Final = (
    batches.c.name,
    batches.c.created_at,
    batches.c.created_by,
    batches.c.jobs,
    batches.c.open,
    batches.c.complete,
    batches.c.ended_at,
)


class BatchCounts:
    """Counts the jobs of batches.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        outbox: writes the notifications about batches that end.
    """

    def __init__(self, dialect: str, outbox: Outbox) -> None:
        self._outbox = outbox
        self._join = _joining(dialect)
        self._end = _ending(dialect)
        self._find_ended = _find_ended(dialect)

    def joined(self, connection: Connection, added: Iterable[Job], now: float) -> None:
        """Count new jobs; a batch that does not exist is created, and one that has ended is open again."""
        joining = [job for job in added if job.context.batch is not None]
        numbers = Counter(job.context.batch for job in joining)
        by = {job.context.batch: job.context.requested_by or "" for job in reversed(joining)}
        rows = sorted((name, now, by[name], number) for name, number in numbers.items() if name is not None)
        if rows:
            connection.execute(self._join, {PARAMETER: encode(rows)})

    def ended(self, connection: Connection, updates: Iterable[JobUpdate]) -> tuple[EndedBatch, ...]:
        """Count the jobs that these updates have ended, and notify about the batches that end with them.

        Args:
            connection: of the transaction.
            updates: those that were written in this transaction.
        """
        last = _last_updates(updates)
        if not last:
            return ()
        rows = [(name, number, _ended_at(one)) for name, (number, one) in sorted(last.items())]
        if len(rows) > 1:
            connection.execute(_LOCK.where(batches.c.name.in_(list(last))))
        found = connection.execute(self._end, {PARAMETER: encode(rows)}).all()
        ended = self._batches(connection, [row for row in found if row.ended_at is not None], last)
        self._outbox.write_batches(connection, ended)
        return ended

    def ended_before(self, connection: Connection, updates: Iterable[JobUpdate]) -> tuple[EndedBatch, ...]:
        """The batches that ended with these updates, in a transaction whose acknowledgement was lost."""
        last = _last_updates(updates)
        if not last:
            return ()
        rows = [(name, number, _ended_at(one)) for name, (number, one) in sorted(last.items())]
        found = connection.execute(self._find_ended, {PARAMETER: encode(rows)}).all()
        return self._batches(connection, found, last)

    def completed(self, connection: Connection, name: str, account: str, now: float) -> tuple[EndedBatch, ...]:
        """Store that no more jobs are expected, once; a batch without open jobs ends now.

        Args:
            connection: of the transaction.
            name: the batch.
            account: whose batch it is, if it has no jobs.
            now: epoch seconds.
        """
        row = connection.execute(_COMPLETE, {"batch_name": name, "now": now}).first()
        if row is None or row.ended_at is None:
            return ()
        last = connection.execute(_LAST_JOB, {"batch_name": name}).first()
        number, of, state = (0, account, State.SUCCEEDED) if last is None else (last[0], last[1], State(last[2]))
        ended = (EndedBatch(batch_of(row, counts_of(connection, [name])), now, number, of, state),)
        self._outbox.write_batches(connection, ended)
        return ended

    def delete_old(self, connection: Connection, before: float) -> None:
        """Delete the batches that ended before that epoch second, and whose jobs are all deleted."""
        connection.execute(_DELETE_OLD, {"before": before})

    def _batches(
        self, connection: Connection, rows: Sequence[Any], last: dict[str, tuple[int, JobUpdate]]
    ) -> tuple[EndedBatch, ...]:
        counts = counts_of(connection, [row.name for row in rows])
        ordered = sorted(rows, key=_name)
        named = {name: _named(one.job) for name, (_, one) in last.items()}
        return tuple(EndedBatch(batch_of(row, counts), row.ended_at, *named[row.name]) for row in ordered)


def batch_of(row: Sequence[Any], counts: Mapping[str, StateCounts]) -> Batch:
    """The batch of a row of ``BATCH_COLUMNS``."""
    values = {column.name: value for column, value in zip(BATCH_COLUMNS, row, strict=True)}
    return Batch(**values, counts=counts.get(values["name"], {}))


def _name(row: Any) -> str:
    name: str = row.name
    return name


def _named(job: Job) -> tuple[int, str, State]:
    return job.id, job.account, job.state


def may_end_batch(one: JobUpdate) -> bool:
    """Whether an update ends a job of a batch."""
    return one.job.context.batch is not None and one.job.state in TERMINAL


def _last_updates(updates: Iterable[JobUpdate]) -> dict[str, tuple[int, JobUpdate]]:
    """By batch, how many jobs have ended, and the update that did so last."""
    found: dict[str, tuple[int, JobUpdate]] = {}
    for one in updates:
        name = one.job.context.batch
        if name is None or not may_end_batch(one):
            continue
        number, last = found.get(name, (0, one))
        found[name] = number + 1, max(last, one, key=_ended_at)
    return found


def _ended_at(one: JobUpdate) -> float:
    return one.job.finished_at or 0.0


def counts_of(connection: Connection, names: Sequence[str]) -> dict[str, StateCounts]:
    """How many stored jobs of these batches are in each state, by account: from the index alone."""
    found: dict[str, dict[tuple[str, State], int]] = {}
    if names:
        rows = connection.execute(_COUNTS.where(jobs.c.batch.in_(names)))
        for name, account, state, number in rows:
            found.setdefault(name, {})[account, State(state)] = number
    return dict(found)


_COUNTS: Final = select(jobs.c.batch, jobs.c.account, jobs.c.state, func.count()).group_by(
    jobs.c.batch, jobs.c.account, jobs.c.state
)
_HAS_JOBS: Final = select(jobs.c.id).where(jobs.c.batch == batches.c.name).exists()
_DELETE_OLD: Final = delete(batches).where(batches.c.ended_at < bindparam("before", type_=Double()), not_(_HAS_JOBS))
_COMPLETE: Final = (
    update(batches)
    .where(batches.c.name == bindparam("batch_name", type_=Text()), batches.c.complete == false())
    .values(complete=true(), ended_at=case((batches.c.open <= 0, bindparam("now", type_=Double())), else_=null()))
    .returning(*BATCH_COLUMNS)
)
_LAST_JOB: Final = (
    select(jobs.c.id, jobs.c.account, jobs.c.state)
    .where(jobs.c.batch == bindparam("batch_name", type_=Text()))
    .order_by(jobs.c.id.desc())
    .limit(1)
)
_LOCK: Final = select(batches.c.name).order_by(batches.c.name).with_for_update()


@cache
def _joining(dialect: str) -> Executable:
    rows = rows_of(dialect, [("name", Text()), ("created_at", Double()), ("created_by", Text()), ("number", Integer())])
    given = select(rows.c.name, rows.c.created_at, rows.c.created_by, rows.c.number, rows.c.number)
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    # SQLite would read ON CONFLICT as part of the join: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    added = insert(batches).from_select(
        ["name", "created_at", "created_by", "jobs", "open"], given.where(literal_column("1 = 1")).order_by(rows.c.name)
    )
    return added.on_conflict_do_update(
        index_elements=[batches.c.name],
        set_={
            "jobs": batches.c.jobs + added.excluded.jobs,
            "open": batches.c.open + added.excluded.open,
            "ended_at": null(),
        },
    )


@cache
def _ending(dialect: str) -> Executable:
    rows = rows_of(dialect, [("name", Text()), ("number", BigInteger()), ("at", Double())])
    ends = and_(batches.c.complete == true(), batches.c.open <= rows.c.number)
    return (
        update(batches)
        .where(batches.c.name == rows.c.name)
        .values(open=batches.c.open - rows.c.number, ended_at=case((ends, rows.c.at), else_=null()))
        .returning(*BATCH_COLUMNS)
    )


@cache
def _find_ended(dialect: str) -> Executable:
    rows = rows_of(dialect, [("name", Text()), ("number", BigInteger()), ("at", Double())])
    return select(*BATCH_COLUMNS).join(rows, and_(batches.c.name == rows.c.name, batches.c.ended_at == rows.c.at))
