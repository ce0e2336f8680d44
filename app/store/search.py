"""Looking for jobs: page by page with filters, and by what names one; neither ever walks through all jobs."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, func, select

from app.domain.job import Job, State
from app.store.codec import JOB_COLUMNS, job_of
from app.store.engine import Database
from app.store.tables import HandleKey, jobs, lanes

SPAN: Final = 50_000
"""How many numbers of jobs are looked through at once where no index serves a filter."""
_LARGEST_ID: Final = 2**63 - 1
_MOST_NAMED: Final = 50


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are wanted; ``None`` is any."""

    account: str | None = None
    operation: str | None = None
    state: State | None = None

    @property
    def is_indexed(self) -> bool:
        """Whether an index gives exactly these jobs in the order of their numbers."""
        return self.account is None and self.operation is None


@dataclass(frozen=True, slots=True)
class Found:
    """A page of jobs, newest first.

    ``before_id`` begins the next page; ``None`` where there is none. ``down_to`` is the number down to which jobs were
    looked at, where that was not as far as the page has room.
    """

    jobs: tuple[Job, ...]
    before_id: int | None
    down_to: int | None = None


class JobSearch:
    """Looks for jobs. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: Filter, before_id: int | None, limit: int) -> Found:
        """A page of the jobs with smaller numbers than ``before_id``; it may be short and still have a next one."""
        lowest, highest = await self._ends()
        start = min(before_id or _LARGEST_ID, highest + 1)
        stop = lowest if wanted.is_indexed else max(lowest, start - SPAN)
        statement = (
            _filtered(wanted).where(jobs.c.id < start, jobs.c.id >= stop).order_by(jobs.c.id.desc()).limit(limit + 1)
        )
        rows = await self._rows(statement)
        found = tuple(job_of(row) for row in rows[:limit])
        if len(rows) > limit:
            return Found(found, found[-1].id)
        return Found(found, stop, stop) if stop > lowest else Found(found, None)

    async def named(self, text: str, operations: Collection[str]) -> list[Job]:
        """The jobs whose number, handle or unique key this is, newest first.

        Args:
            text: the whole of it.
            operations: those whose handles are looked through.
        """
        accounts = select(lanes.c.account)
        ways = [
            select(jobs.c.id).where(jobs.c.account.in_(accounts), jobs.c.unique_key == text),
            select(jobs.c.id).where(
                jobs.c.account.in_(accounts),
                jobs.c.operation.in_(sorted(operations)),
                HandleKey(jobs.c.handle) == HandleKey(text),
                jobs.c.handle.is_not(None),
                jobs.c.handle == text,
            ),
        ]
        digits = text.removeprefix("#")
        if digits.isascii() and digits.isdigit() and len(digits) < len(str(_LARGEST_ID)):
            ways.append(select(jobs.c.id).where(jobs.c.id == int(digits)))
        numbers = {
            row[0] for way in ways for row in await self._rows(way.order_by(jobs.c.id.desc()).limit(_MOST_NAMED))
        }
        statement = select(*JOB_COLUMNS).where(jobs.c.id.in_(sorted(numbers))).order_by(jobs.c.id.desc())
        return [job_of(row) for row in await self._rows(statement)] if numbers else []

    async def _ends(self) -> tuple[int, int]:
        """The smallest and the largest number of a job. Two questions, because one would walk through all of them."""
        ((lowest,),), ((highest,),) = [await self._rows(select(end(jobs.c.id))) for end in (func.min, func.max)]
        return lowest or 0, highest or 0

    async def _rows(self, statement: Select[Any]) -> Any:
        async with self._database.reading() as connection:
            return (await connection.execute(statement)).all()


def _filtered(wanted: Filter) -> Select[Any]:
    statement = select(*JOB_COLUMNS)
    if wanted.account is not None:
        statement = statement.where(jobs.c.account == wanted.account)
    if wanted.operation is not None:
        statement = statement.where(jobs.c.operation == wanted.operation)
    if wanted.state is not None:
        statement = statement.where(jobs.c.state == wanted.state.value)
    return statement
