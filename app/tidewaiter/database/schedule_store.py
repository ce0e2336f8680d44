"""Schedules in the database: the last served tick of each, the job that it made, and whether a person paused it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Double, Executable, Text, bindparam, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tidewaiter.database.engine import Database
from tidewaiter.database.tables import schedules


@dataclass(frozen=True, slots=True)
class SchedulePause:
    """Who paused a schedule, when (epoch seconds), and why."""

    at: float
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class ScheduleProgress:
    """The progress of a schedule: its last tick in epoch seconds, its last job, and its pause, if any."""

    at: float
    job_id: int | None
    pause: SchedulePause | None = None


class ScheduleStore:
    """The schedules table. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where it is.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._save = _upsert(database.dialect)
        self._pause = _pause(database.dialect)

    async def progress(self) -> Mapping[str, ScheduleProgress]:
        """The progress of every schedule, by name."""
        rows = await self.database.read(lambda connection: connection.execute(_PROGRESS).all())
        return {
            name: ScheduleProgress(
                at, job_id, None if paused_at is None else SchedulePause(paused_at, by or "", reason)
            )
            for name, at, job_id, paused_at, by, reason in rows
        }

    async def save_tick(self, name: str, at: float, job_id: int | None) -> None:
        """Store the last tick of a schedule; an earlier tick than the stored one changes nothing.

        Args:
            name: the schedule.
            at: epoch seconds.
            job_id: the job of the tick; ``None`` keeps the previous one.
        """
        async with self.database.writing() as connection:
            await connection.execute(self._save, {"schedule": name, "tick_at": at, "job": job_id})

    async def pause(self, name: str, now: float, by: str, reason: str | None) -> None:
        """Pause a schedule. A paused one keeps its pause, but takes a new reason.

        Args:
            name: the schedule.
            now: epoch seconds; a schedule that no daemon has seen yet begins now.
            by: who asks for it.
            reason: why; ``None`` keeps the reason of an existing pause.
        """
        pause = {"schedule": name, "now": now, "paused_by_name": by, "reason": reason}
        async with self.database.writing() as connection:
            await connection.execute(self._pause, pause)

    async def resume(self, name: str, now: float) -> None:
        """End the pause of a schedule, if there is one; ``now`` in epoch seconds."""
        async with self.database.writing() as connection:
            await connection.execute(_RESUME, {"schedule": name, "now": now})


_PROGRESS: Final = select(
    schedules.c.name,
    schedules.c.ticked_at,
    schedules.c.job_id,
    schedules.c.paused_at,
    schedules.c.paused_by,
    schedules.c.paused_reason,
)
_NAME: Final = bindparam("schedule", type_=Text())
_RESUME: Final = (
    update(schedules)
    .where(schedules.c.name == _NAME, schedules.c.paused_at.is_not(None))
    .values(paused_at=None, paused_by=None, paused_reason=None, resumed_at=bindparam("now", type_=Double()))
)


def _insert(dialect: str) -> Any:
    return (sqlite.insert if dialect == "sqlite" else postgresql.insert)(schedules)


def _pause(dialect: str) -> Executable:
    now: Any = bindparam("now", type_=Double())
    insert: Any = _insert(dialect).values(
        name=_NAME,
        ticked_at=now,
        paused_at=now,
        paused_by=bindparam("paused_by_name", type_=Text()),
        paused_reason=bindparam("reason", type_=Text()),
    )
    new, is_open = insert.excluded, schedules.c.paused_at.is_(None)
    return insert.on_conflict_do_update(  # type: ignore[no-any-return]  # both dialects' inserts are executables
        index_elements=["name"],
        set_={
            "paused_at": func.coalesce(schedules.c.paused_at, new.paused_at),
            "paused_by": case((is_open, new.paused_by), else_=schedules.c.paused_by),
            "paused_reason": func.coalesce(new.paused_reason, schedules.c.paused_reason),
        },
    )


def _upsert(dialect: str) -> Executable:
    insert: Any = _insert(dialect).values(
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
