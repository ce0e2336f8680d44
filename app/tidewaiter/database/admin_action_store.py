"""What people have done: rows beside a job's history, and lines that a daemon still has to log.

A request to cancel or to poll makes no new version of its job, because it must not undo a step under way. So it cannot
be a row of the history, whose key is the version.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Double, Text, bindparam, delete, false, insert, literal, null, select, true, update

from tidewaiter.database.engine import Database
from tidewaiter.database.tables import actions, jobs
from tidewaiter.domain.job import HistoryEntry, State

_KEPT_S: Final = 7 * 86_400.0


class AdminActionStore:
    """The actions table. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, job: int, outcome: str, detail: str, now: float) -> None:
        """Store what a person asked for, with the job's present version and state, at that epoch second."""
        async with self._database.writing() as connection:
            await connection.execute(_ADD, {"job": job, "action_outcome": outcome, "action_detail": detail, "now": now})

    async def of_job(self, job: int) -> list[HistoryEntry]:
        """A job's requests, oldest first, as entries of its history."""
        rows = await self._database.read(lambda connection: connection.execute(_OF_JOB, {"job": job}).all())
        return [
            HistoryEntry(number, version, at, State(state), State(state), outcome, detail)
            for number, version, at, state, outcome, detail in rows
        ]

    async def add_line(self, line: Mapping[str, object], now: float) -> None:
        """Store a line for a daemon to log, because nobody keeps this process's log."""
        async with self._database.writing() as connection:
            await connection.execute(_ADD_LINE, {"action_detail": json.dumps(line), "now": now})

    async def take_lines(self) -> list[dict[str, Any]]:
        """The lines that are not logged yet; the caller must log them."""
        async with self._database.reading() as connection:
            if (await connection.execute(_ANY_LINE)).first() is None:
                return []
        async with self._database.writing() as connection:
            rows = (await connection.execute(_TAKE_LINES)).all()
        return [json.loads(text) for _, text in sorted(rows)]

    async def delete_old(self, now: float) -> int:
        """Delete lines that were logged a week ago; rows of a job are deleted with the job."""
        async with self._database.writing() as connection:
            return (await connection.execute(_DELETE_OLD, {"now": now - _KEPT_S})).rowcount


def with_actions(history: Sequence[HistoryEntry], asked: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """A job's history together with people's requests, each before the next version of the job."""
    found: list[HistoryEntry] = []
    left = list(asked)
    for entry in history:
        while left and left[0].version < entry.version:
            found.append(left.pop(0))
        found.append(entry)
    return found + left


_JOB: Final = bindparam("job", type_=BigInteger())
_NOW: Final[Any] = bindparam("now", type_=Double())
_DETAIL: Final = bindparam("action_detail", type_=Text())
_ADD: Final = insert(actions).from_select(
    ["job_id", "version", "at", "state", "outcome", "detail", "logged"],
    select(
        jobs.c.id, jobs.c.version, _NOW, jobs.c.state, bindparam("action_outcome", type_=Text()), _DETAIL, true()
    ).where(jobs.c.id == _JOB),
)
_OF_JOB: Final = (
    select(actions.c.job_id, actions.c.version, actions.c.at, actions.c.state, actions.c.outcome, actions.c.detail)
    .where(actions.c.job_id == _JOB)
    .order_by(actions.c.id)
)
_ADD_LINE: Final = insert(actions).values(
    job_id=null(), version=0, at=_NOW, state=literal(""), outcome=literal("line"), detail=_DETAIL, logged=false()
)
_ANY_LINE: Final = select(actions.c.id).where(actions.c.logged == false()).limit(1)
_TAKE_LINES: Final = (
    update(actions).where(actions.c.logged == false()).values(logged=true()).returning(actions.c.id, actions.c.detail)
)
_DELETE_OLD: Final = delete(actions).where(actions.c.job_id.is_(None), actions.c.logged, actions.c.at < _NOW)
