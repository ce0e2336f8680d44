"""Notifications in the database, as people see them: which wait, were delivered or died, and which are sent again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import Executable, func, null, select, update

from app.domain.job import State
from app.domain.notification import Status
from app.domain.scope import EVERY_ACCOUNT, Scope
from app.store.engine import Database
from app.store.tables import DatabaseNow, notifications

__all__ = ["NOTIFICATION_COLUMNS", "Backlog", "Notification", "NotificationStore", "Status", "notification_of"]


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to an endpoint: a job has reached ``state`` at ``at`` (times are epoch seconds).

    ``message_id`` names the event for the receiver. ``due_at`` is the time of the next attempt, ``None`` if there is
    none; ``ended_at`` is when it was delivered or given up. ``attempts`` counts attempts that were begun.
    """

    id: int
    endpoint: str
    message_id: str
    job_id: int
    account: str
    state: State
    at: float
    status: Status
    due_at: float | None
    attempts: int
    attempted_at: float | None
    last_error: str | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What an endpoint has not received: how many wait, when the next one is due (epoch seconds), how many died."""

    waiting: int = 0
    due_at: float | None = None
    dead: int = 0


class NotificationStore:
    """The notifications table. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where it is.
        scope: notifications of other accounts are neither found nor changed.
    """

    def __init__(self, database: Database, scope: Scope = EVERY_ACCOUNT) -> None:
        self.database = database
        self._within = () if scope.accounts is None else (notifications.c.account.in_(sorted(scope.accounts)),)

    def limited_to(self, scope: Scope) -> "NotificationStore":
        """The same, for these accounts."""
        return NotificationStore(self.database, scope)

    async def find(
        self,
        *,
        status: Status | None = None,
        endpoint: str | None = None,
        job_id: int | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[Notification]:
        """Notifications that match all given conditions, newest first; ``before_id`` continues after that id."""
        statement = select(*NOTIFICATION_COLUMNS).where(*self._within).order_by(notifications.c.id.desc()).limit(limit)
        if status is not None:
            statement = statement.where(notifications.c.status == status.value)
        if endpoint is not None:
            statement = statement.where(notifications.c.endpoint == endpoint)
        if job_id is not None:
            statement = statement.where(notifications.c.job_id == job_id)
        if before_id is not None:
            statement = statement.where(notifications.c.id < before_id)
        return [notification_of(row) for row in await self._rows(statement)]

    async def backlogs(self) -> dict[str, Backlog]:
        """What has not been received, by endpoint; an endpoint that has received everything is left out."""
        waiting = {name: (number, due_at) for name, number, due_at in await self._rows(_WAITING.where(*self._within))}
        dead: dict[str, int] = {name: number for name, number in await self._rows(_DEAD.where(*self._within))}  # noqa: C416  # rows, no pairs
        names = sorted({*waiting, *dead})
        return {name: Backlog(*waiting.get(name, (0, None)), dead.get(name, 0)) for name in names}

    async def retry(self, numbers: Collection[int]) -> list[int]:
        """Deliver these (again) from now on, whatever their status, with all attempts.

        Returns:
            The numbers that exist.
        """
        async with self.database.writing() as connection:
            statement = _RETRY.where(notifications.c.id.in_(sorted(numbers)), *self._within).returning(
                notifications.c.id
            )
            return sorted((await connection.execute(statement)).scalars())

    async def retry_dead(self, endpoint: str | None = None) -> int:
        """Deliver all that died again, of one endpoint or of all.

        Returns:
            Their number.
        """
        statement = _RETRY.where(notifications.c.status == Status.DEAD.value, *self._within)
        if endpoint is not None:
            statement = statement.where(notifications.c.endpoint == endpoint)
        async with self.database.writing() as connection:
            return (await connection.execute(statement)).rowcount

    async def _rows(self, statement: Executable) -> Sequence[Sequence[Any]]:
        async with self.database.reading() as connection:
            return (await connection.execute(statement)).all()


_FIELDS: Final = tuple(field.name for field in fields(Notification))
NOTIFICATION_COLUMNS: Final = tuple(notifications.c[name] for name in _FIELDS)


def notification_of(row: Sequence[Any]) -> Notification:
    """The notification of a row of ``NOTIFICATION_COLUMNS``."""
    values = dict(zip(_FIELDS, row, strict=True))
    return Notification(**{**values, "state": State(values["state"]), "status": Status(values["status"])})


_WAITING: Final = (
    select(notifications.c.endpoint, func.count(), func.min(notifications.c.due_at))
    .where(notifications.c.due_at.is_not(None))
    .group_by(notifications.c.endpoint)
)
_DEAD: Final = (
    select(notifications.c.endpoint, func.count())
    .where(notifications.c.status == Status.DEAD.value)
    .group_by(notifications.c.endpoint)
)
_RETRY: Final = update(notifications).values(
    status=Status.WAITING.value, due_at=DatabaseNow(), attempts=0, ended_at=null()
)
