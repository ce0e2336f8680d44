"""Schedules in the database: the last tick of each that was served, and the job that it asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Double, Executable, Text, bindparam, case, select
from sqlalchemy.dialects import postgresql, sqlite

from app.store.engine import Database
from app.store.tables import schedules


@dataclass(frozen=True, slots=True)
class Ticked:
    """How far a schedule is: its last tick in epoch seconds, and the last job, where there was one."""

    at: float
    job_id: int | None


class ScheduleStore:
    """The schedules table. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._note = _upsert(database.dialect)

    async def ticked(self) -> Mapping[str, Ticked]:
        """How far every schedule is, by name."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(schedules))).all()
        return {name: Ticked(at, job_id) for name, at, job_id in rows}

    async def note(self, name: str, at: float, job_id: int | None) -> None:
        """Remember that a schedule is as far as that tick; a tick before the one that is known changes nothing.

        Args:
            name: the schedule.
            at: epoch seconds.
            job_id: the job that the tick asked for; ``None`` keeps the one before.
        """
        async with self._database.writing() as connection:
            await connection.execute(self._note, {"schedule": name, "tick_at": at, "job": job_id})


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
