"""The group commit as one statement, on PostgreSQL: one round trip, and no transaction around it.

The updates and what belongs to them are parts of one WITH: history, files, search terms and trends are written for the
jobs that the fenced updates have returned. A statement is atomic, and so is a group.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    Connection,
    Integer,
    Subquery,
    Table,
    cast,
    delete,
    func,
    select,
    union_all,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.dml import ReturningUpdate

from tidewaiter.database.bound_statement import BoundStatement
from tidewaiter.database.row_codec import encode, rows_of
from tidewaiter.database.tables import artifacts, history, job_terms, trends
from tidewaiter.database.update_statements import UPDATE, WAITING_UPDATE, moving_update, staying_update, waiting_update

_DIALECT: Final = "postgresql"
_UPDATES: Final[Mapping[str, tuple[Sequence[Any], Callable[[Subquery], ReturningUpdate[Any]]]]] = {
    "waiting": (WAITING_UPDATE, waiting_update),
    "staying": (UPDATE, staying_update),
    "moving": (UPDATE, moving_update),
}


class GroupStatement:
    """Collects the rows of a group, and writes them."""

    def __init__(self) -> None:
        self._updates: defaultdict[str, list[str]] = defaultdict(list)
        self._details: dict[str, str] = {}

    def update(self, kind: str, row: str) -> None:
        """Add an update, as text: ``waiting``, ``staying`` or ``moving``."""
        self._updates[kind].append(row)

    def details(self, kind: str, rows: Sequence[Sequence[object]]) -> None:
        """Add rows of ``history``, ``artifacts``, ``beyond`` (the last file), ``terms`` or ``trends``.

        Each row has its job's id, and is written only if the job's update is.
        """
        if rows:
            self._details[kind] = encode(rows)

    def write(self, connection: Connection, owner: str) -> frozenset[int]:
        """Write the group; returns the ids of the jobs whose update the fence permitted."""
        parameters: dict[str, str] = {f"{kind}_rows": f"[{','.join(rows)}]" for kind, rows in self._updates.items()}
        parameters |= {f"{kind}_rows": rows for kind, rows in self._details.items()}
        statement = _statement(tuple(sorted(self._updates)), tuple(sorted(self._details)))
        return frozenset(statement.run(connection, {**parameters, "owner": owner}).scalars())


@cache
def _statement(updates: tuple[str, ...], details: tuple[str, ...]) -> BoundStatement:
    """The statement for a group with these kinds of rows; there are a dozen of them."""
    parts = [make(rows_of(_DIALECT, columns, f"{kind}_rows")).cte(kind) for kind in updates
             for columns, make in (_UPDATES[kind],)]  # fmt: skip
    accepted = union_all(*(select(part.c.id) for part in parts)).cte("accepted")
    return BoundStatement(select(accepted.c.id).add_cte(*(_DETAILS[kind](accepted) for kind in details)))


def _given(table: Table, kind: str) -> Subquery:
    return rows_of(_DIALECT, [(column.name, column.type) for column in table.c], f"{kind}_rows")


def _history(accepted: CTE) -> CTE:
    rows = _given(history, "history")
    new = select(*rows.c).join(accepted, accepted.c.id == rows.c.job_id)
    return history.insert().from_select([column.name for column in history.c], new).cte("written_history")


def _artifacts(accepted: CTE) -> CTE:
    """A file that is landed again, after a step that died, replaces its first row."""
    rows = _given(artifacts, "artifacts")
    names = [column.name for column in artifacts.c]
    new = select(*rows.c).join(accepted, accepted.c.id == rows.c.job_id)
    added = postgresql.insert(artifacts).from_select(names, new)
    key = ["job_id", "number"]
    changed = {name: added.excluded[name] for name in names if name not in key}
    return added.on_conflict_do_update(index_elements=key, set_=changed).cte("written_artifacts")


def _beyond(accepted: CTE) -> CTE:
    rows = rows_of(_DIALECT, [("id", BigInteger()), ("last", Integer())], "beyond_rows")
    beyond = select(rows.c.id).where(rows.c.id == artifacts.c.job_id, artifacts.c.number > rows.c.last)
    of_job = beyond.join(accepted, accepted.c.id == rows.c.id).correlate(artifacts)
    # For a join PostgreSQL may read all files of all jobs; the members of an array are looked up.
    jobs = func.array(select(rows.c.id).scalar_subquery())
    return delete(artifacts).where(artifacts.c.job_id == func.any(jobs), of_job.exists()).cte("deleted_artifacts")


def _terms(accepted: CTE) -> CTE:
    rows = _given(job_terms, "terms")
    new = select(*rows.c).join(accepted, accepted.c.id == rows.c.job_id)
    added = postgresql.insert(job_terms).from_select([column.name for column in job_terms.c], new)
    return added.on_conflict_do_nothing().cte("written_terms")


def _trends(accepted: CTE) -> CTE:
    names = [column.name for column in trends.c]
    columns = [("job_id", BigInteger()), *((name, trends.c[name].type) for name in names)]
    rows = rows_of(_DIALECT, columns, "trends_rows")
    key = [rows.c[column.name] for column in trends.primary_key]
    # PostgreSQL's sum of whole numbers would be a decimal.
    sums = select(*key, cast(func.sum(rows.c.value), BigInteger)).join(accepted, accepted.c.id == rows.c.job_id)
    added = postgresql.insert(trends).from_select(names, sums.group_by(*key).order_by(*key))
    total = {"value": trends.c.value + added.excluded.value}
    return added.on_conflict_do_update(index_elements=[one.name for one in key], set_=total).cte("written_trends")


_DETAILS: Final[Mapping[str, Callable[[CTE], CTE]]] = {
    "history": _history,
    "artifacts": _artifacts,
    "beyond": _beyond,
    "terms": _terms,
    "trends": _trends,
}
