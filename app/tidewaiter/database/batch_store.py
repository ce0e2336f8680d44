"""Batches in the database, read: a page of them, and single ones with the counts of their jobs."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Text, bindparam, func, or_, select, tuple_

from tidewaiter.database.batch_counts import BATCH_COLUMNS, batch_of, counts_of
from tidewaiter.database.engine import Database
from tidewaiter.database.tables import backfills, batches, jobs, lanes
from tidewaiter.domain.account_scope import EVERY_ACCOUNT, Scope
from tidewaiter.domain.batch import Batch
from tidewaiter.domain.job import TERMINAL, State


class BatchStore:
    """The batches table. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where it is.
        scope: batches without jobs of these accounts are not found, and of others only these jobs are counted.
    """

    def __init__(self, database: Database, scope: Scope = EVERY_ACCOUNT) -> None:
        self._database = database
        self._scope = scope

    def limited_to(self, scope: Scope) -> "BatchStore":
        """The same, for these accounts."""
        return BatchStore(self._database, scope)

    async def get(self, name: str) -> Batch | None:
        """The batch of that name."""
        return (await self.named([name])).get(name)

    async def named(self, names: Collection[str]) -> dict[str, Batch]:
        """The batches with these names that exist."""
        found = await self._batches(select(*BATCH_COLUMNS).where(batches.c.name.in_(sorted(names)), *self._visible()))
        return {one.name: one for one in found}

    async def page(self, limit: int, before: str | None = None) -> list[Batch]:
        """Batches, the newest first; ``before`` is the last name of the previous page."""
        order = tuple_(batches.c.created_at, batches.c.name)
        statement = select(*BATCH_COLUMNS).where(*self._visible())
        if before is not None:
            last = _LAST.subquery()
            statement = statement.join(last, order < tuple_(last.c.created_at, last.c.name))
        statement = statement.order_by(batches.c.created_at.desc(), batches.c.name.desc()).limit(limit)
        return await self._batches(statement, before=before)

    def shared_with_others(self, connection: Connection, names: Collection[str]) -> frozenset[str]:
        """Those of the names whose batch has jobs of accounts outside of the scope.

        A transaction that has joined the batches holds their rows, so that it sees every job that others have added,
        and the others wait for its end.
        """
        if self._scope.accounts is None:
            return frozenset()
        found: set[str] = set()
        others = _SHARED.where(lanes.c.account.not_in(sorted(self._scope.accounts)))
        fills = _FILLS.where(backfills.c.account.not_in(sorted(self._scope.accounts)))
        for name in sorted(names):
            if connection.execute(others, {"name": name}).first() is not None:
                found.add(name)
            found |= set(connection.execute(fills, {"name": name}).scalars())
        return frozenset(found)

    async def unsuccessful(self, name: str) -> int:
        """How many jobs of the batch have ended without success and were not retried."""
        return await self._database.read(
            lambda connection: connection.execute(_UNSUCCESSFUL, {"name": name}).scalar_one()
        )

    def _visible(self) -> list[ColumnElement[bool]]:
        if self._scope.accounts is None:
            return []
        accounts = sorted(self._scope.accounts)
        has_job = select(jobs.c.id).where(jobs.c.batch == batches.c.name, jobs.c.account.in_(accounts)).exists()
        fills = select(backfills.c.batch).where(backfills.c.batch == batches.c.name, backfills.c.account.in_(accounts))
        return [or_(has_job, fills.exists())]

    async def _batches(self, statement: Select[Any], **parameters: object) -> list[Batch]:
        def read(connection: Connection) -> list[Batch]:
            rows: Sequence[Sequence[Any]] = connection.execute(statement, parameters).all()
            counts = counts_of(connection, [row[0] for row in rows])
            return [batch_of(row, counts).within(self._scope) for row in rows]

        return await self._database.read(read)


_LAST: Final = select(batches.c.created_at, batches.c.name).where(batches.c.name == bindparam("before", type_=Text()))
_UNSUCCESSFUL: Final = select(func.count()).where(
    jobs.c.batch == bindparam("name", type_=Text()),
    jobs.c.state.in_(sorted(state.value for state in TERMINAL - {State.SUCCEEDED})),
    jobs.c.retried_as.is_(None),
)
_FILLS: Final = select(backfills.c.batch).where(backfills.c.batch == bindparam("name", type_=Text()))
# One look into the index for each other account; a batch may have thousands of jobs of the caller's own accounts.
_SHARED: Final = (
    select(lanes.c.account)
    .where(
        select(jobs.c.id)
        .where(jobs.c.batch == bindparam("name", type_=Text()), jobs.c.account == lanes.c.account)
        .limit(1)
        .correlate(lanes)
        .scalar_subquery()
        .is_not(None)
    )
    .limit(1)
)
