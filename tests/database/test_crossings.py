"""How often a piece of work crosses to SQLite's thread, and how many statements and transactions it has."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event, text

from tests.database.query_plans import statements_run
from tests.support.database_counts import DatabaseCounts, counting
from tests.support.database_engines import group_engine
from tests.support.stored_jobs import NOW, OWNER, StandingClock, Stores, artifact
from tidewaiter.database.account_store import AccountStore
from tidewaiter.database.delivery_store import DeliveryStore
from tidewaiter.database.engine import Database
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.postgres_engines import TRUSTED_S
from tidewaiter.database.trend_store import TrendStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.trends import TrendStep

LINK = Link("https://files.example.com/0.csv")
_FILES = (artifact(0), artifact(1))


async def _counts_of_ends(stores: Stores, jobs: int) -> DatabaseCounts:
    """What one group costs in which so many jobs land their files and end."""
    fetching = [await stores.accepted(await stores.polling(f"{jobs}-{n}"), o.Ready((LINK,))) for n in range(jobs)]
    group = [stores.update(job, o.Stored(_FILES)) for job in fetching]
    with counting() as counts:
        result = await stores.jobs.record(group, OWNER)
    assert len(result.accepted) == jobs
    return counts


async def test_a_group_crosses_once(sqlite_url: str) -> None:
    """One crossing and one transaction, however many jobs land in it; the statements do not grow with them either."""
    database = Database.open(sqlite_url, StandingClock())
    stores = await Stores.set_up(database)
    one, many = await _counts_of_ends(stores, 1), await _counts_of_ends(stores, 40)
    await database.close()
    assert (one.crossings, one.commits) == (many.crossings, many.commits) == (1, 1)
    assert one.statements == many.statements <= 8


async def test_a_poll_that_was_not_yet_is_one_slim_statement(stores: Stores) -> None:
    """On both databases: nothing is written but what such a poll changes."""
    group = [stores.update(await stores.polling(f"h-{n}"), o.Pending("PENDING")) for n in range(3)]
    with statements_run(group_engine(stores.database)) as statements:
        result = await stores.jobs.record(group, OWNER)
    assert len(result.accepted) == 3
    (statement,) = [one for one, _ in statements if not one.startswith("BEGIN")]
    assert "polls=" in statement
    assert "links" not in statement


@pytest.mark.parametrize("kind", [LaneStore, AccountStore, DeliveryStore])
async def test_statements_are_built_once(database: Database, kind: Callable[[Database], object]) -> None:
    """A daemon has several stores of a kind, and a command one: to build a statement takes longer than to run it."""
    one, other = vars(kind(database)), vars(kind(database))
    assert len(one) > 1
    assert all(other[name] is value for name, value in one.items())


async def test_the_sql_of_a_group_is_made_once(stores: Stores) -> None:
    """No statement of a group is looked up by a key, which takes longer to compute than the statement to run."""
    fetching = await stores.accepted(await stores.polling("f"), o.Ready((LINK,)))
    group = [stores.update(fetching, o.Stored(_FILES)), stores.update(await stores.polling("p"), o.Pending("PENDING"))]
    engine, looked_up = group_engine(stores.database), list[str]()

    def look_up(_connection: object, statement: object, *_: object) -> None:
        looked_up.append(str(statement))

    event.listen(engine, "before_execute", look_up)
    with statements_run(engine) as statements:
        result = await stores.jobs.record(group, OWNER)
    event.remove(engine, "before_execute", look_up)
    assert len(result.accepted) == 2
    assert statements
    assert looked_up == []


async def test_a_group_is_one_round_trip(postgres_url: str) -> None:
    """On PostgreSQL polls, moves and landed files are one statement, which is a transaction by itself."""
    database = Database.open(postgres_url, StandingClock())
    stores = await Stores.set_up(database)
    fetching = await stores.accepted(await stores.polling("f"), o.Ready((LINK,)))
    polling, moving = await stores.polling("p"), await stores.add()
    group = [
        stores.update(fetching, o.Stored(_FILES)),
        stores.update(polling, o.Pending("PENDING")),
        stores.update(moving, o.Intended("intent")),
    ]
    with counting() as counts:
        result = await stores.jobs.record(group, OWNER)
    assert result.accepted == {fetching.id, polling.id, moving.id}
    assert (counts.statements, counts.commits) == (1, 0)
    assert [one.key for one in await stores.jobs.artifacts(fetching.id)] == [one.key for one in _FILES]
    assert len(await stores.jobs.history(moving.id)) == 2
    assert (await TrendStore(database).operations(TrendStep.DAY, 1, NOW))[0].sums.landed == 1
    await database.close()


async def test_a_connection_in_use_is_not_asked_first(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read and a group are one round trip each, and the connection's settings stay; after a rest one more asks."""
    clock = StandingClock()
    database = Database.open(postgres_url, clock)
    stores = await Stores.set_up(database)
    job = await stores.add()
    group = [stores.update(job, o.Intended("intent"))]
    await stores.jobs.artifacts(job.id)
    sent: list[str] = []

    def counted(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def counting_call(*given: Any, **named: Any) -> Any:
            sent.append(name)
            return real(*given, **named)

        monkeypatch.setattr(owner, name, counting_call)

    counted(psycopg.AsyncCursor, "execute")
    for name in ("set_autocommit", "set_isolation_level", "rollback", "commit"):
        counted(psycopg.AsyncConnection, name)
    await stores.jobs.artifacts(job.id)
    assert sent == ["execute"]
    await stores.jobs.record(group, OWNER)
    assert sent == ["execute"] * 2
    clock.at += TRUSTED_S
    await stores.jobs.artifacts(job.id)
    assert sent == ["execute"] * 4
    await database.close()


async def test_a_failed_function_leaves_nothing(sqlite_url: str) -> None:
    """An error in the middle undoes the whole function, and the next one finds a connection without a transaction."""
    database = Database.open(sqlite_url, StandingClock())
    stores = await Stores.set_up(database)

    def half(connection: Connection) -> None:
        connection.execute(text("DELETE FROM lanes"))
        raise RuntimeError("the middle")

    with pytest.raises(RuntimeError, match="the middle"):
        await database.write(half)
    job = await stores.add()
    assert await stores.jobs.get(job.id) == job
    assert await stores.lanes.ids("acme") == [stores.lane.id]
    await database.close()
