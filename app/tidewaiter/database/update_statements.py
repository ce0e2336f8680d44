"""The statements of the group commit. They are built once for each dialect: that takes longer than to run them."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    CTE,
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
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.types import TypeEngine

from tidewaiter.database.row_codec import rows_of
from tidewaiter.database.tables import artifacts, history, job_terms, jobs, lanes
from tidewaiter.domain.job import State

# In an index: written only if they change, because SQLite rewrites the index even for the same value. The cause of a
# failure changes only together with them.
INDEXED: Final = ("state", "handle", "shared", "finished_at", "callback_hash", "cause")
# The others are written as the update has them; links are treated separately.
PLAIN: Final = (
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
SHARED: Final = ("due_at", "cancel_requested", "hinted", "deadline_at")
# What a poll changes that was "not yet": a third of the columns, and only one of them is in an index.
WAITING: Final = (
    "due_at",
    "remote_status",
    "progress",
    "reason",
    "polls",
    "failures",
    "crashes",
    "moved_at",
    "polled_at",
)
_Columns = Sequence[tuple[str, TypeEngine[Any]]]
_FENCE: Final[_Columns] = (("id", BigInteger()), ("expected", Integer()), ("stamp", BigInteger()))
UPDATE: Final[_Columns] = (
    *_FENCE,
    ("epoch", BigInteger()),
    ("track", SmallInteger()),
    ("links", Text()),
    *((name, jobs.c[name].type) for name in (*INDEXED, *PLAIN, *SHARED)),
    ("saw_wake_up", Boolean()),
)
WAITING_UPDATE: Final[_Columns] = (
    *_FENCE,
    ("epoch", BigInteger()),
    *((name, jobs.c[name].type) for name in (*WAITING, "cancel_requested", "hinted")),
    ("saw_wake_up", Boolean()),
)


@cache
def waiting_statement(dialect: str) -> Executable:
    """See :func:`waiting_update`."""
    return waiting_update(rows_of(dialect, WAITING_UPDATE))


@cache
def updates_of_jobs(dialect: str) -> tuple[Executable, Executable, Executable]:
    """The updates of jobs that stay in their state, of jobs that enter another one, and of a person's decision."""
    changed = rows_of(dialect, UPDATE)
    return staying_update(changed), moving_update(changed), _decision(changed)


@cache
def _held_lanes() -> CTE:
    held = select(lanes.c.id, lanes.c.epoch).where(lanes.c.owner == bindparam("owner", type_=Text()))
    return held.order_by(lanes.c.id).with_for_update(read=True).cte("held")


def _fenced_update(changed: Subquery, names: Sequence[str] = (*PLAIN, "links")) -> SqlUpdate:
    """What a lane's owner writes to every job, and the fence.

    The owner's lanes are locked against a takeover until the commit, always in the same order, so that two such
    statements never wait for each other; SQLite has one writer and ignores the lock.

    A cancel request may have come while the step was under way, so that the step's job does not show it: then the job
    stays due at once. If the step knew of the request, the job keeps its new due time; otherwise a job that cannot be
    cancelled yet would be served without pause. A callback that came during the step is treated in the same way, and
    keeps its flag.
    """
    held_lanes = _held_lanes()
    requested_meanwhile = and_(
        jobs.c.cancel_requested, not_(changed.c.cancel_requested), jobs.c.due_at < changed.c.due_at
    )
    hinted_meanwhile = and_(jobs.c.hinted, not_(changed.c.saw_wake_up))
    if "finished_at" in changed.c:
        hinted_meanwhile = and_(hinted_meanwhile, changed.c.finished_at.is_(None))
    due_earlier = or_(requested_meanwhile, and_(hinted_meanwhile, jobs.c.due_at < changed.c.due_at))
    return (
        _versioned_update(changed, names)
        .where(held_lanes.c.id == jobs.c.lane, held_lanes.c.epoch == changed.c.epoch)
        .values(
            due_at=case((due_earlier, jobs.c.due_at), else_=changed.c.due_at),
            hinted=case((hinted_meanwhile, true()), else_=changed.c.hinted),
        )
    )


def waiting_update(changed: Subquery) -> ReturningUpdate[Any]:
    """The update of jobs for which a poll was "not yet", and that change in nothing else."""
    names = [name for name in WAITING if name != "due_at"]
    return _fenced_update(changed, names).returning(jobs.c.id)


def staying_update(changed: Subquery) -> ReturningUpdate[Any]:
    """The update of jobs that stay in their state, as most do: half the work, because it changes only one index.

    A job for which anything else changes is left to :func:`moving_update`.
    """
    same = (
        jobs.c.state == changed.c.state,
        jobs.c.handle.is_not_distinct_from(changed.c.handle),
        jobs.c.shared == changed.c.shared,
        changed.c.finished_at.is_(None),
        jobs.c.callback_hash.is_not_distinct_from(changed.c.callback_hash),
    )
    return _fenced_update(changed).where(*same).returning(jobs.c.id)


def moving_update(changed: Subquery) -> ReturningUpdate[Any]:
    """The update of jobs that reach another state. A job that has ended has no cancel request any more."""
    still_requested = case((changed.c.finished_at.is_not(None), false()), else_=jobs.c.cancel_requested)
    return _fenced_update(changed).values(**_indexed(changed), cancel_requested=still_requested).returning(jobs.c.id)


def _decision(changed: Subquery) -> Executable:
    """The update by a person: fenced by the version, because no step works on a parked job."""
    return (
        _versioned_update(changed, (*PLAIN, "links"))
        .where(jobs.c.state == State.PARKED.value)
        .values(**_indexed(changed), **{name: changed.c[name] for name in SHARED})
        .returning(jobs.c.id)
    )


def _versioned_update(changed: Subquery, names: Sequence[str]) -> SqlUpdate:
    values = {name: changed.c[name] for name in (*names, "stamp")}
    return (
        update(jobs)
        .where(jobs.c.id == changed.c.id, jobs.c.version == changed.c.expected)
        .values(**values, version=changed.c.expected + 1)
    )


def _indexed(changed: Subquery) -> dict[str, ColumnElement[Any]]:
    return {name: changed.c[name] for name in (*INDEXED, "track")}


@cache
def find_by_stamp(dialect: str) -> Executable:
    """The jobs whose update was written before; the history still has the stamp when the job has changed again."""
    updates = rows_of(dialect, _FENCE)
    next_version = updates.c.expected + 1
    on_job = and_(jobs.c.id == updates.c.id, jobs.c.version == next_version, jobs.c.stamp == updates.c.stamp)
    on_entry = and_(
        history.c.job_id == updates.c.id, history.c.version == next_version, history.c.stamp == updates.c.stamp
    )
    return union(select(updates.c.id).join(jobs, on_job), select(updates.c.id).join(history, on_entry))


@cache
def history_insert(dialect: str) -> Executable:
    """Adds history rows."""
    names = [column.name for column in history.c]
    rows = rows_of(dialect, [(name, history.c[name].type) for name in names])
    return history.insert().from_select(names, select(*rows.c))


@cache
def term_insert(dialect: str) -> Executable:
    """Adds search terms; those that are there already stay."""
    names = [column.name for column in job_terms.c]
    rows = rows_of(dialect, [(name, job_terms.c[name].type) for name in names])
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    # SQLite would read ON CONFLICT as part of the join: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    added = insert(job_terms).from_select(names, select(*rows.c).where(literal_column("1 = 1")))
    return added.on_conflict_do_nothing()


@cache
def artifact_delete(dialect: str) -> Executable:
    """Deletes the files of jobs beyond their last number."""
    rows = rows_of(dialect, [("id", BigInteger()), ("last", Integer())])
    beyond = select(rows.c.id).where(rows.c.id == artifacts.c.job_id, artifacts.c.number > rows.c.last)
    # Without the list of the jobs, SQLite would read the whole table for each group.
    of_jobs = artifacts.c.job_id.in_(select(rows.c.id))
    return delete(artifacts).where(of_jobs, beyond.correlate(artifacts).exists())


@cache
def artifact_upsert(dialect: str) -> Executable:
    """A file that is landed again, after a step that died, replaces its first row."""
    names = [column.name for column in artifacts.c]
    rows = rows_of(dialect, [(name, artifacts.c[name].type) for name in names])
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    # SQLite would read ON CONFLICT as part of the join: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    added = insert(artifacts).from_select(names, select(*rows.c).where(literal_column("1 = 1")))
    key = ["job_id", "number"]
    changed = {name: added.excluded[name] for name in names if name not in key}
    return added.on_conflict_do_update(index_elements=key, set_=changed)
