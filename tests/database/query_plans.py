"""The plans of the statements that a piece of work runs, on a table with many jobs."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine, event, text

from tests.support.database_engines import all_engines
from tests.support.stored_jobs import Stores

WAITING = 20_000


FILL_SQLITE = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :number)
    INSERT INTO jobs (lane, account, operation, params, state, version, due_at, created_at, deadline_at, track)
    SELECT :lane, 'acme', 'statistics', '{}', 'polling', 3, 1750000000 + n, 0, 0, n % 2 FROM numbers
"""


FILL_POSTGRESQL = """
    INSERT INTO jobs (lane, account, operation, params, state, version, due_at, created_at, deadline_at, track)
    SELECT :lane, 'acme', 'statistics', '{}', 'polling', 3, 1750000000 + n, 0, 0, n % 2
    FROM generate_series(1, :number) AS n
"""


@contextmanager
def statements_run(engine: Engine) -> Iterator[list[tuple[str, object]]]:
    """Every statement that goes to the driver meanwhile, with its parameters."""
    statements: list[tuple[str, object]] = []

    def listen(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", listen)
    yield statements
    event.remove(engine, "before_cursor_execute", listen)


async def plan_of(stores: Stores, work: Callable[[], Awaitable[object]]) -> str:
    """The plans of the statements that ``work`` runs."""
    statements: list[tuple[str, object]] = []
    for engine in all_engines(stores.database):
        with statements_run(engine) as recorded:
            await work()
        statements += recorded
    return await plan_of_statements(stores, statements)


async def plan_of_statements(stores: Stores, recorded: Sequence[tuple[str, object]]) -> str:
    """The plans of statements that :func:`statements_run` has recorded."""
    database = stores.database
    statements = [one for one in recorded if not one[0].startswith(("BEGIN", "EXPLAIN"))]
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
    lines: list[str] = []
    async with database.reading() as connection:
        for statement, parameters in statements:
            rows = await connection.exec_driver_sql(explain + statement, parameters)  # type: ignore[arg-type]  # as recorded
            lines += [" ".join(str(value) for value in row) for row in rows]
    assert lines
    return "\n".join(lines)


async def fill(stores: Stores) -> None:
    """Put in many jobs that wait."""
    async with stores.database.writing() as connection:
        fill = FILL_SQLITE if stores.database.dialect == "sqlite" else FILL_POSTGRESQL
        await connection.execute(text(fill), {"lane": stores.lane.id, "number": WAITING})
        await connection.execute(text("ANALYZE" if stores.database.dialect == "postgresql" else "SELECT 1"))


def walks(plan: str) -> list[str]:
    """The lines of a plan that read a whole table of jobs, or sort."""
    signs = ("SCAN jobs", "Seq Scan on jobs", "Sort Key: jobs")
    return [line for line in plan.splitlines() if any(sign in line for sign in signs)]
