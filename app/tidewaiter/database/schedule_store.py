"""Schedules in the database: the last served tick of each, and the job that it made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Double, Executable, Text, bindparam, case, select
from sqlalchemy.dialects import postgresql, sqlite

from tidewaiter.database.engine import Database
from tidewaiter.database.tables import schedules


@dataclass(frozen=True, slots=True)
class ScheduleProgress:
    """The progress of a schedule: its last tick in epoch seconds, and its last job, if any."""

    at: float
    job_id: int | None


class ScheduleStore:
    """The schedules table. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._save = _upsert(database.dialect)

    async def progress(self) -> Mapping[str, ScheduleProgress]:
        """The progress of every schedule, by name."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(_PROGRESS)).all()
        return {name: ScheduleProgress(at, job_id) for name, at, job_id in rows}

    async def save_tick(self, name: str, at: float, job_id: int | None) -> None:
        """Store the last tick of a schedule; an earlier tick than the stored one changes nothing.

        Args:
            name: the schedule.
            at: epoch seconds.
            job_id: the job of the tick; ``None`` keeps the previous one.
        """
        async with self._database.writing() as connection:
            await connection.execute(self._save, {"schedule": name, "tick_at": at, "job": job_id})


_PROGRESS: Final = select(schedules.c.name, schedules.c.ticked_at, schedules.c.job_id)
_NAME: Final = bindparam("schedule", type_=Text())


def _upsert(dialect: str) -> Executable:
    insert: Any = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(schedules).values(
        name=_NAME, ticked_at=bindparam("tick_at", type_=Double()), job_id=bindparam("job", type_=BigInteger())
    )
    new = insert.excluded
    return insert.on_conflict_do_update(  # type: ignore[no-any-return]  # both dialects' inserts are executables
        index_elements=["name"],
        set_={
            "ticked_at": new.ticked_at,
            "job_id": case((new.job_id.is_not(None), new.job_id), else_=schedules.c.job_id),
        },
        where=schedules.c.ticked_at <= new.ticked_at,
    )
