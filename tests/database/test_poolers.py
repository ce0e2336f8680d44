"""A connection pooler that Tidewaiter cannot use is told as such, with what to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from tests.support.postgres import Line, Postgres
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import StoreUnavailableError, unavailable


@asynccontextmanager
async def pooler(refusal: str) -> AsyncIterator[str]:
    """The URL of a server that refuses each connection as PgBouncer 1.18 does, with a message of the protocol."""
    fields = b"SFATAL\0" + b"C08P01\0" + b"M" + refusal.encode() + b"\0\0"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://tide@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable"


@pytest.mark.parametrize("parameter", ["options", "in options: statement_timeout"])
async def test_a_pooler_that_refuses_the_limits(parameter: str) -> None:
    """Both versions of the refusal become a sentence that names the pooler and the remedy."""
    between = ": " if parameter == "options" else " "
    async with pooler(f"unsupported startup parameter{between}{parameter}") as url:
        database = Database.open(url, SystemClock())
        with pytest.raises(StoreUnavailableError, match=r"connection pooler that refuses the limits .*session mode"):
            await database.now()
        await database.close()


@pytest.mark.parametrize("statements", [("PREPARE one AS SELECT 1",) * 2, ("EXECUTE one",)])
async def test_a_session_that_changes(postgres_url: str, statements: tuple[str, ...]) -> None:
    """A prepared statement that is there twice, or not at all, means that the session was exchanged."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for one in statements[:-1]:
            connection.execute(one.encode())
        with pytest.raises(psycopg.Error) as raised:
            connection.execute(statements[-1].encode())
    assert "does not keep a session" in str(unavailable(raised.value))


@pytest.mark.fault(15)
async def test_nothing_is_prepared_behind_a_pooler(postgres: Postgres, postgres_url: str) -> None:
    """In transaction mode the name of a prepared statement could be that of another connection's statement."""
    name = postgres_url.partition("@/")[2].partition("?")[0]
    async with Line(postgres.socket).open() as line:
        for hidden in (b"", b"options\0"):
            line.hidden = hidden
            database = Database.open(line.url(name), SystemClock())
            async with database.reading() as connection:
                for _ in range(10):
                    await connection.exec_driver_sql("SELECT 1 + 1")
                prepared = (
                    await connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements")
                ).scalar_one()
            await database.close()
            assert (prepared > 0) == (hidden == b"")
