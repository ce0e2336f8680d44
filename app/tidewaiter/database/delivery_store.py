"""Deliveries in the database: which notifications are due, which daemon delivers them now, and the results.

A claim moves the due time of a notification forward, so it becomes due again if the daemon dies. ``attempts`` rises
with each claim and fences the result. All times are by the database's clock, because several daemons write here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    BindParameter,
    Boolean,
    Case,
    Double,
    Executable,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    delete,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.types import TypeEngine

from tidewaiter.database.engine import Database
from tidewaiter.database.notification_store import NOTIFICATION_COLUMNS, Notification, notification_of
from tidewaiter.database.row_codec import PARAMETER, encode, rows_of
from tidewaiter.database.sql_functions import DatabaseNow
from tidewaiter.database.tables import notifications
from tidewaiter.domain.notification import CLAIM_S, RETRY_S, DeliveryStatus, longest_wait_s, usual_at_s


@dataclass(frozen=True, slots=True)
class ClaimedNotification:
    """A notification that the caller has claimed and delivers now, and the text to send."""

    notification: Notification
    body: str


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """The result of a delivery: accepted by the receiver, or an ``error``.

    ``again_in_s`` is when to try again, in seconds; ``None`` if it was delivered or is given up.
    """

    claimed: ClaimedNotification
    delivered: bool
    error: str | None = None
    again_in_s: float | None = None


class DeliveryStore:
    """The notifications table, for deliveries. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next_due = _next_due(database.dialect)
        self._settle = _settle(database.dialect)
        self._release = _release(database.dialect)

    async def next_due(self, endpoints: Collection[str]) -> dict[str, float]:
        """In how many seconds the first notification of each endpoint is due; zero or less if it is due now.

        An endpoint without waiting notifications is left out.
        """
        if not endpoints:
            return {}
        rows = await self._rows(self._next_due, **{PARAMETER: encode([(name,) for name in sorted(endpoints)])})
        return {name: due_in_s for name, due_in_s in rows if due_in_s is not None}

    async def claim(self, wanted: Mapping[str, int], lease_s: float) -> list[ClaimedNotification]:
        """Claim due notifications, at most this many for each endpoint, the longest due first.

        No other daemon gets them for ``lease_s`` seconds. Those that another daemon claims at this moment are skipped.
        """
        claimed: list[ClaimedNotification] = []
        async with self._database.writing() as connection:
            for endpoint, most in sorted(wanted.items()):
                asked = {"of_endpoint": endpoint, "most": most, "lease_s": lease_s}
                rows = (await connection.execute(_CLAIM, asked)).all()
                found = [ClaimedNotification(notification_of(columns), body) for *columns, body in rows]
                claimed += sorted(found, key=lambda one: one.notification.id)
        return claimed

    async def bring_forward(self, endpoint: str, failed_before_s: float, limit: int, after: int = 0) -> list[int]:
        """Make notifications due that wait because their last attempt failed before so many seconds, the oldest first.

        Left out are those that are due within the time of a claim, because they may be claimed, those whose receiver
        has asked for a longer delay than the usual one, and those that had an attempt before its usual time: what a
        receiver never accepts must not use up its attempts because others are accepted.

        Args:
            endpoint: whose.
            failed_before_s: see above.
            limit: the most of them; there may be more behind them if they are fewer.
            after: only those with a higher id, so that a long backlog is read once, and not for each group again.

        Returns:
            The ids of those that are due now, in order.
        """
        asked = {"of_endpoint": endpoint, "failed_before_s": failed_before_s}
        # A read locks nothing, often there is none, and the first may be behind many others.
        if not (first := await self._rows(_EARLY.limit(1), **asked, first=after + 1)):
            return []
        async with self._database.writing() as connection:
            given = {**asked, "first": first[0][0], "most": limit}
            return sorted((await connection.execute(_BRING_FORWARD, given)).scalars())

    async def settle(self, attempts: Sequence[DeliveryAttempt]) -> set[int]:
        """Store the results of deliveries.

        Returns:
            The ids whose result was stored. If another daemon has claimed one since, only a success is stored here: a
            delivery is true, whichever daemon reports it.
        """
        rows = [
            (one.claimed.notification.id, one.claimed.notification.attempts, one.delivered, one.error, one.again_in_s)
            for one in attempts
        ]
        async with self._database.writing() as connection:
            return set((await connection.execute(self._settle, {PARAMETER: encode(rows)})).scalars())

    async def release(self, claimed: Sequence[ClaimedNotification]) -> None:
        """Give back claimed notifications that were not delivered, because the daemon ends: they are due at once."""
        rows = [(one.notification.id, one.notification.attempts) for one in claimed]
        async with self._database.writing() as connection:
            await connection.execute(self._release, {PARAMETER: encode(rows)})

    async def give_up(self, known: Collection[str], overdue_s: float, reason: str, limit: int) -> list[Notification]:
        """Give up notifications for unknown endpoints that are overdue for this many seconds.

        The delay is for daemons with another configuration, such as while a new one is rolled out.
        """
        overdue = _overdue(sorted(known))
        # There is rarely one, and a read locks nothing.
        if not await self._rows(overdue.limit(1), overdue_s=overdue_s):
            return []
        async with self._database.writing() as connection:
            asked = {"overdue_s": overdue_s, "why": reason, "most": limit}
            return [notification_of(row) for row in await connection.execute(_give_up(overdue), asked)]

    async def delete_ended(self, status: DeliveryStatus, kept_s: float, limit: int) -> int:
        """Delete up to ``limit`` notifications that were delivered, or died, longer ago than ``kept_s`` seconds.

        Returns:
            How many were deleted.
        """
        asked: dict[str, Any] = {"ended": status.value, "kept_s": kept_s}
        # There is rarely one, and a read locks nothing.
        if not await self._rows(_ENDED.limit(1), **asked):
            return 0
        async with self._database.writing() as connection:
            return (await connection.execute(_DELETE_ENDED, {**asked, "most": limit})).rowcount

    async def _rows(self, statement: Executable, **parameters: object) -> Sequence[Sequence[Any]]:
        async with self._database.reading() as connection:
            return (await connection.execute(statement, parameters)).all()


def _number(name: str) -> BindParameter[float]:
    return bindparam(name, type_=Double())


_MOST: Final = bindparam("most", type_=Integer())
_FIRST: Final[BindParameter[int]] = bindparam("first", type_=BigInteger())
_SPAN: Final = 2000
_WAITS: Final = notifications.c.due_at.is_not(None)

# A scalar subquery is evaluated once, and can then be a bound in an index: PostgreSQL's clock is volatile.
_NOW: Final = select(DatabaseNow()).scalar_subquery()
_CLAIM_COLUMNS: Final[Sequence[tuple[str, TypeEngine[Any]]]] = (("id", BigInteger()), ("attempts", Integer()))


def _locked(which: Select[int]) -> CTE:
    """At most this many rows, locked; rows that another transaction writes at this moment are skipped."""
    return which.limit(_MOST).with_for_update(skip_locked=True).cte("chosen")


@cache
def _next_due(dialect: str) -> Executable:
    """One index lookup for each endpoint, for any number of waiting notifications."""
    asked = rows_of(dialect, [("endpoint", Text())])
    first = (
        select(notifications.c.due_at)
        .where(notifications.c.endpoint == asked.c.endpoint, _WAITS)
        .order_by(notifications.c.due_at)
        .limit(1)
        .scalar_subquery()
    )
    return select(asked.c.endpoint, first - DatabaseNow())


@cache
def _settle(dialect: str) -> Executable:
    kinds: list[tuple[str, TypeEngine[Any]]] = [("delivered", Boolean()), ("error", Text()), ("again_in_s", Double())]
    results = rows_of(dialect, [*_CLAIM_COLUMNS, *kinds])
    still_claimed = and_(
        notifications.c.status == DeliveryStatus.WAITING.value, notifications.c.attempts == results.c.attempts
    )
    undelivered = notifications.c.status != DeliveryStatus.DELIVERED.value
    ends = or_(results.c.delivered, results.c.again_in_s.is_(None))
    return (
        update(notifications)
        .where(notifications.c.id == results.c.id, or_(still_claimed, and_(results.c.delivered, undelivered)))
        .values(
            status=case(
                (results.c.delivered, DeliveryStatus.DELIVERED.value),
                (results.c.again_in_s.is_(None), DeliveryStatus.DEAD.value),
                else_=DeliveryStatus.WAITING.value,
            ),
            due_at=case((ends, null()), else_=DatabaseNow() + results.c.again_in_s),
            ended_at=case((ends, DatabaseNow()), else_=null()),
            last_error=case((results.c.delivered, notifications.c.last_error), else_=results.c.error),
        )
        .returning(notifications.c.id)
    )


@cache
def _release(dialect: str) -> Executable:
    given = rows_of(dialect, _CLAIM_COLUMNS)
    return (
        update(notifications)
        .where(notifications.c.id == given.c.id, notifications.c.attempts == given.c.attempts, _WAITS)
        .values(due_at=DatabaseNow())
    )


def _claim() -> Executable:
    of_endpoint = notifications.c.endpoint == bindparam("of_endpoint", type_=Text())
    due = select(notifications.c.id).where(of_endpoint, notifications.c.due_at <= _NOW)
    chosen = _locked(due.order_by(notifications.c.due_at, notifications.c.id))
    return (
        update(notifications)
        .where(notifications.c.id == chosen.c.id)
        .values(
            due_at=DatabaseNow() + _number("lease_s"), attempts=notifications.c.attempts + 1, attempted_at=DatabaseNow()
        )
        .returning(*NOTIFICATION_COLUMNS, notifications.c.body)
    )


def _by_attempts(seconds: Callable[[int], float]) -> Case[float]:
    """Seconds that depend on how many attempts a waiting notification has had."""
    each = {attempts: seconds(attempts) for attempts in range(1, len(RETRY_S) + 1)}
    return case(each, value=notifications.c.attempts, else_=0.0)


def _early() -> Select[int]:
    return (
        select(notifications.c.id)
        .where(
            notifications.c.status == DeliveryStatus.WAITING.value,
            notifications.c.id >= _FIRST,
            notifications.c.endpoint == bindparam("of_endpoint", type_=Text()),
            notifications.c.due_at > _NOW + CLAIM_S,
            notifications.c.due_at <= notifications.c.attempted_at + _by_attempts(longest_wait_s),
            notifications.c.attempted_at >= notifications.c.at + _by_attempts(usual_at_s),
            notifications.c.attempted_at <= _NOW - _number("failed_before_s"),
        )
        .order_by(notifications.c.id)
    )


def _bring_forward() -> Executable:
    # PostgreSQL expects so few that it would read and sort the whole backlog, but for such a span it does not.
    chosen = _locked(_EARLY.where(notifications.c.id < _FIRST + _SPAN))
    return (
        update(notifications).where(notifications.c.id == chosen.c.id).values(due_at=_NOW).returning(notifications.c.id)
    )


def _overdue(known: Sequence[str]) -> Select[int]:
    overdue = notifications.c.due_at < _NOW - _number("overdue_s")
    return select(notifications.c.id).where(_WAITS, overdue, notifications.c.endpoint.not_in(known))


def _give_up(overdue: Select[int]) -> Executable:
    chosen = _locked(overdue)
    return (
        update(notifications)
        .where(notifications.c.id == chosen.c.id)
        .values(
            status=DeliveryStatus.DEAD.value,
            due_at=null(),
            ended_at=DatabaseNow(),
            last_error=bindparam("why", type_=Text()),
        )
        .returning(*NOTIFICATION_COLUMNS)
    )


_ENDED: Final = (
    select(notifications.c.id)
    .where(
        notifications.c.status == bindparam("ended", type_=Text()),
        notifications.c.ended_at < _NOW - _number("kept_s"),
    )
    .order_by(notifications.c.ended_at)
)
_CLAIM: Final = _claim()
_EARLY: Final = _early()
_BRING_FORWARD: Final = _bring_forward()
_DELETE_ENDED: Final = delete(notifications).where(
    notifications.c.id.in_(_ENDED.limit(_MOST).with_for_update(skip_locked=True))
)
