"""Trends in the database: the sums of each hour and day, by lane and operation; they are added, read and deleted.

They are added in the transaction that ends a job, so each end counts exactly once. A lane has one writer, so the sums
of different daemons are different rows. Hours are kept for two weeks, days for two years; weeks are sums of days.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
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

from tidewaiter.database.bound_statement import bound
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
_MOST_KEPT: Final = 16


class TrendWriter:
    """Adds to the sums, in a transaction of the caller.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
    """

    def __init__(self, dialect: str) -> None:
        self._upsert = bound(_upsert, dialect)

    def write(self, connection: Connection, updates: Iterable[JobUpdate]) -> None:
        """Count the jobs that land or end by these updates, in one statement; without such jobs in none."""
        added = trend_rows(updates)
        if added:
            rows = [(*key, value) for key, value in added]
            self._upsert.run(connection, {PARAMETER: encode(rows)})


class _PastSums:
    """Sums of days before yesterday that were read lately: nothing is added to those days any more.

    Their rows are the most of a reading, and adding them up takes hundreds of milliseconds for hundreds of operations.
    A result is used until the day ends, because the next day asks for another span.
    """

    def __init__(self) -> None:
        self.day: int | None = None
        """The day at which they were read ahead, by its begin."""
        self._found: OrderedDict[tuple[object, ...], list[tuple[Any, ...]]] = OrderedDict()

    def get(self, key: tuple[object, ...]) -> list[tuple[Any, ...]] | None:
        """The sums of this question; ``None`` if they were not kept."""
        if key in self._found:
            self._found.move_to_end(key)
        return self._found.get(key)

    def keep(self, key: tuple[object, ...], rows: list[tuple[Any, ...]]) -> None:
        """Keep the sums of a question, instead of those that were not used for longest."""
        self._found[key] = rows
        if len(self._found) > _MOST_KEPT:
            self._found.popitem(last=False)


class TrendStore:
    """Reads the sums. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where they are.
        scope: the accounts that it shows.
    """

    def __init__(self, database: Database, scope: Scope = EVERY_ACCOUNT) -> None:
        self._database = database
        self._scope = scope
        self._past = _PastSums()

    def limited_to(self, scope: Scope) -> "TrendStore":
        """The same with only the accounts of this scope."""
        limited = TrendStore(self._database, scope)
        limited._past = self._past
        return limited

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
        rows = await self._summed((trends.c.at,), step, begins[0], now, account=account, operation=operation)
        found: dict[int, dict[str, int]] = {at: {} for at in begins}
        for at, measure, value in rows:
            if (sums := found.get(step.begin(at))) is not None:
                sums[measure] = sums.get(measure, 0) + value
        return [TrendPeriod(at, Trend.of(sums)) for at, sums in found.items()]

    async def operations(
        self, step: TrendStep, number: int, now: float, *, account: str | None = None, operation: str | None = None
    ) -> list[OperationTrend]:
        """The sums of all these periods together, by account and operation. The arguments are those of `periods`."""
        since = step.begins(now, number)[0]
        return _by_operation(await self._summed(_OPERATION, step, since, now, account=account, operation=operation))

    async def durations(self, now: float, days: int = TYPICAL_DAYS) -> dict[tuple[str, str], Spread]:
        """How long the jobs of each account and operation took that succeeded in the last days."""
        since = TrendStep.DAY.begin(now - days * DAY_S)
        where = and_(self._where(TrendStep.DAY, since, now, None, None), trends.c.measure.startswith("duration:"))
        found = _by_operation(await self._rows(_sums(*_OPERATION).where(where).group_by(*_OPERATION, trends.c.measure)))
        return {(one.account, one.operation): one.sums.duration for one in found}

    async def read_ahead(self, now: float) -> None:
        """Add up the days before yesterday for pages without a filter, whose first look then does not wait for it."""
        if self._past.day != (today := TrendStep.DAY.begin(now)):
            for step in TrendStep:
                await self.periods(step, step.usual_number, now)
                await self.operations(step, step.usual_number, now)
            self._past.day = today

    async def delete_old(self, now: float) -> None:
        """Delete what is no longer kept."""
        old = [
            and_(trends.c.step_s == step.seconds, trends.c.at < step.begin(now - KEPT_DAYS[step] * DAY_S))
            for step in (TrendStep.HOUR, TrendStep.DAY)
        ]
        async with self._database.writing() as connection:
            await connection.execute(delete(trends).where(or_(*old)))

    async def _summed(
        self,
        by: tuple[ColumnElement[Any], ...],
        step: TrendStep,
        since: int,
        now: float,
        *,
        account: str | None,
        operation: str | None,
    ) -> list[tuple[Any, ...]]:
        """The sums of each measure since then, those of days before yesterday perhaps in rows of their own."""
        yesterday = TrendStep.DAY.begin(now) - DAY_S
        where = self._where(step, max(since, yesterday), now, account, operation)
        sums = _sums(*by).group_by(*by, trends.c.measure)
        newest = await self._rows(sums.where(where))
        if since >= yesterday:
            return newest
        names = tuple(column.name for column in by)
        key = (names, step is TrendStep.HOUR, since, yesterday, account, operation, self._scope.accounts)
        past = self._past.get(key)
        if past is None:
            past = await self._rows(sums.where(self._where(step, since, yesterday - 1, account, operation)))
            self._past.keep(key, past)
        return [*past, *newest]

    def _where(
        self, step: TrendStep, since: int, until: float, account: str | None, operation: str | None
    ) -> ColumnElement[bool]:
        # Each hour or day by its name: for a range PostgreSQL expects hours and days alike, and reads the whole table.
        step_s = HOUR_S if step is TrendStep.HOUR else DAY_S
        conditions = [trends.c.step_s == step_s, trends.c.at.in_(range(since, int(until) + 1, step_s))]
        if self._scope.accounts is not None:
            conditions.append(lanes.c.account.in_(sorted(self._scope.accounts)))
        if account is not None:
            conditions.append(lanes.c.account == account)
        if operation is not None:
            conditions.append(trends.c.operation == operation)
        return and_(*conditions)

    async def _rows(self, statement: Executable) -> list[tuple[Any, ...]]:
        return await self._database.read(lambda connection: [tuple(row) for row in connection.execute(statement)])


_OPERATION: Final = (lanes.c.account, trends.c.operation)


def _by_operation(rows: Iterable[tuple[Any, ...]]) -> list[OperationTrend]:
    found: dict[tuple[str, str], Counter[str]] = {}
    for account, operation, measure, value in rows:
        found.setdefault((account, operation), Counter())[measure] += value
    return [OperationTrend(*names, Trend.of(sums)) for names, sums in sorted(found.items())]


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
