"""How many jobs are in each state, at a cost that does not grow with their number.

A state with few jobs is counted each time. That of a large one is kept for a time that grows with it, and counted in
slices, so that no statement exceeds the time limit of the database, however many jobs there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Integer, Text, bindparam, func, literal, select, union_all

from tidewaiter.database.engine import Database
from tidewaiter.database.tables import jobs
from tidewaiter.domain.job import State

FEW: Final = 10_000
"""A state with no more jobs is counted each time."""
SLICE: Final = 1_000_000
"""So many jobs are counted by one statement."""
KEPT_S_PER_JOB: Final = 2e-5
"""How long a count is kept, in seconds for each job: a hundred times what counting takes, or longer."""


@dataclass(slots=True)
class _Count:
    """What was counted of a state up to the job ``after``; and the last whole count, with its time."""

    after: int = 0
    counted: int = 0
    whole: int | None = None
    at: float = 0.0


class StateCounts:
    """Counts jobs by state, and keeps the counts of large states for a while.

    Args:
        database: where the jobs are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts = {state: _Count() for state in State}

    async def counts(self, now: float) -> dict[State, int]:
        """How many jobs are in each state; large numbers are up to ``KEPT_S_PER_JOB`` times themselves old.

        A call that is cancelled has lost no slice: the next one goes on where it ended.

        Args:
            now: in seconds, of any one clock.

        Raises:
            StoreUnavailableError: the database cannot be used.
        """
        few = await self._database.read(lambda connection: connection.execute(_FEW_OF_EACH).all())
        found = {State(state): number for state, number in few}
        return {state: number if number <= FEW else await self._large(state, now) for state, number in found.items()}

    async def _large(self, state: State, now: float) -> int:
        count = self._counts[state]
        if count.whole is not None and 0.0 <= now - count.at < count.whole * KEPT_S_PER_JOB:
            return count.whole
        while True:
            number, last = await self._database.read(lambda connection: _slice(connection, state, count.after))
            count.counted += number
            if number < SLICE:
                break
            count.after = last
        count.whole, count.at = count.counted, now
        count.after = count.counted = 0
        return count.whole


def _slice(connection: Connection, state: State, after: int) -> Sequence[Any]:
    return connection.execute(_SLICE, {"of_state": state.value, "after": after, "most": SLICE}).one()


def _few(state: State) -> Any:
    some = select(jobs.c.id).where(jobs.c.state == state.value).limit(FEW + 1).subquery()
    return select(literal(state.value, Text()), func.count()).select_from(some)


_FEW_OF_EACH: Final = union_all(*(_few(state) for state in State))
_IN_SLICE: Final = (
    select(jobs.c.id)
    .where(jobs.c.state == bindparam("of_state", type_=Text()), jobs.c.id > bindparam("after", type_=BigInteger()))
    .order_by(jobs.c.id)
    .limit(bindparam("most", type_=Integer()))
    .subquery()
)
_SLICE: Final = select(func.count(), func.max(_IN_SLICE.c.id))
