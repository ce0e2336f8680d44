"""The SQLite file is deleted or replaced under a daemon that runs: it takes no job, says so, and ends."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

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


ROOT = Path(__file__).parents[2]
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
@LOSSES
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
