"""Wake-ups in the database: after a callback or a poll request a job is due now; nothing else changes."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Text, bindparam, case, not_, or_, select, true, update

from tidewaiter.database.engine import Database
from tidewaiter.database.tables import jobs
from tidewaiter.domain.job import LIVE, State


@dataclass(frozen=True, slots=True)
class WakeUp:
    """The live job whose callback came; ``is_new`` says that it was not woken up before, and is due now."""

    job: int
    lane: int
    account: str
    operation: str
    state: State
    is_new: bool


class WakeUpStore:
    """Writes wake-ups. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where the jobs are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def wake_up(self, callback_hash: str, now: float) -> WakeUp | None:
        """Wake up the job whose callback address has this hash.

        The job's version does not change, so a step under way is not undone, and the outcome of that step does not
        remove the wake-up. A job that was woken up already, or that does not use wake-ups in its state, is not written.

        Args:
            callback_hash: of the token in the address.
            now: epoch seconds.

        Returns:
            The job, or ``None`` if no live job was submitted with that address.
        """
        async with self._database.reading() as connection:
            row = (await connection.execute(_FIND, {"callback_hash": callback_hash})).first()
        if row is None:
            return None
        number, lane, account, operation, state, hinted, poll_at = row
        is_new = False
        if not hinted and (state in _USING_WAKE_UPS or poll_at is not None):
            async with self._database.writing() as connection:
                result = await connection.execute(_WAKE_UP, {"called_hash": callback_hash, "now": now})
                is_new = result.rowcount == 1
        return WakeUp(number, lane, account, operation, State(state), is_new)

    async def poll_now(self, number: int, now: float) -> bool:
        """Make a live job due at ``now`` (epoch seconds); a job in POLLING is polled once more.

        The version does not change, as in :meth:`wake_up`. The flag is set only in POLLING: in any other state it
        proves that the submit arrived, and a person's request does not prove that.

        Returns:
            Whether the job is live.
        """
        async with self._database.writing() as connection:
            return (await connection.execute(_POLL_NOW, {"number": number, "now": now})).rowcount == 1


# In PARKED no step uses it, but the person who decides sees that there is a remote job. The column poll_at is set while
# files are fetched before the remote job has finished; the poll afterwards uses the wake-up.
_USING_WAKE_UPS: Final = sorted(
    state.value for state in (State.SUBMITTING, State.RECONCILING, State.STARTING, State.POLLING, State.PARKED)
)
_NOW: Final = bindparam("now", type_=jobs.c.due_at.type)
_FIND: Final = select(
    jobs.c.id, jobs.c.lane, jobs.c.account, jobs.c.operation, jobs.c.state, jobs.c.hinted, jobs.c.poll_at
).where(jobs.c.callback_hash == bindparam("callback_hash", type_=Text()), jobs.c.finished_at.is_(None))
_WAKE_UP: Final = (
    update(jobs)
    .where(
        jobs.c.callback_hash == bindparam("called_hash", type_=Text()),
        not_(jobs.c.hinted),
        or_(jobs.c.state.in_(_USING_WAKE_UPS), jobs.c.poll_at.is_not(None)),
    )
    .values(hinted=true(), due_at=case((jobs.c.due_at > _NOW, _NOW), else_=jobs.c.due_at))
)
_POLL_NOW: Final = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("number", type_=BigInteger()), jobs.c.state.in_(sorted(state.value for state in LIVE))
    )
    .values(
        hinted=case((jobs.c.state == State.POLLING.value, true()), else_=jobs.c.hinted),
        due_at=case((jobs.c.due_at > _NOW, _NOW), else_=jobs.c.due_at),
    )
)
