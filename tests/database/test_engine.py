"""Opening a database, transactions, the schema check, and messages for databases that cannot be used."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import exc, text

from tests.support.postgres import Line, Postgres
from tests.support.stored_jobs import NOW, OWNER, StandingClock
from tidewaiter.database import engine, migrate, postgres_engines, sqlite_engines
from tidewaiter.database.engine import Database, SchemaError, StoreUnavailableError
from tidewaiter.database.errors import unavailable
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.postgres_engines import TRUSTED_S
from tidewaiter.database.schema_check import known_revisions
from tidewaiter.database.sql_functions import DatabaseNow

PASSWORD = "s3cret-canary"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://me:s3cret-canary@host/x", "must begin with sqlite: or postgresql:"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("s3cret-canary", "cannot be read"),
    ],
)
def test_unusable_url(url: str, sentence: str, clock: StandingClock) -> None:
    """A wrong URL is refused with a sentence that does not repeat it, for it may hold a password."""
    with pytest.raises(ValueError, match=sentence) as caught:
        Database.open(url, clock)
    assert PASSWORD not in str(caught.value)


def test_name_holds_no_secret(clock: StandingClock, tmp_path: Path) -> None:
    """The name is for logs: the password and the query, which may hold one, are left out."""
    url = f"postgresql://me:{PASSWORD}@host:5433/jobs?sslpassword={PASSWORD}"
    database = Database.open(url, clock)
    assert database.name == "postgresql://me@host:5433/jobs"
    assert (database.exclusive, database.dialect) == (False, "postgresql")

    file = Database.open(f"sqlite:///{tmp_path}/new/folder/x.db", clock)
    assert file.name == f"sqlite:///{tmp_path}/new/folder/x.db"
    assert (file.exclusive, file.dialect) == (True, "sqlite")
    assert (tmp_path / "new" / "folder").is_dir()


def test_folder_that_cannot_be_made(clock: StandingClock, tmp_path: Path) -> None:
    """A path below a file is a sentence, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match=r"folder .* of the database cannot be created"):
        Database.open(f"sqlite:///{tmp_path}/file/below/x.db", clock)


def test_sqlite_that_is_too_old(clock: StandingClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python whose SQLite lacks what the statements need is refused at once."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(StoreUnavailableError, match="too old"):
        Database.open(f"sqlite:///{tmp_path}/x.db", clock)


async def test_transaction_is_all_or_nothing(database: Database) -> None:
    """An error rolls everything back; the next transaction finds the connection in order."""

    async def fail() -> None:
        async with database.writing() as connection:
            await connection.execute(text("INSERT INTO lanes (account, shard) VALUES ('a', 0)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await LaneStore(database).all_lanes() == []
    await LaneStore(database).ensure({"a": 1})
    assert len(await LaneStore(database).all_lanes()) == 1


async def test_cancelled_transaction(database: Database) -> None:
    """A task that is cancelled in its transaction, at rest or in a statement, writes nothing and blocks nobody."""
    slow = "SELECT pg_sleep(20)" if database.dialect == "postgresql" else "SELECT 1"
    for rest in (False, True):
        begun = asyncio.Event()

        async def work(begun: asyncio.Event = begun, *, rest: bool = rest) -> None:
            async with database.writing() as connection:
                await connection.execute(text("INSERT INTO lanes (account, shard) VALUES ('a', 0)"))
                begun.set()
                if not rest:
                    await connection.execute(text(slow))
                await asyncio.Event().wait()

        task = asyncio.ensure_future(work())
        await begun.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await LaneStore(database).all_lanes() == []
    await LaneStore(database).ensure({"a": 1})


async def test_reading_never_waits_for_the_writer(database: Database) -> None:
    """While a transaction is open, readers go on and see what was there before it."""
    async with database.writing() as connection:
        await connection.execute(text("INSERT INTO lanes (account, shard) VALUES ('a', 0)"))
        async with asyncio.timeout(2):
            assert await LaneStore(database).all_lanes() == []
    assert len(await LaneStore(database).all_lanes()) == 1


async def test_who_looks_keeps_nobody_waiting(database: Database) -> None:
    """While every reader for lookers is taken, the daemon reads and writes; lookers see and write the same tables."""
    lent = database.for_readers
    async with lent.reading() as one, lent.reading() as other:
        async with asyncio.timeout(5):
            await LaneStore(database).ensure({"a": 1})
            assert len(await LaneStore(database).all_lanes()) == 1
        assert (await other.execute(text("SELECT count(*) FROM lanes"))).scalar() == 1
        if database.dialect == "postgresql":
            assert (await one.execute(text("SHOW statement_timeout"))).scalar() == "8s"
    await LaneStore(lent).ensure({"b": 1})
    assert len(await LaneStore(lent).all_lanes()) == 2


async def test_readers_cannot_write_on_sqlite(sqlite_url: str, clock: StandingClock) -> None:
    """A write on a reading connection is refused: it would bypass the one writer."""
    database = Database.open(sqlite_url, clock)
    with pytest.raises(StoreUnavailableError, match="may not be written"):
        async with database.reading() as connection:
            await connection.execute(text("INSERT INTO lanes (account, shard) VALUES ('a', 0)"))
    await database.close()


@pytest.mark.fault(13)
async def test_sqlite_is_durable_and_takes_turns(sqlite_url: str, clock: StandingClock) -> None:
    """Every connection syncs each commit; writers of one process wait for each other, not for a timeout."""
    database = Database.open(sqlite_url, clock)
    for connect in (database.reading, database.writing):
        async with connect() as connection:
            pragmas = [
                (await connection.execute(text(f"PRAGMA {name}"))).scalar()
                for name in ("synchronous", "journal_mode", "foreign_keys", "busy_timeout")
            ]
        assert pragmas == [2, "wal", 1, 5000]
    await asyncio.gather(*(LaneStore(database).ensure({f"a{number}": 1}) for number in range(50)))
    assert len(await LaneStore(database).all_lanes()) == 50
    await database.close()


async def test_12_a_writer_has_the_lock_from_the_beginning(sqlite_url: str, clock: StandingClock) -> None:
    """A transaction that reads first has it too: nobody else writes between what it reads and what it writes."""
    database = Database.open(sqlite_url, clock)
    path = sqlite_url.removeprefix("sqlite:///")
    async with database.writing() as connection:
        await connection.execute(text("SELECT 1"))
        with closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)) as other:
            locked = pytest.raises(sqlite3.OperationalError, match="locked")
            with locked:
                other.execute("BEGIN IMMEDIATE")
    await database.close()


async def test_database_clock(database: Database, clock: StandingClock) -> None:
    """On SQLite the injected clock, on PostgreSQL the server's, which moves on within a transaction."""
    async with database.writing() as connection:
        first = (await connection.execute(DatabaseNow().select())).scalar_one()
        clock.at += 7.0
        second = (await connection.execute(DatabaseNow().select())).scalar_one()
    assert second > first
    if database.dialect == "sqlite":
        assert (first, second) == (NOW, NOW + 7.0)


# --- the schema check -------------------------------------------------------------------------------------------------


async def test_schema_is_right(database: Database) -> None:
    """A migrated database passes."""
    assert await database.schema_version() == known_revisions()[-1]
    await database.check_schema()


async def test_schema_is_missing(clock: StandingClock, tmp_path: Path, postgres: Postgres) -> None:
    """An empty database is refused with the command that helps."""
    name = postgres.create(migrated=False)
    for url in (f"sqlite:///{tmp_path}/empty.db", postgres.url(name)):
        database = Database.open(url, clock)
        assert await database.schema_version() is None
        with pytest.raises(SchemaError, match=r"has no tables yet: run `tidewaiter db upgrade`\."):
            await database.check_schema()
        await database.close()
    postgres.drop(name)


@pytest.mark.fault(10, 18)
async def test_schema_is_newer(database: Database) -> None:
    """A database that a newer program has upgraded is refused."""
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(
        SchemaError, match=f"at revision 9999, which is newer than this program, whose last is {known_revisions()[-1]}"
    ):
        await database.check_schema()


async def test_schema_is_older(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that this program has not upgraded yet is refused with the command that helps."""
    last = known_revisions()[-1]
    monkeypatch.setattr(engine, "known_revisions", lambda: (*known_revisions(), "7777"))
    message = f"at revision {last} and this program needs 7777: run `tidewaiter db upgrade`"
    with pytest.raises(SchemaError, match=message):
        await database.check_schema()


# --- when it cannot be used -------------------------------------------------------------------------------------------


@pytest.mark.fault(58)
async def test_unreachable_postgresql(clock: StandingClock, unused_tcp_port: int) -> None:
    """Nobody listens: one sentence, without the password."""
    database = Database.open(f"postgresql://me:{PASSWORD}@127.0.0.1:{unused_tcp_port}/x", clock)
    with pytest.raises(StoreUnavailableError, match=r"^The database cannot be reached: .*refused\.$") as caught:
        await database.schema_version()
    assert PASSWORD not in str(caught.value)
    assert not caught.value.full
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        migrate.upgrade(f"postgresql://me:{PASSWORD}@127.0.0.1:{unused_tcp_port}/x")


async def test_database_that_does_not_exist(clock: StandingClock, postgres: Postgres) -> None:
    """A wrong name is the operator's business, and said so."""
    database = Database.open(postgres.url("nowhere"), clock)
    with pytest.raises(StoreUnavailableError, match='database "nowhere" does not exist'):
        await database.schema_version()


@pytest.mark.fault(12)
async def test_sqlite_held_by_another_program(
    sqlite_url: str, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that does not go away is waited for a bounded time, then told; reading goes on."""
    monkeypatch.setattr(sqlite_engines, "BUSY_MS", 50)
    database = Database.open(sqlite_url, clock)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="is held by another program: database is locked"):
        await LaneStore(database).ensure({"a": 1})
    assert await LaneStore(database).all_lanes() == []
    other.execute("ROLLBACK")
    other.close()
    await LaneStore(database).ensure({"a": 1})
    await database.close()


@pytest.mark.fault(14)
async def test_sqlite_without_room(sqlite_url: str, clock: StandingClock) -> None:
    """A full disk is a case of its own, with its own fix; free space is used again."""
    database = Database.open(sqlite_url, clock)
    lanes = LaneStore(database)
    async with database.writing() as connection:
        pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
        await connection.execute(text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StoreUnavailableError, match="has no room left: database or disk is full") as caught:
        await lanes.ensure({"a": 5_000})
    assert caught.value.full
    async with database.writing() as connection:
        await connection.execute(text("PRAGMA max_page_count = 1000000"))
    await lanes.ensure({"a": 5_000})
    await database.close()


async def test_damaged_sqlite(clock: StandingClock, tmp_path: Path) -> None:
    """A file that is no database is told as such."""
    (tmp_path / "x.db").write_bytes(b"this is no database" * 100)
    database = Database.open(f"sqlite:///{tmp_path}/x.db", clock)
    with pytest.raises(StoreUnavailableError, match="is damaged: file is not a database"):
        await database.check_schema()
    await database.close()


async def test_mistakes_of_ours_stay_mistakes(database: Database) -> None:
    """A wrong statement is no outage: nobody shall retry it for ever; and its values are in no traceback."""
    with pytest.raises(exc.DBAPIError) as caught:
        async with database.writing() as connection:
            await connection.execute(text("SELECT nothing FROM nowhere WHERE x = :secret"), {"secret": PASSWORD})
    assert PASSWORD not in str(caught.value)


def test_what_postgresql_says() -> None:
    """SQLSTATE decides what is an outage: a full disk, a deadlock, a shutdown; a duplicate or a bad query is none."""

    def translated(error: psycopg.Error) -> StoreUnavailableError | None:
        return unavailable(exc.DBAPIError("statement", None, error))

    full = translated(psycopg.errors.DiskFull("no space"))
    assert full is not None
    assert (full.full, str(full)) == (True, "The database has no room left: no space.")
    outages: tuple[type[psycopg.Error], ...] = (
        psycopg.errors.DeadlockDetected,
        psycopg.errors.AdminShutdown,
        psycopg.errors.QueryCanceled,
        psycopg.errors.TooManyConnections,
        psycopg.errors.ReadOnlySqlTransaction,
        psycopg.errors.LockNotAvailable,
        psycopg.errors.InvalidPassword,
        psycopg.OperationalError,
    )
    for kind in outages:
        outage = translated(kind("first line\nDETAIL: second line"))
        assert outage is not None
        assert not outage.full
        assert str(outage).endswith(": first line.")
    mistakes = (psycopg.errors.UniqueViolation, psycopg.errors.UndefinedTable, psycopg.InterfaceError)
    assert [translated(kind("mistake")) for kind in mistakes] == [None] * 3
    assert unavailable(ValueError("mistake")) is None


async def test_every_connection_taken(postgres_url: str, clock: StandingClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no connection comes free in time, that is an outage, too."""
    monkeypatch.setattr(postgres_engines, "_STATEMENTS", {"pool_size": 2, "max_overflow": 0})
    monkeypatch.setattr(postgres_engines, "_POOL_WAIT_S", 0.05)
    database = Database.open(postgres_url, clock)
    async with database.reading(), database.reading():
        with pytest.raises(StoreUnavailableError, match="no connection free"):
            await database.schema_version()
    await database.close()


@pytest.mark.fault(15)
async def test_bounced_postgresql(postgres: Postgres, clock: StandingClock) -> None:
    """A server that was killed and started again is used again, and what it had acknowledged is there."""
    name = postgres.create()
    database = Database.open(postgres.url(name), clock)
    lanes = LaneStore(database)
    await lanes.ensure({"a": 3})
    await asyncio.gather(*(lanes.all_lanes() for _ in range(5)))
    await asyncio.to_thread(postgres.kill)
    with pytest.raises(StoreUnavailableError):
        await lanes.all_lanes()
    await asyncio.to_thread(postgres.start)

    assert len(await lanes.all_lanes()) == 3
    assert len(await lanes.take(OWNER, 3, 30.0, force=False, accounts=["a"])) == 3
    await database.close()
    postgres.drop(name)


async def test_15_a_connection_that_was_closed_meanwhile(postgres_url: str, clock: StandingClock) -> None:
    """It is replaced before anything is sent on it: nobody sees that it was gone."""
    database = Database.open(postgres_url, clock)
    lanes = LaneStore(database)
    await lanes.ensure({"a": 1})
    with psycopg.connect(postgres_url, autocommit=True) as other:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        other.execute(f"SELECT pg_terminate_backend(pid, 5000) {others}")
    clock.at += TRUSTED_S
    await lanes.ensure({"a": 2})
    assert len(await lanes.all_lanes()) == 2
    await database.close()


@pytest.mark.fault(15)
async def test_server_goes_away_in_a_transaction(postgres: Postgres, clock: StandingClock) -> None:
    """A connection that breaks in the middle is an outage, and the next transaction gets another connection."""
    name = postgres.create()
    database = Database.open(postgres.url(name), clock)
    with pytest.raises(StoreUnavailableError):
        async with database.writing() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    await LaneStore(database).ensure({"a": 1})
    await database.close()
    postgres.drop(name)


@pytest.mark.fault(15)
@pytest.mark.slow
async def test_silent_network(postgres: Postgres, clock: StandingClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that never comes is an outage after a bounded wait; when the network is back, work goes on."""
    name = postgres.create()
    async with Line(postgres.socket).open() as line:
        database = Database.open(line.url(name), clock)
        lanes = LaneStore(database)
        await lanes.ensure({"a": 1})
        line.silent = True
        with monkeypatch.context() as shorter:
            shorter.setattr(engine, "_ANSWER_S", 0.3)
            with pytest.raises(StoreUnavailableError, match="does not answer"):
                await lanes.all_lanes()
        line.silent = False
        assert len(await lanes.all_lanes()) == 1
        await database.close()
    postgres.drop(name)
