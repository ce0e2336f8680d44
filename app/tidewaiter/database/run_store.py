"""Runs: what became of the last run of each schedule, and which job of an operation runs longest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Executable, ScalarSelect, func, select

from tidewaiter.database.engine import Database
from tidewaiter.database.row_codec import JOB_COLUMNS, job_of
from tidewaiter.database.tables import jobs, schedules
from tidewaiter.domain.job import Job, State

_AT_ONCE: Final = 500
_RUNNING: Final = (State.SUBMITTING, State.RECONCILING, State.STARTING, State.POLLING, State.FETCHING)


@dataclass(frozen=True, slots=True)
class LastRuns:
    """The runs of a schedule: its last served tick (epoch seconds), its newest job, and the newest that has ended.

    ``resumed_at`` is when its last pause ended, in epoch seconds; ``None`` if it was never paused.
    Jobs that a person submitted for the schedule, and retries, are runs too.
    """

    ticked_at: float
    newest: Job | None
    ended: Job | None
    resumed_at: float | None = None


class RunStore:
    """Reads runs. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where the jobs are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last_runs(self) -> dict[str, LastRuns]:
        """The runs of every schedule that has begun and is not paused, by its name."""
        rows = await self._rows(_LAST_RUNS)
        found = await self._jobs({number for row in rows for number in row[3:] if number is not None})
        made: dict[str, LastRuns] = {}
        for name, ticked_at, resumed_at, newest, ended, last in rows:
            # A job of an earlier version does not know its schedule, but the schedule knows its last job.
            older = found.get(last)
            made[name] = LastRuns(
                ticked_at,
                found.get(newest, older),
                found.get(ended, older if older is not None and older.finished_at is not None else None),
                resumed_at,
            )
        return made

    async def longest_running(self, accounts: Sequence[str]) -> dict[tuple[str, str], Job]:
        """Of each operation of these accounts the oldest job that has been submitted and is not landed yet."""
        numbers: list[int] = []
        for start in range(0, len(accounts), _AT_ONCE):
            some = _OLDEST.where(jobs.c.account.in_(accounts[start : start + _AT_ONCE]))
            numbers += [row[-1] for row in await self._rows(some)]
        found = (await self._jobs(numbers)).values()
        return {(job.account, job.operation): job for job in found if job.state in _RUNNING}

    async def _jobs(self, numbers: Iterable[int]) -> Mapping[int, Job]:
        wanted, found = sorted(numbers), dict[int, Job]()
        for start in range(0, len(wanted), _AT_ONCE):
            some = select(*JOB_COLUMNS).where(jobs.c.id.in_(wanted[start : start + _AT_ONCE]))
            found |= {job.id: job for job in map(job_of, await self._rows(some))}
        return found

    async def _rows(self, statement: Executable) -> Sequence[Sequence[Any]]:
        async with self._database.reading() as connection:
            return (await connection.execute(statement)).all()


def _last(*, ended: bool) -> ScalarSelect[int]:
    """The newest job of the outer query's schedule."""
    newest = select(jobs.c.id).where(jobs.c.schedule == schedules.c.name, jobs.c.schedule.is_not(None))
    if ended:
        newest = newest.where(jobs.c.finished_at.is_not(None))
    return newest.order_by(jobs.c.id.desc()).limit(1).correlate(schedules).scalar_subquery()


_LAST_RUNS: Final = select(
    schedules.c.name,
    schedules.c.ticked_at,
    schedules.c.resumed_at,
    _last(ended=False),
    _last(ended=True),
    schedules.c.job_id,
).where(schedules.c.paused_at.is_(None))
# The oldest by number: an index has all of this.
_OLDEST: Final = (
    select(jobs.c.account, jobs.c.operation, func.min(jobs.c.id))
    .where(jobs.c.state.in_([state.value for state in _RUNNING]))
    .group_by(jobs.c.account, jobs.c.operation)
)
