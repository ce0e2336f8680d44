"""Trends in the database: the sums of each hour and day, by lane and operation; they are added, read and deleted.

They are added in the transaction that ends a job, so each end counts exactly once. A lane has one writer, so the sums
of different daemons are different rows. Hours are kept for two weeks, days for two years; weeks are sums of days.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    and_,
    cast,
    delete,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from tidewaiter.database.engine import Database
from tidewaiter.database.row_codec import PARAMETER, encode, rows_of
from tidewaiter.database.tables import lanes, trends
from tidewaiter.domain.account_scope import EVERY_ACCOUNT, Scope
from tidewaiter.domain.state_machine import JobUpdate
from tidewaiter.domain.trends import (
    DAY_S,
    HOUR_S,
    KEPT_DAYS,
    OperationTrend,
    Spread,
    Trend,
    TrendPeriod,
    TrendStep,
    trend_rows,
)

TYPICAL_DAYS: Final = 30


class TrendWriter:
    """Adds to the sums, in a transaction of the caller.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
    """

    def __init__(self, dialect: str) -> None:
        self._upsert = _upsert(dialect)

    async def write(self, connection: AsyncConnection, updates: Iterable[JobUpdate]) -> None:
        """Count the jobs that land or end by these updates, in one statement; without such jobs in none."""
        added = trend_rows(updates)
        if added:
            rows = [(*key, value) for key, value in added]
            await connection.execute(self._upsert, {PARAMETER: encode(rows)})


class TrendStore:
    """Reads the sums. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where they are.
        scope: the accounts that it shows.
    """

    def __init__(self, database: Database, scope: Scope = EVERY_ACCOUNT) -> None:
        self._database = database
        self._scope = scope

    def limited_to(self, scope: Scope) -> "TrendStore":
        """The same with only the accounts of this scope."""
        return TrendStore(self._database, scope)

    async def periods(
        self, step: TrendStep, number: int, now: float, *, account: str | None = None, operation: str | None = None
    ) -> list[TrendPeriod]:
        """The sums of each of the last periods, oldest first, of all operations together or of these; also empty ones.

        Args:
            step: how long a period is.
            number: how many periods, the one that is under way included.
            now: epoch seconds.
            account: only of this account.
            operation: only of operations with this name.
        """
        begins = step.begins(now, number)
        where = self._where(step, begins[0], account, operation)
        rows = await self._rows(_sums(trends.c.at).where(where).group_by(trends.c.at, trends.c.measure))
        found: dict[int, dict[str, int]] = {at: {} for at in begins}
        for at, measure, value in rows:
            if (sums := found.get(step.begin(at))) is not None:
                sums[measure] = sums.get(measure, 0) + value
        return [TrendPeriod(at, Trend.of(sums)) for at, sums in found.items()]

    async def operations(
        self, step: TrendStep, number: int, now: float, *, account: str | None = None, operation: str | None = None
    ) -> list[OperationTrend]:
        """The sums of all these periods together, by account and operation. The arguments are those of `periods`."""
        return await self._by_operation(self._where(step, step.begins(now, number)[0], account, operation))

    async def durations(self, now: float, days: int = TYPICAL_DAYS) -> dict[tuple[str, str], Spread]:
        """How long the jobs of each account and operation took that succeeded in the last days."""
        since = TrendStep.DAY.begin(now - days * DAY_S)
        where = and_(self._where(TrendStep.DAY, since, None, None), trends.c.measure.startswith("duration:"))
        return {(one.account, one.operation): one.sums.duration for one in await self._by_operation(where)}

    async def delete_old(self, now: float) -> None:
        """Delete what is no longer kept."""
        old = [
            and_(trends.c.step_s == step.seconds, trends.c.at < step.begin(now - KEPT_DAYS[step] * DAY_S))
            for step in (TrendStep.HOUR, TrendStep.DAY)
        ]
        async with self._database.writing() as connection:
            await connection.execute(delete(trends).where(or_(*old)))

    async def _by_operation(self, where: ColumnElement[bool]) -> list[OperationTrend]:
        by = (lanes.c.account, trends.c.operation)
        found: dict[tuple[str, str], dict[str, int]] = {}
        for account, operation, measure, value in await self._rows(
            _sums(*by).where(where).group_by(*by, trends.c.measure)
        ):
            found.setdefault((account, operation), {})[measure] = value
        return [OperationTrend(*names, Trend.of(sums)) for names, sums in sorted(found.items())]

    def _where(self, step: TrendStep, since: int, account: str | None, operation: str | None) -> ColumnElement[bool]:
        conditions = [trends.c.step_s == (HOUR_S if step is TrendStep.HOUR else DAY_S), trends.c.at >= since]
        if self._scope.accounts is not None:
            conditions.append(lanes.c.account.in_(sorted(self._scope.accounts)))
        if account is not None:
            conditions.append(lanes.c.account == account)
        if operation is not None:
            conditions.append(trends.c.operation == operation)
        return and_(*conditions)

    async def _rows(self, statement: Executable) -> Sequence[Sequence[Any]]:
        async with self._database.reading() as connection:
            return (await connection.execute(statement)).all()


def _sums(*by: ColumnElement[Any]) -> Any:
    """The sum of each measure; PostgreSQL's sum of whole numbers would be a decimal."""
    total = cast(func.sum(trends.c.value), BigInteger)
    return select(*by, trends.c.measure, total).join(lanes, lanes.c.id == trends.c.lane)


@cache
def _upsert(dialect: str) -> Executable:
    names = [column.name for column in trends.c]
    rows = rows_of(dialect, [(name, trends.c[name].type) for name in names])
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    # SQLite would read ON CONFLICT as part of the join: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    added = insert(trends).from_select(names, select(*rows.c).where(literal_column("1 = 1")))
    key = [column.name for column in trends.primary_key]
    return added.on_conflict_do_update(index_elements=key, set_={"value": trends.c.value + added.excluded.value})
