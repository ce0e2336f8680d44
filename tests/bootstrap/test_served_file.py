"""A daemon does not serve another SQLite file than was served last, until a person has accepted it (fault 64)."""

import asyncio
import errno
import io
import os
from pathlib import Path

import pytest

from tests.support.http_process import configured, process
from tidewaiter import bootstrap
from tidewaiter.bootstrap import accept_database, faults_of_served_file
from tidewaiter.bootstrap.served_file import keeping_mark
from tidewaiter.clock import SystemClock
from tidewaiter.config import Config
from tidewaiter.database import migrate
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.errors import DatabaseFileError, StoreUnavailableError
from tidewaiter.database.sqlite_files import files_of
from tidewaiter.log import configure

JOB = {"account": "shop", "operation": "report", "params": {}}


async def _submit(config: Config) -> int:
    async with process(config) as running:
        await running.until("/readyz", 200, phase="serving")
        async with running.session.post(f"{running.url}/v1/jobs", json=JOB) as reply:
            assert reply.status == 202
            number: int = (await reply.json())["id"]
    return number


@pytest.mark.slow
async def test_a_lost_file_is_accepted_by_a_person_alone(tmp_path: Path) -> None:
    """No command makes an empty database in place of a lost one; after `db accept`, numbers go on after its jobs."""
    config = configured(tmp_path, f"sqlite:///{tmp_path}/jobs.db")
    async with process(config) as running:
        await running.until("/readyz", 200, phase="serving")
        with pytest.raises(StoreUnavailableError, match="stop it first"):
            accept_database(config)
    assert await _submit(config) == 1
    for file in files_of(tmp_path / "jobs.db"):
        file.unlink(missing_ok=True)

    log = configure("json", "info", stream=io.StringIO(), strict=True)
    with pytest.raises(DatabaseFileError, match="missing or empty"):
        await bootstrap.serve(config, log, stop=asyncio.Event())
    with pytest.raises(DatabaseFileError, match="missing or empty"):
        async with bootstrap.open_job_service(config, log):
            pass
    log.close()
    (fault,) = faults_of_served_file(config)
    assert "tidewaiter db accept" in str(fault)
    assert not (tmp_path / "jobs.db").exists()

    assert accept_database(config) == (1, 1)
    assert faults_of_served_file(config) == ()
    assert await _submit(config) == 2


class HurriedClock(SystemClock):
    """A clock that waits for a moment only."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.01))


@pytest.mark.slow
async def test_a_disk_error_only_delays_the_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task that keeps the mark looks again, and does not end in silence."""
    url, real, looks, twice = f"sqlite:///{tmp_path}/jobs.db", os.pread, 0, asyncio.Event()
    migrate.upgrade(url)
    lock, loop = DaemonLock.of(url), asyncio.get_running_loop()
    assert lock is not None
    assert lock.try_acquire()

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise OSError(errno.EIO, "the disk fails")
        loop.call_soon_threadsafe(twice.set)
        return real(descriptor, length, offset)

    async with keeping_mark(url, lock, HurriedClock()):
        monkeypatch.setattr(os, "pread", pread)
        async with asyncio.timeout(10):
            await twice.wait()
    assert lock.read().startswith(b"database ")
    lock.release()
