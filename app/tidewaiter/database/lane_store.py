"""Lanes in the database: who owns which, until when, and what the next owner must know; and the live workers.

Only the database's clock decides about leases. Every statement that changes several lanes locks them in the order of
their ids, as the group commit does, so that two statements never wait for each other in a circle.

The clocks of daemons differ, and may be set. So the times of a lane's requests are stored as seconds before
``stored_at``, the moment by the database's clock, and a closing as so many seconds after it. Whoever reads them adds
the time since then by the same clock, but never less than nothing: where that clock was set back, no wait is longer
than it was when it was stored.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    BindParameter,
    Connection,
    Double,
    Executable,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from tidewaiter.database.engine import Database
from tidewaiter.database.lane_rows import LaneRow, LaneState, LaneStatus, WorkerStatus
from tidewaiter.database.request_windows import window_of, window_text
from tidewaiter.database.row_codec import PARAMETER, encode, rows_of
from tidewaiter.database.sql_functions import DatabaseNow, DatabaseWallClock
from tidewaiter.database.tables import accounts, jobs, lanes, workers
from tidewaiter.domain.job import State

_DEAD_FOR_S: Final = 86_400.0

_OWNER: Final = bindparam("holder", type_=Text())
_LEASE_S: Final[BindParameter[float]] = bindparam("lease_s", type_=Double())
_STATE_COLUMNS: Final[Sequence[tuple[str, TypeEngine[Any]]]] = (
    ("id", BigInteger()),
    ("epoch", BigInteger()),
    ("request_window", Text()),
    ("closed_s", Double()),
    ("closed_reason", Text()),
    ("reopened_at", Double()),
)


_TIMES: Final = (lanes.c.closed_until, lanes.c.request_window, lanes.c.stored_at, DatabaseWallClock())


@dataclass(frozen=True, slots=True)
class LaneShare:
    """How many lanes there are, and how many live workers to serve them."""

    lanes: int
    workers: int


class LaneStore:
    """The lanes and the workers. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._renew = _write_states(database.dialect, gives_back=False)
        self._give_back = _write_states(database.dialect, gives_back=True)
        self._ensure = _lane_insert(database.dialect)
        self._heartbeat = _worker_upsert(database.dialect)

    async def ensure(self, shards: Mapping[str, int]) -> None:
        """Create missing lanes, by account and its number of shards. Lanes beyond that number stay."""
        rows = [(account, shard) for account, number in sorted(shards.items()) for shard in range(number)]
        if rows:
            await self._write(self._ensure, **{PARAMETER: encode(rows)})

    async def ids(self, account: str) -> list[int]:
        """The account's lanes, by shard."""
        async with self._database.reading() as connection:
            return list((await connection.execute(_IDS, {"account": account})).scalars())

    async def heartbeat(self, owner: str, host: str, pid: int, version: str, lease_s: float) -> None:
        """Store that a worker is alive for the next ``lease_s`` seconds."""
        worker = {"holder": owner, "host": host, "pid": pid, "version": version, "lease_s": lease_s}

        def write(connection: Connection) -> None:
            connection.execute(self._heartbeat, worker)
            connection.execute(_REMOVE_DEAD)

        await self._database.write(write)

    async def take(
        self,
        owner: str,
        most: int,
        lease_s: float,
        *,
        force: bool,
        accounts: Collection[str],
        held: Collection[int] = (),
    ) -> list[LaneRow]:
        """Take up to ``most`` lanes that are free, or whose lease has expired.

        Every take raises the lane's epoch, so that the previous owner can no longer write.

        Args:
            owner: who takes.
            most: the largest number of lanes.
            lease_s: how long the lease lasts without renewal, in seconds.
            force: also take lanes whose lease still holds: a file lock proves that their owners are dead.
            accounts: take only lanes of these accounts.
            held: the lanes that the owner already serves. A lane that it has lost is taken like any other.
        """
        if most <= 0:
            return []
        statement = _take(accounts, held, by_force=force)
        parameters = {"holder": owner, "lease_s": lease_s, "most": most}

        def write(connection: Connection) -> tuple[Sequence[Any], Sequence[Any]]:
            rows = connection.execute(statement, parameters).all()
            return rows, connection.execute(_SHARING).all() if rows else ()

        rows, sharing = await self._database.write(write)
        lane_counts, now = {row[0]: row[1] for row in sharing}, self._database.clock.now()
        return sorted((_taken(row, lane_counts, now) for row in rows), key=lambda lane: lane.id)

    async def renew(self, owner: str, lease_s: float, states: Mapping[int, LaneState]) -> set[int]:
        """Extend the leases of these lanes and store their states, in one statement.

        Returns:
            The lanes that this owner still holds at the epoch of their state.
        """
        parameters = {PARAMETER: self._encoded(states), "holder": owner, "lease_s": lease_s}
        return await self._database.write(lambda connection: set(connection.execute(self._renew, parameters).scalars()))

    async def give_back(self, owner: str, states: Mapping[int, LaneState]) -> None:
        """Free these lanes, if they are still held, and store what the next owner must know."""
        if states:
            await self._write(self._give_back, **{PARAMETER: self._encoded(states), "holder": owner})

    async def share(self, accounts: Collection[str]) -> LaneShare:
        """How many lanes these accounts have, and how many workers live, by the database's clock."""
        number_of_lanes = select(func.count()).where(lanes.c.account.in_(sorted(accounts))).scalar_subquery()
        statement = select(number_of_lanes, _LIVE_WORKERS)
        return LaneShare(*await self._database.read(lambda connection: connection.execute(statement).one()))

    async def remove_worker(self, owner: str) -> None:
        """Remove a worker that ends."""
        await self._write(_REMOVE_WORKER, holder=owner)

    async def all_lanes(self) -> list[LaneStatus]:
        """The state of every lane, by account and shard."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(_ALL_LANES)).all()
        now = self._database.clock.now()
        return [_status(row, now) for row in rows]

    async def lane(self, number: int) -> LaneStatus | None:
        """The state of one lane."""
        async with self._database.reading() as connection:
            row = (await connection.execute(_ALL_LANES.where(lanes.c.id == number))).first()
        return None if row is None else _status(row, self._database.clock.now())

    async def workers(self) -> list[WorkerStatus]:
        """The live daemons by the database's clock, the oldest first."""
        async with self._database.reading() as connection:
            return [WorkerStatus(*row) for row in await connection.execute(_WORKERS)]

    def _encoded(self, states: Mapping[int, LaneState]) -> str:
        """Rows of ``_STATE_COLUMNS``. Until they are stored some time passes, so a request counts later than it was."""
        now = self._database.clock.now()
        return encode(
            [
                (
                    number,
                    state.epoch,
                    window_text([at - now for at in state.request_window]),
                    state.closed_until - now if state.closed_until else None,
                    state.closed_reason,
                    state.reopened_at,
                )
                for number, state in sorted(states.items())
            ]
        )

    async def _write(self, statement: Executable, **parameters: object) -> None:
        async with self._database.writing() as connection:
            await connection.execute(statement, parameters)


def _taken(row: Sequence[Any], lane_counts: Mapping[str, int], now: float) -> LaneRow:
    number, account, shard, epoch, clean, closed_reason, *times = row
    closed_until, stamps = _by_own_clock(*times, now=now)
    lane_count = lane_counts.get(account, 1)
    return LaneRow(number, account, shard, epoch, closed_until, closed_reason, stamps, clean, lane_count)


def _status(row: Sequence[Any], now: float) -> LaneStatus:
    *values, closed_reason = row[: -len(_TIMES)]
    closed_until, stamps = _by_own_clock(*row[-len(_TIMES) :], now=now)
    values += closed_until, closed_reason, stamps
    return LaneStatus(*values)


def _by_own_clock(
    closed_until: float | None, window: str, stored_at: float, read_at: float, *, now: float
) -> tuple[float | None, tuple[float, ...]]:
    """The end of a closing and the times of requests in epoch seconds of this process, whose clock says ``now``.

    Rows of before revision 0016 have epoch seconds, and 0 as ``stored_at``.
    """
    own_stored_at = now - max(0.0, read_at - stored_at)
    own_closed_until = own_stored_at + closed_until - stored_at if closed_until else None
    return own_closed_until, tuple(own_stored_at + at for at in window_of(window))


def _locked(which: Select[int], name: str, *, skip: bool = False) -> CTE:
    """Lanes locked in the order of their ids; SQLite has one writer and ignores the lock.

    It is not the strongest lock, which would wait for every transaction that adds a job to the lane.
    """
    return which.order_by(lanes.c.id).with_for_update(key_share=True, skip_locked=skip).cte(name)


@cache
def _write_states(dialect: str, *, gives_back: bool) -> Executable:
    """Write states to the lanes that are still held at the given epochs."""
    given = rows_of(dialect, _STATE_COLUMNS)
    freed: dict[str, Any] = {"owner": null(), "lease_until": null(), "clean": true()}
    held = _locked(select(lanes.c.id).where(lanes.c.owner == _OWNER), "held")
    opened_since = (
        select(literal_column("1"))
        .where(accounts.c.name == lanes.c.account, accounts.c.resumed_at > func.coalesce(given.c.reopened_at, 0.0))
        .correlate(lanes, given)
        .exists()
    )
    closing = {"closed_until": DatabaseWallClock() + given.c.closed_s, "closed_reason": given.c.closed_reason}
    states = {
        "request_window": given.c.request_window,
        "stored_at": DatabaseWallClock(),
        **{name: case((opened_since, null()), else_=value) for name, value in closing.items()},
    }
    return (
        update(lanes)
        .where(lanes.c.id == held.c.id, lanes.c.id == given.c.id, lanes.c.epoch == given.c.epoch)
        .where(lanes.c.owner == _OWNER)
        .values(**states, **(freed if gives_back else {"lease_until": DatabaseNow() + _LEASE_S}))
        .returning(lanes.c.id)
    )


def _take(accounts: Collection[str], held: Collection[int], *, by_force: bool) -> Executable:
    """Take free lanes. Lanes that another daemon takes at this moment are skipped."""
    free = select(lanes.c.id).where(lanes.c.account.in_(sorted(accounts)), lanes.c.id.not_in(sorted(held)))
    if not by_force:
        free = free.where(or_(lanes.c.owner.is_(None), lanes.c.lease_until <= DatabaseNow()))
    taken = _locked(free.limit(bindparam("most", type_=Integer())), "free", skip=True)
    return (
        update(lanes)
        .where(lanes.c.id == taken.c.id)
        .values(
            owner=_OWNER,
            epoch=lanes.c.epoch + 1,
            lease_until=DatabaseNow() + _LEASE_S,
            clean=and_(lanes.c.owner.is_(None), lanes.c.clean),
        )
        .returning(
            lanes.c.id,
            lanes.c.account,
            lanes.c.shard,
            lanes.c.epoch,
            lanes.c.clean,
            lanes.c.closed_reason,
            *_TIMES,
        )
    )


@cache
def _lane_insert(dialect: str) -> Executable:
    rows = rows_of(dialect, (("account", Text()), ("shard", Integer())))
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    # A new lane beside others begins as if its share were used up, because the others had more of the limit until now.
    alone = ~select(literal_column("1")).where(lanes.c.account == rows.c.account).correlate(rows).exists()
    # SQLite would read ON CONFLICT as part of the join: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    new = select(*rows.c, alone).where(literal_column("1 = 1"))
    added = insert(lanes).from_select(["account", "shard", "clean"], new)
    return added.on_conflict_do_nothing(index_elements=["account", "shard"])


@cache
def _worker_upsert(dialect: str) -> Executable:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    added = insert(workers).values(
        owner=_OWNER,
        host=bindparam("host", type_=Text()),
        pid=bindparam("pid", type_=Integer()),
        version=bindparam("version", type_=Text()),
        started_at=DatabaseNow(),
        lease_until=DatabaseNow() + _LEASE_S,
    )
    return added.on_conflict_do_update(index_elements=["owner"], set_={"lease_until": added.excluded.lease_until})


# Live jobs are due at some time, or parked: one lookup in the index of due jobs for each lane, and the few parked ones.
_HAS_DUE: Final = (
    select(jobs.c.lane).where(jobs.c.lane == lanes.c.id, jobs.c.due_at.is_not(None)).limit(1).scalar_subquery()
)
_WITH_PARKED: Final = select(jobs.c.lane).where(jobs.c.state == State.PARKED.value)
_SHARING: Final = (
    select(lanes.c.account, func.max(lanes.c.shard) + 1)
    .where(lanes.c.shard > 0, or_(_HAS_DUE.is_not(None), lanes.c.id.in_(_WITH_PARKED)))
    .group_by(lanes.c.account)
)
_IDS: Final = select(lanes.c.id).where(lanes.c.account == bindparam("account", type_=Text())).order_by(lanes.c.shard)
_LIVE_WORKERS: Final = select(func.count()).where(workers.c.lease_until > DatabaseNow()).scalar_subquery()
_REMOVE_WORKER: Final = delete(workers).where(workers.c.owner == _OWNER)
_REMOVE_DEAD: Final = delete(workers).where(workers.c.lease_until < DatabaseNow() - _DEAD_FOR_S)
_ALL_LANES: Final = (
    select(
        lanes.c.id,
        lanes.c.account,
        lanes.c.shard,
        lanes.c.owner,
        workers.c.host,
        lanes.c.epoch,
        lanes.c.lease_until,
        func.coalesce(lanes.c.lease_until > DatabaseNow(), false()),
        lanes.c.closed_reason,
        *_TIMES,
    )
    .select_from(lanes.outerjoin(workers, workers.c.owner == lanes.c.owner))
    .order_by(lanes.c.account, lanes.c.shard)
)
_WORKERS: Final = (
    select(
        workers.c.owner, workers.c.host, workers.c.pid, workers.c.version, workers.c.started_at, workers.c.lease_until
    )
    .where(workers.c.lease_until > DatabaseNow())
    .order_by(workers.c.started_at, workers.c.owner)
)
