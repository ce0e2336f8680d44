"""Pauses of accounts in the database, where every daemon sees them, and how many jobs each account has.

A pause does not end by itself. While it lasts, the account's jobs wait; when it ends, their deadlines move by its
length. Times are by the database's clock, because several daemons and people write them.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Double,
    Executable,
    Insert,
    Text,
    bindparam,
    case,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from tidewaiter.database.engine import Database
from tidewaiter.database.sql_functions import DatabaseNow
from tidewaiter.database.tables import accounts, jobs, lanes
from tidewaiter.domain.job import LIVE, State


class PauseCause(StrEnum):
    """Who caused a pause; this decides what ends it."""

    CREDENTIALS = "credentials"
    """The provider refused them: a person ends the pause, or a daemon that starts with other settings."""
    TLS = "tls"
    """The provider could not prove its identity: a daemon tries again after a while."""
    PERSON = "person"
    """A person paused it, and only a person ends the pause."""


@dataclass(frozen=True, slots=True)
class Pause:
    """An account that is paused since ``at`` (epoch seconds); until now for ``lasts_s`` seconds.

    ``fingerprint`` is that of the settings whose credentials were refused.
    """

    account: str
    by: PauseCause
    reason: str
    at: float
    lasts_s: float
    fingerprint: str | None


class AccountStore:
    """The accounts' pauses. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._refuse = _pause_by_a_lane(database.dialect)
        self._pause = _pause_by_a_person(database.dialect)
        self._reopen = _reopen(database.dialect)

    async def paused(self) -> dict[str, Pause]:
        """The accounts that are paused, by name."""
        rows = await self._database.read(lambda connection: connection.execute(_PAUSED).all())
        return {row[0]: Pause(row[0], PauseCause(row[1]), *row[2:]) for row in rows}

    async def refuse(
        self, account: str, by: PauseCause, reason: str, fingerprint: str | None, *, lane: int, epoch: int
    ) -> bool:
        """Pause an account because of a reply that a lane received, if the lane is still held at that epoch.

        Returns:
            Whether it was written: not if the lane has another owner, and not if the account is already paused.
        """
        met = {"account_name": account, "paused_by": by.value, "reason": reason, "fingerprint": fingerprint}
        async with self._database.writing() as connection:
            written = await connection.execute(self._refuse, {**met, "lane": lane, "epoch": epoch})
            return written.scalar() is not None

    async def pause(self, account: str, reason: str | None = None) -> None:
        """Pause an account because a person asks for it; an existing pause becomes the person's.

        Without a reason, an existing pause keeps its own.
        """
        async with self._database.writing() as connection:
            await connection.execute(self._pause, {"account_name": account, "reason": reason})

    async def resume(self, account: str, pause: Pause | None = None) -> float | None:
        """End a pause, and move the deadlines of the account's live jobs by the time that they waited in it.

        Args:
            account: its name.
            pause: end only this pause, not a newer one.

        Returns:
            How long it lasted, in seconds; ``None`` if there was no pause.
        """
        async with self._database.writing() as connection:
            row = (await connection.execute(_LOCK, {"account_name": account})).first()
            if row is None or (pause is not None and (row[0], row[1]) != (pause.by.value, pause.at)):
                return None
            paused_at, now = row[1], row[2]
            # The lanes first, as every group commit does, or the two could wait for each other in a circle.
            await connection.execute(_LOCK_LANES, {"account_name": account})
            await connection.execute(_MOVE, {"account_name": account, "paused_at": paused_at, "now": now})
            await connection.execute(_RESUME, {"account_name": account})
        return float(now - paused_at)

    async def reopen(self, account: str) -> None:
        """Open an account's closed lanes, because a person asks for it; see :meth:`reopened`."""
        async with self._database.writing() as connection:
            await connection.execute(_LOCK_LANES, {"account_name": account})
            await connection.execute(_OPEN_LANES, {"account_name": account})
            await connection.execute(self._reopen, {"account_name": account})

    async def reopened(self) -> dict[str, float]:
        """When a person last opened each account, in epoch seconds; the owners of its lanes check this."""
        async with self._database.reading() as connection:
            return {row[0]: row[1] for row in await connection.execute(_REOPENED)}

    async def live_jobs(self) -> dict[str, dict[State, int]]:
        """How many jobs of each account have not ended, by state; accounts without any are left out."""
        rows = await self._database.read(lambda connection: connection.execute(_LIVE_JOBS).all())
        found: dict[str, dict[State, int]] = {}
        for account, state, number in rows:
            found.setdefault(account, {})[State(state)] = number
        return {
            account: {state: counts[state] for state in State if state in counts} for account, counts in found.items()
        }


_ACCOUNT: Final = bindparam("account_name", type_=Text())
_REASON: Final = bindparam("reason", type_=Text())
_NO_REASON: Final = literal("a person paused it", Text())
_PAUSED_AT: Final[BindParameter[float]] = bindparam("paused_at", type_=Double())
_NOW: Final[BindParameter[float]] = bindparam("now", type_=Double())


def _upsert(dialect: str) -> Any:
    return (sqlite.insert if dialect == "sqlite" else postgresql.insert)(accounts)


@cache
def _reopen(dialect: str) -> Executable:
    added = _upsert(dialect).values(name=_ACCOUNT, resumed_at=DatabaseNow())
    changed: Insert = added.on_conflict_do_update(
        index_elements=["name"], set_={"resumed_at": added.excluded.resumed_at}
    )
    return changed


@cache
def _pause_by_a_lane(dialect: str) -> Executable:
    """Fenced by the lane's epoch. An existing pause does not change."""
    held = select(
        _ACCOUNT,
        bindparam("paused_by", type_=Text()),
        _REASON,
        DatabaseNow(),
        bindparam("fingerprint", type_=Text()),
    ).where(
        lanes.c.id == bindparam("lane", type_=BigInteger()),
        lanes.c.epoch == bindparam("epoch", type_=BigInteger()),
        lanes.c.owner.is_not(None),
    )
    added = _upsert(dialect).from_select(["name", "paused_by", "paused_reason", "paused_at", "fingerprint"], held)
    return _over_no_pause(added)


def _over_no_pause(added: Any) -> Executable:
    names = ("paused_by", "paused_reason", "paused_at", "fingerprint")
    changed: Insert = added.on_conflict_do_update(
        index_elements=["name"],
        set_={name: added.excluded[name] for name in names},
        where=accounts.c.paused_at.is_(None),
    )
    return changed.returning(accounts.c.name)


@cache
def _pause_by_a_person(dialect: str) -> Executable:
    """An existing pause becomes the person's, and still counts from its beginning."""
    added = _upsert(dialect).values(
        name=_ACCOUNT,
        paused_by=literal(PauseCause.PERSON.value, Text()),
        paused_reason=func.coalesce(_REASON, _NO_REASON),
        paused_at=DatabaseNow(),
    )
    changed: Executable = added.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "paused_by": added.excluded.paused_by,
            "paused_reason": func.coalesce(_REASON, accounts.c.paused_reason, _NO_REASON),
            "paused_at": func.coalesce(accounts.c.paused_at, added.excluded.paused_at),
            "fingerprint": null(),
        },
    )
    return changed


_PAUSED: Final = (
    select(
        accounts.c.name,
        accounts.c.paused_by,
        accounts.c.paused_reason,
        accounts.c.paused_at,
        DatabaseNow() - accounts.c.paused_at,
        accounts.c.fingerprint,
    )
    .where(accounts.c.paused_at.is_not(None))
    .order_by(accounts.c.name)
)
_LOCK: Final = (
    select(accounts.c.paused_by, accounts.c.paused_at, DatabaseNow())
    .where(accounts.c.name == _ACCOUNT, accounts.c.paused_at.is_not(None))
    .with_for_update()
)
_LANES: Final = select(lanes.c.id).where(lanes.c.account == _ACCOUNT)
_LOCK_LANES: Final = _LANES.order_by(lanes.c.id).with_for_update(key_share=True)
# A job that was added during the pause has waited less; the deadline of a parked job does not count.
_MOVE: Final = (
    update(jobs)
    .where(jobs.c.lane.in_(_LANES), jobs.c.due_at.is_not(None))
    .values(
        deadline_at=jobs.c.deadline_at
        + _NOW
        - case((jobs.c.created_at > _PAUSED_AT, jobs.c.created_at), else_=_PAUSED_AT),
        moved_at=jobs.c.moved_at + _NOW - case((jobs.c.moved_at > _PAUSED_AT, jobs.c.moved_at), else_=_PAUSED_AT),
        expired_at=jobs.c.expired_at
        + _NOW
        - case((jobs.c.expired_at > _PAUSED_AT, jobs.c.expired_at), else_=_PAUSED_AT),
    )
)
_RESUME: Final = (
    update(accounts)
    .where(accounts.c.name == _ACCOUNT)
    .values(paused_by=null(), paused_reason=null(), paused_at=null(), fingerprint=null())
)
_OPEN_LANES: Final = update(lanes).where(lanes.c.account == _ACCOUNT).values(closed_until=null(), closed_reason=null())
_REOPENED: Final = select(accounts.c.name, accounts.c.resumed_at).where(accounts.c.resumed_at.is_not(None))
_LIVE_JOBS: Final = (
    select(jobs.c.account, jobs.c.state, func.count())
    # The accounts are listed so that the index of account and state is used; there are only a few rows.
    .where(
        jobs.c.account.in_(select(lanes.c.account)),
        jobs.c.state.in_(sorted(state.value for state in (*LIVE, State.PARKED))),
    )
    .group_by(jobs.c.account, jobs.c.state)
    .order_by(jobs.c.account)
)
