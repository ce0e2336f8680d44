"""Notifications in the database: written with the change of state that they report, listed, and sent again.

The outbox writes a notification in the transaction that changes the job, so that neither exists without the other. It
makes the text at that moment, because a parked job continues and a finished one is deleted later.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Executable, func, literal, null, select, union_all, update

from tidewaiter.database.engine import Database
from tidewaiter.database.row_codec import PARAMETER, encode, rows_of, storable
from tidewaiter.database.sql_functions import DatabaseNow
from tidewaiter.database.tables import artifacts, jobs, notifications
from tidewaiter.domain.account_scope import EVERY_ACCOUNT, Scope
from tidewaiter.domain.batch import EndedBatch
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.notification import (
    CLAIM_S,
    MOST_LISTED,
    DeliveryStatus,
    Subscription,
    batch_body_of,
    body_of,
    message_id,
)
from tidewaiter.domain.state_machine import JobUpdate

__all__ = [
    "NOTIFICATION_COLUMNS",
    "DeliveryStatus",
    "EndpointBacklog",
    "Notification",
    "NotificationStore",
    "notification_of",
]

# Making and encoding bodies blocks the event loop: a group has hundreds of jobs, each with files.
_JOBS_AT_ONCE: Final = 64
_GIVEN: Final = ("endpoint", "message_id", "job_id", "account", "state", "at", "body", "batch")


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to an endpoint: a job has reached ``state`` at ``at`` (times are epoch seconds).

    With ``batch`` it says that this batch has ended, and the job is the last one that did.

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
    status: DeliveryStatus
    due_at: float | None
    attempts: int
    attempted_at: float | None
    last_error: str | None
    ended_at: float | None
    batch: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointBacklog:
    """What an endpoint has not received: how many wait, when the next one is due (epoch seconds), how many are dead.

    Of those that wait, the one that was tried last has failed ``attempts`` times, the last time with ``last_error``.
    """

    waiting: int = 0
    due_at: float | None = None
    dead: int = 0
    attempts: int = 0
    last_error: str | None = None


_RETRIED_AT_ONCE: Final = 2000
_FIELDS: Final = tuple(field.name for field in fields(Notification))
NOTIFICATION_COLUMNS: Final = tuple(notifications.c[name] for name in _FIELDS)


def notification_of(row: Sequence[Any]) -> Notification:
    """The notification of a row of ``NOTIFICATION_COLUMNS``."""
    values = dict(zip(_FIELDS, row, strict=True))
    return Notification(**{**values, "state": State(values["state"]), "status": DeliveryStatus(values["status"])})


class Outbox:
    """The statements that write notifications; they run in a transaction of the caller.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        subscriptions: which endpoint is notified about what.
    """

    def __init__(self, dialect: str, subscriptions: Sequence[Subscription]) -> None:
        self.subscriptions = tuple(subscriptions)
        self._insert = _notification_insert(dialect)
        self._files = _files_of_jobs(dialect)

    def write(self, connection: Connection, updates: Sequence[JobUpdate]) -> None:
        """Write the notifications about these updates, which were accepted in this transaction."""
        if not self.subscriptions:
            return
        reported = [(update, names) for update in updates if (names := self._endpoints_for(update))]
        for start in range(0, len(reported), _JOBS_AT_ONCE):
            some = reported[start : start + _JOBS_AT_ONCE]
            files = self._files_by_job(connection, [update.job.id for update, _ in some])
            rows = [row for update, names in some for row in _rows(update, names, *files.get(update.job.id, ((), 0)))]
            connection.execute(self._insert, {PARAMETER: encode(rows)})

    def write_batches(self, connection: Connection, ended: Sequence[EndedBatch]) -> None:
        """Write the notifications about batches that have ended in this transaction."""
        rows = [
            (
                to.endpoint,
                one.message_id,
                one.job_id,
                one.account,
                one.state.value,
                one.ended_at,
                batch_body_of(one, to.accounts),
                one.batch.name,
            )
            for one in ended
            for to in self.subscriptions
            if to.includes_batch(one)
        ]
        if rows:
            connection.execute(self._insert, {PARAMETER: encode(rows)})

    def reports(self, update: JobUpdate) -> bool:
        """Whether an endpoint is notified about an update."""
        return bool(self._endpoints_for(update))

    def _endpoints_for(self, update: JobUpdate) -> list[str]:
        """The endpoints that are notified about an update: it must have brought the job into its state."""
        if update.state_from is update.job.state:
            return []
        return [one.endpoint for one in self.subscriptions if one.includes(update.job)]

    def _files_by_job(self, connection: Connection, numbers: Sequence[int]) -> dict[int, tuple[list[Artifact], int]]:
        """The first files of each job, and their total: an update has only the files of its own step."""
        rows = connection.execute(self._files, {PARAMETER: encode([(number,) for number in numbers])}).all()
        found: dict[int, tuple[list[Artifact], int]] = {}
        for number, total, _, *columns in rows:
            found.setdefault(number, ([], total))[0].append(Artifact(*columns))
        return found


def _rows(
    update: JobUpdate, endpoints: Sequence[str], files: Sequence[Artifact], total: int
) -> list[tuple[object, ...]]:
    """Rows of ``_GIVEN``, one for each endpoint."""
    job = _as_stored(update.job)
    at = job.created_at if update.entry is None else update.entry.at
    body = body_of(job, at, files, total)
    return [(name, message_id(job), job.id, job.account, job.state.value, at, body, None) for name in endpoints]


def _as_stored(job: Job) -> Job:
    """The job with its texts as the database stores them; inside the body's JSON they would not be replaced."""
    texts = {name: getattr(job, name) for name in ("reason", "unique_key")}
    return job.but(**{name: text and storable(text) for name, text in texts.items()})


@cache
def _notification_insert(dialect: str) -> Executable:
    rows = rows_of(dialect, [(name, notifications.c[name].type) for name in _GIVEN])
    # Due by the database's clock, like all times of notifications that several daemons use.
    new = select(*rows.c, literal(DeliveryStatus.WAITING.value, notifications.c.status.type), DatabaseNow())
    return notifications.insert().from_select([*_GIVEN, "status", "due_at"], new)


@cache
def _files_of_jobs(dialect: str) -> Executable:
    job_ids = rows_of(dialect, [("job_id", BigInteger())])
    columns: list[Any] = [artifacts.c[field.name] for field in fields(Artifact)]
    of_job = artifacts.c.job_id
    ranked = (
        select(
            artifacts.c.job_id,
            func.count().over(partition_by=of_job).label("total"),
            func.row_number().over(partition_by=of_job, order_by=artifacts.c.number).label("place"),
            *columns,
        )
        .join(job_ids, job_ids.c.job_id == artifacts.c.job_id)
        .subquery("ranked")
    )
    return select(ranked).where(ranked.c.place <= MOST_LISTED).order_by(ranked.c.job_id, ranked.c.place)


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
        status: DeliveryStatus | None = None,
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

    async def of_batch(self, batch: str, ended_at: float) -> list[Notification]:
        """The notifications about the end of a batch, at that epoch second, by endpoint.

        No index has their batches, so they are found by their job: the one that ended then, or the last one of the
        batch, or 0 if the batch has none.
        """
        its = jobs.c.batch == batch
        ended = select(jobs.c.id).where(jobs.c.finished_at == ended_at, its)
        last = select(func.max(jobs.c.id)).where(its)
        about = notifications.c.job_id.in_(union_all(ended, last, select(literal(0))))
        statement = select(*NOTIFICATION_COLUMNS).where(about, notifications.c.batch == batch, *self._within)
        return [notification_of(row) for row in await self._rows(statement.order_by(notifications.c.endpoint))]

    async def backlogs(self) -> dict[str, EndpointBacklog]:
        """What has not been received, by endpoint; an endpoint that has received everything is left out."""
        waiting = {name: (number, due_at) for name, number, due_at in await self._rows(_WAITING.where(*self._within))}
        dead: dict[str, int] = {name: number for name, number in await self._rows(_DEAD.where(*self._within))}  # noqa: C416  # rows, no pairs
        failing = {name: (attempts, error) for name, attempts, error in await self._rows(_FAILING.where(*self._within))}
        return {
            name: EndpointBacklog(*waiting.get(name, (0, None)), dead.get(name, 0), *failing.get(name, (0, None)))
            for name in sorted({*waiting, *dead})
        }

    async def delivered(self) -> dict[str, int]:
        """How many notifications each endpoint has received in the last 24 hours, by its name."""
        return {name: number for name, number in await self._rows(_DELIVERED.where(*self._within))}  # noqa: C416  # rows, no pairs

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

    async def retry_all(self, statuses: Collection[DeliveryStatus], endpoint: str | None = None) -> int:
        """Deliver all dead or waiting ones from now on, with all attempts, of one endpoint or of all.

        Those that are due within a minute anyway are left alone: a daemon may be sending them.

        Returns:
            Their number.
        """
        return sum([await self._retry_all(status, endpoint) for status in sorted(statuses)])

    async def _retry_all(self, status: DeliveryStatus, endpoint: str | None) -> int:
        """In a transaction for each group: one for a million rows would keep other writers waiting, and time out."""
        chosen = select(notifications.c.id).where(notifications.c.status == status.value, *self._within)
        if status is DeliveryStatus.WAITING:
            chosen = chosen.where(notifications.c.due_at > select(DatabaseNow() + CLAIM_S).scalar_subquery())
        if endpoint is not None:
            chosen = chosen.where(notifications.c.endpoint == endpoint)
        retried, after = 0, 0
        while True:
            group = chosen.where(notifications.c.id > after).order_by(notifications.c.id).limit(_RETRIED_AT_ONCE)
            statement = _RETRY.where(notifications.c.id.in_(group)).returning(notifications.c.id)
            async with self.database.writing() as connection:
                numbers = (await connection.execute(statement)).scalars().all()
            if not numbers:
                return retried
            retried, after = retried + len(numbers), max(numbers)

    async def _rows(self, statement: Executable) -> Sequence[Sequence[Any]]:
        return await self.database.read(lambda connection: connection.execute(statement).all())


_WAITING: Final = (
    select(notifications.c.endpoint, func.count(), func.min(notifications.c.due_at))
    .where(notifications.c.due_at.is_not(None))
    .group_by(notifications.c.endpoint)
)
# The one that was tried last is the last row.
_FAILING: Final = (
    select(notifications.c.endpoint, notifications.c.attempts, notifications.c.last_error)
    .where(notifications.c.due_at.is_not(None), notifications.c.attempts > 0)
    .order_by(notifications.c.attempted_at)
)
_DEAD: Final = (
    select(notifications.c.endpoint, func.count())
    .where(notifications.c.status == DeliveryStatus.DEAD.value)
    .group_by(notifications.c.endpoint)
)
_DELIVERED: Final = (
    select(notifications.c.endpoint, func.count())
    .where(
        notifications.c.status == DeliveryStatus.DELIVERED.value,
        notifications.c.ended_at > select(DatabaseNow() - 86_400.0).scalar_subquery(),
    )
    .group_by(notifications.c.endpoint)
)
_RETRY: Final = update(notifications).values(
    status=DeliveryStatus.WAITING.value, due_at=DatabaseNow(), attempts=0, ended_at=null()
)
