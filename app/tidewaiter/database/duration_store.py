"""How long remote jobs took, in the database: a sketch for each operation of a lane, and for each kind of its jobs.

A sketch is changed in the transaction that commits the job, so each job counts exactly once, and only a lane's owner
changes those of the lane.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from sqlalchemy import BigInteger, Connection, Executable, Text, and_, delete, literal_column, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from tidewaiter.database.engine import Database
from tidewaiter.database.row_codec import PARAMETER, encode, rows_of
from tidewaiter.database.tables import durations
from tidewaiter.domain.duration_sketch import NO_DURATIONS, DurationSketch, ObservedDuration
from tidewaiter.domain.job import Job
from tidewaiter.domain.state_machine import JobUpdate

_KEPT_S: Final = 90 * 86_400.0

SketchKey = tuple[str, str]
"""Operation and kind of jobs; the empty kind is all jobs of the operation."""


def kinds_with(observed: ObservedDuration) -> tuple[str, ...]:
    """The kinds of jobs for which an observation counts: all jobs, and its own kind."""
    return ("", observed.kind) if observed.kind else ("",)


class DurationWriter:
    """Adds durations to the sketches, in a transaction of the caller.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
    """

    def __init__(self, dialect: str) -> None:
        self._find, self._upsert = _statements(dialect)

    def write(self, connection: Connection, updates: Iterable[JobUpdate]) -> None:
        """Count the remote jobs that these updates found ready, in two statements; without such jobs in none."""
        seen = [
            (update.job.lane, update.job.operation, kind, update.duration, _at(update))
            for update in updates
            if update.duration is not None
            for kind in kinds_with(update.duration)
        ]
        if not seen:
            return
        keys = sorted({(lane, operation, kind) for lane, operation, kind, _, _ in seen})
        rows = connection.execute(self._find, {PARAMETER: encode(keys)})
        sketches = {(lane, operation, kind): DurationSketch.of_text(text) for lane, operation, kind, text in rows}
        updated_at: dict[tuple[int, str, str], float] = {}
        for lane, operation, kind, duration, at in seen:
            key = (lane, operation, kind)
            sketches[key] = sketches.get(key, NO_DURATIONS).with_one(duration.after_s, duration.until_s)
            updated_at[key] = max(at, updated_at.get(key, 0.0))
        changed = [(*key, sketches[key].to_text(), updated_at[key]) for key in keys]
        connection.execute(self._upsert, {PARAMETER: encode(changed)})


class DurationStore:
    """Reads the sketches. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_lane(self, lane: int) -> Mapping[SketchKey, DurationSketch]:
        """Every sketch of a lane."""
        query = select(durations.c.operation, durations.c.kind, durations.c.sketch).where(durations.c.lane == lane)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return {(operation, kind): DurationSketch.of_text(text) for operation, kind, text in rows}

    async def of_jobs(self, jobs: Iterable[Job]) -> Mapping[tuple[int, str, str], DurationSketch]:
        """The sketches of the lanes and operations of these jobs, of every kind."""
        pairs = sorted({(job.lane, job.operation) for job in jobs})
        if not pairs:
            return {}
        wanted = or_(*(and_(durations.c.lane == lane, durations.c.operation == name) for lane, name in pairs))
        query = select(durations.c.lane, durations.c.operation, durations.c.kind, durations.c.sketch).where(wanted)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return {(lane, operation, kind): DurationSketch.of_text(text) for lane, operation, kind, text in rows}

    async def delete_old(self, now: float) -> None:
        """Delete what no job has changed for three months: its account or operation is gone, or it says nothing."""
        async with self._database.writing() as connection:
            await connection.execute(delete(durations).where(durations.c.updated_at < now - _KEPT_S))


def _at(update: JobUpdate) -> float:
    """When the remote job was found ready, in epoch seconds."""
    return (update.job.submitted_at or 0.0) + (update.duration.until_s if update.duration else 0.0)


@cache
def _statements(dialect: str) -> tuple[Executable, Executable]:
    """Finds sketches by their keys, and writes them."""
    wanted = rows_of(dialect, [("lane", BigInteger()), ("operation", Text()), ("kind", Text())])
    same = and_(*(durations.c[name] == wanted.c[name] for name in ("lane", "operation", "kind")))
    find = select(durations.c.lane, durations.c.operation, durations.c.kind, durations.c.sketch).join(wanted, same)
    names = [column.name for column in durations.c]
    rows = rows_of(dialect, [(name, durations.c[name].type) for name in names])
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    # SQLite would read ON CONFLICT as part of the join: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    added = insert(durations).from_select(names, select(*rows.c).where(literal_column("1 = 1")))
    changed = {name: added.excluded[name] for name in ("sketch", "updated_at")}
    return find, added.on_conflict_do_update(index_elements=["lane", "operation", "kind"], set_=changed)
