"""The due jobs of many lanes, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    Executable,
    FromClause,
    Integer,
    Select,
    SmallInteger,
    bindparam,
    case,
    cast,
    exists,
    or_,
    select,
    true,
)

from tidewaiter.database.engine import Database
from tidewaiter.database.row_codec import JOB_COLUMNS, JOB_FIELDS, PARAMETER, encode, jobs_of, rows_of
from tidewaiter.database.tables import artifacts, jobs
from tidewaiter.domain.job import Job, State, Track


@dataclass(frozen=True, slots=True)
class DueQuestion:
    """Which due jobs of one track of a lane are asked for: up to ``limit``, due not before ``since``.

    Without ``submits``, jobs that wait for their submit are left out, unless they are about to end.
    """

    lane: int
    track: Track
    limit: int
    since: float = 0.0
    submits: bool = True


@dataclass(frozen=True, slots=True)
class DueAnswer:
    """The due jobs of one question, the longest due first, and when the next job of the track becomes due.

    ``without_files``: those that wait for a download and of which no file is recorded yet.
    """

    jobs: Sequence[Job]
    next_due_at: float | None
    without_files: frozenset[int] = frozenset()


class DueStore:
    """Reads due jobs. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statement = _due_statement(database.dialect)

    async def due(self, questions: Sequence[DueQuestion], now: float) -> list[DueAnswer]:
        """The answers to these questions at ``now``, in their order."""
        rows = [
            (place, one.lane, one.track.value, one.limit, one.since, one.submits) for place, one in enumerate(questions)
        ]
        parameters: dict[str, Any] = {PARAMETER: encode(rows), "now": now}
        if self._database.dialect == "sqlite":
            parameters["most"] = max((one.limit for one in questions), default=0)
        found = await self._database.read(lambda connection: connection.execute(self._statement, parameters).all())
        due = [row for row in found if row[_FIRST] is not None]
        by_place: dict[int, list[Job]] = {}
        for row, job in zip(due, await jobs_of([row[_FIRST:] for row in due]), strict=True):
            by_place.setdefault(row[0], []).append(job)
        next_due = {row[0]: row[1] for row in found}
        bare = frozenset(row[_FIRST] for row in due if row[_HAS_FILES] == 0)
        return [
            DueAnswer(by_place.get(place, [])[: one.limit], next_due.get(place), bare)
            for place, one in enumerate(questions)
        ]

    async def overdue(self, lanes: Sequence[int], now: float, most: int) -> list[Job]:
        """Jobs of these lanes whose next step would ask the provider, and whose deadline has passed; up to ``most``."""
        asked = {"lanes": lanes, "now": now, "most": most}
        found = await self._database.read(lambda connection: connection.execute(_OVERDUE, asked).all())
        return await jobs_of(found)


_HAS_FILES: Final = 2
_FIRST: Final = 3
_NOW: Final = bindparam("now", type_=jobs.c.due_at.type)

_OVERDUE: Final = (
    select(*JOB_COLUMNS)
    .where(
        jobs.c.lane.in_(bindparam("lanes", type_=BigInteger(), expanding=True)),
        jobs.c.track == Track.ASK.value,
        jobs.c.due_at.is_not(None),
        jobs.c.deadline_at <= _NOW,
        jobs.c.state != State.SUBMITTING.value,
    )
    .limit(bindparam("most", type_=Integer()))
)


@cache
def _due_statement(dialect: str) -> Executable:
    """Place and next due time of each question, with each of its due jobs, or once with NULL if it has none.

    Both are lookups in the index of due jobs for each question. SQLite takes no LIMIT from a column, so it reads the
    largest number for all of them. For a job that waits for a download it says, too, whether a file of it is recorded:
    a step of its own would ask for that otherwise.
    """
    asked = _questions(dialect)
    if dialect == "sqlite":
        due = jobs.alias("due")
        numbers = _chosen(due, asked, due.c.id).limit(bindparam("most", type_=Integer())).correlate(asked)
        source: Any = asked.outerjoin(jobs, jobs.c.id.in_(numbers))
        columns: Sequence[ColumnElement[Any]] = JOB_COLUMNS
    else:
        found = _chosen(jobs, asked, *JOB_COLUMNS).limit(asked.c.most).correlate(asked).lateral("found")
        source, columns = asked.outerjoin(found, true()), [found.c[one.name] for one in JOB_COLUMNS]
    number, due_at = columns[JOB_FIELDS.index("id")], columns[JOB_FIELDS.index("due_at")]
    recorded = case((asked.c.track == Track.FETCH.value, cast(exists().where(artifacts.c.job_id == number), Integer())))
    return (
        select(asked.c.place, asked.c.next_due_at, recorded, *columns)
        .select_from(source)
        .order_by(asked.c.place, due_at)
    )


def _chosen(due: FromClause, asked: CTE, *columns: ColumnElement[Any]) -> Select[Any]:
    """The due jobs of one question, without its limit."""
    return (
        select(*columns)
        .where(
            due.c.lane == asked.c.lane,
            due.c.track == asked.c.track,
            due.c.due_at <= _NOW,
            due.c.due_at >= asked.c.since,
            or_(
                asked.c.submits == true(),
                due.c.state != State.QUEUED.value,
                due.c.deadline_at <= _NOW,
                due.c.cancel_requested,
            ),
        )
        .order_by(due.c.due_at)
    )


def _questions(dialect: str) -> CTE:
    """The questions with the next due time of each; computed once for each, and not for each of its jobs."""
    given = rows_of(
        dialect,
        (
            ("place", Integer()),
            ("lane", BigInteger()),
            ("track", SmallInteger()),
            ("most", Integer()),
            ("since", Double()),
            ("submits", Boolean()),
        ),
    )
    coming = jobs.alias("coming")
    next_due_at = (
        select(coming.c.due_at)
        .where(coming.c.lane == given.c.lane, coming.c.track == given.c.track, coming.c.due_at > _NOW)
        .order_by(coming.c.due_at)
        .limit(1)
        .correlate(given)
        .scalar_subquery()
    )
    return select(*given.c, next_due_at.label("next_due_at")).cte("asked").prefix_with("MATERIALIZED")
