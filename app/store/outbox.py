"""The outbox: notifications are written in the transaction that changes the job, so that neither exists alone.

Only a job that reaches a subscribed state costs anything here. The text is made now and stored, because a parked job
continues and a finished one is deleted later.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import BigInteger, Executable, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.job import Job
from app.domain.machine import Update
from app.domain.manifest import Artifact
from app.domain.notification import MOST_LISTED, Status, Subscription, body_of, message_id
from app.store.batch import PARAMETER, encode, rows_of, storable
from app.store.tables import DatabaseNow, artifacts, notifications

# Making and encoding bodies blocks the event loop: a group has hundreds of jobs, each with files.
_JOBS_AT_ONCE: Final = 64
_GIVEN: Final = ("endpoint", "message_id", "job_id", "account", "state", "at", "body")


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

    async def write(self, connection: AsyncConnection, updates: Sequence[Update]) -> None:
        """Write the notifications about these updates, which were accepted in this transaction."""
        if not self.subscriptions:
            return
        heard = [(update, names) for update in updates if (names := self._wanted_by(update))]
        for start in range(0, len(heard), _JOBS_AT_ONCE):
            some = heard[start : start + _JOBS_AT_ONCE]
            files = await self._files_by_job(connection, [update.job.id for update, _ in some])
            rows = [row for update, names in some for row in _rows(update, names, *files.get(update.job.id, ((), 0)))]
            await connection.execute(self._insert, {PARAMETER: encode(rows)})

    def _wanted_by(self, update: Update) -> list[str]:
        """The endpoints that are notified about an update: it must have brought the job into its state."""
        if update.state_from is update.job.state:
            return []
        return [one.endpoint for one in self.subscriptions if one.wants(update.job)]

    async def _files_by_job(
        self, connection: AsyncConnection, numbers: Sequence[int]
    ) -> dict[int, tuple[list[Artifact], int]]:
        """The first files of each job, and their total: an update has only the files of its own step."""
        rows = (await connection.execute(self._files, {PARAMETER: encode([(number,) for number in numbers])})).all()
        found: dict[int, tuple[list[Artifact], int]] = {}
        for number, total, _, *columns in rows:
            found.setdefault(number, ([], total))[0].append(Artifact(*columns))
        return found


def _rows(update: Update, endpoints: Sequence[str], files: Sequence[Artifact], total: int) -> list[tuple[object, ...]]:
    """Rows of ``_GIVEN``, one for each endpoint."""
    job = _as_stored(update.job)
    at = job.created_at if update.entry is None else update.entry.at
    body = body_of(job, at, files, total)
    return [(name, message_id(job), job.id, job.account, job.state.value, at, body) for name in endpoints]


def _as_stored(job: Job) -> Job:
    """The job with its texts as the database stores them; inside the body's JSON they would not be replaced."""
    texts = {name: getattr(job, name) for name in ("reason", "unique_key")}
    return job.but(**{name: text and storable(text) for name, text in texts.items()})


def _notification_insert(dialect: str) -> Executable:
    rows = rows_of(dialect, [(name, notifications.c[name].type) for name in _GIVEN])
    # Due by the database's clock, like all times of notifications that several daemons use.
    made = select(*rows.c, literal(Status.WAITING.value, notifications.c.status.type), DatabaseNow())
    return notifications.insert().from_select([*_GIVEN, "status", "due_at"], made)


def _files_of_jobs(dialect: str) -> Executable:
    asked = rows_of(dialect, [("job_id", BigInteger())])
    columns: list[Any] = [artifacts.c[field.name] for field in fields(Artifact)]
    of_job = artifacts.c.job_id
    ranked = (
        select(
            artifacts.c.job_id,
            func.count().over(partition_by=of_job).label("total"),
            func.row_number().over(partition_by=of_job, order_by=artifacts.c.number).label("place"),
            *columns,
        )
        .join(asked, asked.c.job_id == artifacts.c.job_id)
        .subquery("ranked")
    )
    return select(ranked).where(ranked.c.place <= MOST_LISTED).order_by(ranked.c.job_id, ranked.c.place)
