"""Failures that nobody has handled yet: they are counted, shown and acknowledged.

A job that has failed or expired counts as unhandled until a person acknowledges it or retries it. Partial indexes hold
these jobs only, so a reading costs what is unhandled, among any number of jobs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Double, Integer, Select, Text, bindparam, func, select, update

from tidewaiter.database.engine import Database
from tidewaiter.database.row_codec import JOB_COLUMNS, job_of
from tidewaiter.database.tables import UNHANDLED, jobs
from tidewaiter.domain.job import Job

MOST_UNHANDLED: Final = 10_000
"""More failures than these are not counted."""
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class UnhandledFailures:
    """Unhandled failures of an operation of an account with one cause: how many, and the newest.

    The first and the last of them ended at ``first_at`` and ``last_at`` (epoch seconds).
    """

    account: str
    operation: str
    jobs: int
    newest: Job
    cause: str | None = None
    first_at: float | None = None
    last_at: float | None = None
    oldest: int | None = None

    @property
    def examples(self) -> tuple[int, ...]:
        """The newest of the jobs, and the oldest."""
        return tuple(sorted({self.newest.id, self.oldest or self.newest.id}, reverse=True))


def unhandled_only(statement: Select[Any], account: str | None = None) -> Select[Any]:
    """Only unhandled failures, of all accounts or of one.

    SQLite is told the index: without statistics it reads all failures by their state, the handled ones, too.
    """
    index = "jobs_unhandled" if account is None else "jobs_unhandled_account"
    some = statement.where(UNHANDLED).with_hint(jobs, f"INDEXED BY {index}", "sqlite")
    return some if account is None else some.where(jobs.c.account == account)


class FailureStore:
    """Reads and changes unhandled failures. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where the jobs are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def acknowledge(self, number: int, by: str, now: float) -> bool:
        """Store that a person knows of the failure of this job.

        Returns:
            Whether it was unhandled.
        """
        async with self._database.writing() as connection:
            result = await connection.execute(_ACKNOWLEDGE, {"number": number, "by": by, "now": now})
            return result.rowcount == 1

    async def newest(self, limit: int, account: str | None = None) -> list[Job]:
        """The newest unhandled failures, of all accounts or of one, newest first."""
        statement = unhandled_only(select(*JOB_COLUMNS), account).order_by(jobs.c.id.desc()).limit(_LIMIT)
        return [job_of(row) for row in await self._rows(statement, limit=limit)]

    async def groups(self, accounts: Sequence[str] | None = None) -> list[UnhandledFailures]:
        """The unhandled failures by account, operation and cause, of all accounts or of these.

        The newest :data:`MOST_UNHANDLED` are counted.
        """
        some = (_IDS if accounts is None else _IDS.where(jobs.c.account.in_(accounts))).subquery()
        key = (some.c.account, some.c.operation, some.c.cause)
        ended = (func.min(some.c.finished_at), func.max(some.c.finished_at))
        groups = select(*key, func.count(), func.max(some.c.id), func.min(some.c.id), *ended).group_by(*key)
        rows = await self._rows(groups, limit=MOST_UNHANDLED)
        newest = await self._jobs([row[4] for row in rows])
        groups_found = [
            UnhandledFailures(account, operation, number, newest[last], cause, first_at, last_at, oldest)
            for account, operation, cause, number, last, oldest, first_at, last_at in rows
            if last in newest  # it may have been deleted in between
        ]
        return sorted(groups_found, key=lambda one: (one.account, one.operation, one.cause or ""))

    async def _jobs(self, numbers: Sequence[int]) -> dict[int, Job]:
        found: dict[int, Job] = {}
        for start in range(0, len(numbers), _AT_ONCE):
            some = select(*JOB_COLUMNS).where(jobs.c.id.in_(numbers[start : start + _AT_ONCE]))
            found |= {job.id: job for job in map(job_of, await self._rows(some))}
        return found

    async def _rows(self, statement: Any, **parameters: object) -> Sequence[Sequence[Any]]:
        return await self._database.read(lambda connection: connection.execute(statement, parameters).all())


_LIMIT: Final = bindparam("limit", type_=Integer())
_IDS: Final = (
    unhandled_only(select(jobs.c.id, jobs.c.account, jobs.c.operation, jobs.c.cause, jobs.c.finished_at))
    .order_by(jobs.c.id.desc())
    .limit(_LIMIT)
)
_ACKNOWLEDGE: Final = (
    update(jobs)
    .where(jobs.c.id == bindparam("number", type_=BigInteger()), UNHANDLED)
    .values(handled_at=bindparam("now", type_=Double()), handled_by=bindparam("by", type_=Text()))
)
