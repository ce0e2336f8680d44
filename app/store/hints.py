"""Hints in the database: a provider has called back, or a person asks, so a job is due now; nothing else is changed."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Text, bindparam, case, not_, select, true, update

from app.domain.job import LIVE, State
from app.store.engine import Database
from app.store.tables import jobs


@dataclass(frozen=True, slots=True)
class Hint:
    """The live job whose callback came; ``noted`` says that it was news, and that the job is due now."""

    job: int
    lane: int
    account: str
    operation: str
    state: State
    noted: bool


class HintStore:
    """Notes them. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where the jobs are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, callback_hash: str, now: float) -> Hint | None:
        """Note that the address with this hash was called.

        The job's version stays, so a step under way is not undone; the outcome of that step does not take the hint
        back. A job that has a hint already, or has no use for one, is not written.

        Args:
            callback_hash: of the token in the address.
            now: epoch seconds.

        Returns:
            The job, or ``None`` where no live job was submitted with that address.
        """
        async with self._database.reading() as connection:
            row = (await connection.execute(_FIND, {"callback_hash": callback_hash})).first()
        if row is None:
            return None
        number, lane, account, operation, state, hinted = row
        noted = False
        if not hinted and state in _OF_USE:
            async with self._database.writing() as connection:
                result = await connection.execute(_NOTE, {"hash_called": callback_hash, "now": now})
                noted = result.rowcount == 1
        return Hint(number, lane, account, operation, State(state), noted)

    async def hurry(self, number: int, now: float) -> bool:
        """Make a live job due at ``now`` (epoch seconds); one that is polled is polled once more.

        The version stays, as in :meth:`note`. In no other state is the job hinted: there a hint is proof that the
        submit arrived, which a person's wish is not.

        Returns:
            Whether the job is live.
        """
        async with self._database.writing() as connection:
            return (await connection.execute(_HURRY, {"number": number, "now": now})).rowcount == 1


# In PARKED no step looks into it, but whoever decides can see that there is a remote job.
_OF_USE: Final = sorted(state.value for state in (State.SUBMITTING, State.RECONCILING, State.POLLING, State.PARKED))
_NOW: Final = bindparam("now", type_=jobs.c.due_at.type)
_FIND: Final = select(jobs.c.id, jobs.c.lane, jobs.c.account, jobs.c.operation, jobs.c.state, jobs.c.hinted).where(
    jobs.c.callback_hash == bindparam("callback_hash", type_=Text()), jobs.c.finished_at.is_(None)
)
_NOTE: Final = (
    update(jobs)
    .where(
        jobs.c.callback_hash == bindparam("hash_called", type_=Text()), not_(jobs.c.hinted), jobs.c.state.in_(_OF_USE)
    )
    .values(hinted=true(), due_at=case((jobs.c.due_at > _NOW, _NOW), else_=jobs.c.due_at))
)
_HURRY: Final = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("number", type_=BigInteger()), jobs.c.state.in_(sorted(state.value for state in LIVE))
    )
    .values(
        hinted=case((jobs.c.state == State.POLLING.value, true()), else_=jobs.c.hinted),
        due_at=case((jobs.c.due_at > _NOW, _NOW), else_=jobs.c.due_at),
    )
)
