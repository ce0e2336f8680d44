"""The SQLite file is deleted or replaced under a daemon that runs: it takes no job, says so, and ends."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from sqlite3 import connect

import aiohttp
import pytest

from tests.support.http_process import configured
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import DatabaseFileError
from tidewaiter.database.sqlite_files import files_of


def delete(file: Path) -> None:
    """Delete the database, as a person who cleans up."""
    for each in files_of(file):
        each.unlink(missing_ok=True)


def exchange(file: Path) -> None:
    """Put a copy in its place, as a person who restores a backup."""
    copy = file.with_name("copy")
    shutil.copy(file, copy)
    copy.replace(file)


def move(file: Path) -> None:
    """Move it away."""
    file.rename(file.with_name("elsewhere"))


def lose_wal(file: Path) -> None:
    """Delete only what SQLite has beside it."""
    wal_of(file).unlink()


def exchange_wal(file: Path) -> None:
    """Put a copy of that in its place."""
    copy = file.with_name("copy")
    shutil.copy(wal_of(file), copy)
    copy.replace(wal_of(file))


def wal_of(file: Path) -> Path:
    """The file that takes every commit."""
    return file.with_name(f"{file.name}-wal")


ROOT = Path(__file__).parents[2]
WAL_LOSSES = pytest.mark.parametrize("lose", [lose_wal, exchange_wal])
LOSSES = pytest.mark.parametrize("lose", [delete, exchange, move])


@pytest.mark.fault(64)
@LOSSES
async def test_no_transaction_begins(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    """Neither a write nor a read is done in a file that nobody will find again."""
    file = tmp_path / "jobs.db"
    database = Database.open(f"sqlite:///{file}", SystemClock())
    try:
        assert await database.schema_version() is None
        lose(file)
        for opened in (database, database.for_readers):
            with pytest.raises(DatabaseFileError, match="while this process had it open"):
                async with opened.writing():
                    pass
            with pytest.raises(DatabaseFileError, match="start the daemon again"):
                async with opened.reading():
                    pass
    finally:
        await database.close()


@pytest.mark.fault(64)
@WAL_LOSSES
async def test_no_transaction_begins_without_the_wal(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    """A commit would be written to a file that no other process reads; what is committed is there after the close."""
    file = tmp_path / "jobs.db"
    database = Database.open(f"sqlite:///{file}", SystemClock())
    try:
        await database.write(lambda connection: connection.exec_driver_sql("CREATE TABLE kept (number INTEGER)"))
        database.check_file()
        lose(file)
        with pytest.raises(DatabaseFileError, match=r"-wal of the database .* while this process had it open"):
            await database.write(lambda connection: connection.exec_driver_sql("DROP TABLE kept"))
        with pytest.raises(DatabaseFileError, match="start the daemon again"):
            await database.read(lambda connection: connection.exec_driver_sql("SELECT 1"))
    finally:
        await database.close()
    wal_of(file).unlink(missing_ok=True)
    with closing(connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


@pytest.mark.fault(64)
async def test_a_wal_that_the_last_connection_has_removed(tmp_path: Path) -> None:
    """A database without an open connection has none; the next connection makes another. Nothing is lost."""
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    watching, writing = Database.open(url, SystemClock()), Database.open(url, SystemClock())
    try:
        await writing.write(lambda connection: connection.exec_driver_sql("CREATE TABLE kept (number INTEGER)"))
        watching.check_file()
        before = wal_of(tmp_path / "jobs.db").stat().st_ino
        (tmp_path / "keeps its inode").hardlink_to(wal_of(tmp_path / "jobs.db"))
        await writing.close()
        await watching.write(lambda connection: connection.exec_driver_sql("DROP TABLE kept"))
        assert wal_of(tmp_path / "jobs.db").stat().st_ino != before
        watching.check_file()
    finally:
        await watching.close()


@asynccontextmanager
async def daemon(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A daemon in a process of its own; killed at the end if it still runs."""
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tidewaiter.cli.main", "--config", str(folder / "tidewaiter.toml"), "serve",
            stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.fault(64)
@pytest.mark.slow
@pytest.mark.parametrize("lose", [delete, exchange, move, lose_wal])
async def test_the_daemon_ends(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    """No submit is accepted after the loss, the log says why, and the exit code is 74."""
    address = configured(tmp_path, f"sqlite:///{tmp_path}/jobs.db").http.listen
    async with daemon(tmp_path) as process, aiohttp.ClientSession(f"http://{address}") as session:
        await _ready(session)
        assert await _asked(session) == [202]
        lose(tmp_path / "jobs.db")
        statuses: list[int] = []
        async with asyncio.timeout(20):
            while process.returncode is None:
                statuses += await _asked(session)
        assert set(statuses) <= {503}
        assert process.returncode == 74
    lines = (tmp_path / "log").read_text()
    assert '"store.lost"' in lines
    if lose is lose_wal:
        with closing(connect(tmp_path / "jobs.db")) as connection:
            assert connection.execute("SELECT count(*) FROM jobs").fetchone()[0] >= 1
    assert "daemon.failed" not in lines


async def _ready(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                async with session.get("/readyz") as reply:
                    if reply.status == 200 and (await reply.json())["phase"] == "serving":
                        return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


async def _asked(session: aiohttp.ClientSession) -> list[int]:
    """The status of a submit; nothing if the daemon has ended."""
    body = {"account": "shop", "operation": "report", "params": {}}
    try:
        async with session.post("/v1/jobs", json=body) as reply:
            return [reply.status]
    except aiohttp.ClientConnectionError:
        await asyncio.sleep(0.02)
        return []
