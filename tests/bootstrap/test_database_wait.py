"""A daemon waits for a PostgreSQL server that is down when it starts, and no longer than it was told."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.support.http_process import free_address
from tests.support.postgres import Line, Postgres
from tidewaiter.bootstrap.database_wait import wait_for_database
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import SchemaError, StoreUnavailableError
from tidewaiter.log import EventLog, configure


@asynccontextmanager
async def _log(output: io.StringIO) -> AsyncIterator[EventLog]:
    log = configure("json", "info", stream=output, strict=True)
    try:
        yield log
    finally:
        log.close()


@pytest.mark.slow
async def test_a_server_that_comes_later(postgres: Postgres) -> None:
    """The daemon says once why it waits, and goes on when the server is there."""
    port, name = int(free_address().rpartition(":")[2]), postgres.create()
    line, output, failed = Line(postgres.socket), io.StringIO(), asyncio.Event()
    url = f"postgresql://postgres@127.0.0.1:{port}/{name}?sslmode=disable&gssencmode=disable"
    database = Database.open(url, SystemClock())
    async with _log(output) as log, AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        log.observe(lambda *_: failed.set())
        waiting = asyncio.create_task(
            wait_for_database(database, 30, stop=asyncio.Event(), clock=SystemClock(), log=log)
        )
        await failed.wait()
        assert not waiting.done()
        await stack.enter_async_context(line.open(port))
        assert await waiting
        await database.close()
    assert output.getvalue().count("cannot be reached") == 1
    postgres.drop(name)


async def test_the_wait_ends(tmp_path: Path) -> None:
    """It ends with the reason when the time is over, at once when the daemon is stopped, and is not begun on SQLite."""
    url = f"postgresql://postgres@{free_address()}/x?sslmode=disable&gssencmode=disable"
    database, sqlite = Database.open(url, SystemClock()), Database.open(f"sqlite:///{tmp_path}/x.db", SystemClock())
    stop, clock = asyncio.Event(), SystemClock()
    async with _log(io.StringIO()) as log:
        log.observe(lambda *_: stop.set())
        assert not await wait_for_database(database, 600, stop=stop, clock=clock, log=log)
    async with _log(io.StringIO()) as log:
        with pytest.raises(StoreUnavailableError, match=r"cannot be reached.* It was tried for 0.05 s"):
            await wait_for_database(database, 0.05, stop=asyncio.Event(), clock=clock, log=log)
        with pytest.raises(SchemaError, match="no tables yet"):
            await wait_for_database(sqlite, 600, stop=asyncio.Event(), clock=clock, log=log)
    await database.close()
    await sqlite.close()
