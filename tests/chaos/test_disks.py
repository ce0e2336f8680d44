"""Disks that are full, broken or read-only under a daemon: not ready, loud, and on by itself when they work again."""

import asyncio
import os
import resource
import shutil
from pathlib import Path

import pytest

from tests.chaos.marked_daemons import MarkedDaemon, MarkedRun, marked_run
from tests.support.small_disk import small_disk

_NOBODY = 65_534
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]


async def _begun(run: MarkedRun, daemon: MarkedDaemon) -> tuple[int, int]:
    """A daemon that has landed files; its descriptors and threads."""
    await daemon.start()
    await daemon.serving()
    await run.submit(1)
    await run.ended()
    return daemon.figures()


async def _went_on(run: MarkedRun, daemon: MarkedDaemon, before: tuple[int, int]) -> list[str]:
    """What is wrong in the end, without a new start of the daemon."""
    await daemon.until("/readyz", 200)
    await run.submit(1)
    await run.ended()
    await run.quiet(daemon, before)
    code = await daemon.drain()
    return [f"the exit code is {code}"] * (code != 0) + await run.wrong()


async def _unready(daemon: MarkedDaemon, reason: str) -> None:
    async with asyncio.timeout(30):
        while reason not in str((await daemon.asked("/readyz"))[1].get("failing")):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.fault(14)
@pytest.mark.invariant(1, 2)
async def test_the_database_s_disk_is_full(tmp_path: Path, sqlite_template: Path) -> None:
    """SQLite has no room: nothing is submitted of which there is no record."""
    with small_disk(tmp_path / "disk", "6m") as disk:
        if disk.seen != disk.path:
            pytest.skip("SQLite does not find the file of another namespace")
        shutil.copyfile(sqlite_template, disk.seen / "jobs.db")
        async with marked_run(tmp_path, f"sqlite:///{disk.seen}/jobs.db") as run:
            daemon = run.daemon("daemon", f"sqlite:///{disk.path}/jobs.db")
            daemon.prefix = disk.prefix
            before = await _begun(run, daemon)
            await run.submit(6)
            await run.comes(lambda: len(run.posts()) > 2)
            disk.fill()
            await _unready(daemon, "no room left")
            await asyncio.sleep(3)
            disk.empty()
            assert await _went_on(run, daemon, before) == []


@pytest.mark.fault(14)
@pytest.mark.invariant(1, 2)
async def test_nothing_can_be_written(tmp_path: Path, sqlite_url: str) -> None:
    """Each write beyond the first page of a file fails: database, files and log. Lost lines are counted."""
    async with marked_run(tmp_path, sqlite_url) as run:
        daemon = run.daemon("daemon")
        before = await _begun(run, daemon)
        await run.submit(6)
        await run.comes(lambda: len(run.posts()) > 2)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        await _unready(daemon, "cannot be read or written")
        await asyncio.sleep(1)
        posted = len(run.posts())
        await asyncio.sleep(2)
        assert len(run.posts()) == posted
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert await _went_on(run, daemon, before) == []
        assert daemon.events("log.dropped")


@pytest.mark.fault(43)
@pytest.mark.invariant(6, 12)
async def test_the_storage_is_full(tmp_path: Path, sqlite_url: str) -> None:
    """Downloads wait, none is half there, and no job fails for it."""
    with small_disk(tmp_path / "disk", "8m") as disk:
        storage, seen = disk.path / "landed", disk.seen / "landed"
        async with marked_run(tmp_path, sqlite_url, storage=storage, seen_storage=seen) as run:
            daemon = run.daemon("daemon")
            daemon.prefix = disk.prefix
            before = await _begun(run, daemon)
            disk.fill(leave=500_000)
            await run.submit(4)
            await run.comes(lambda: daemon.events("storage.paused"))
            assert "storage" in str((await daemon.until("/readyz", 503))["failing"])
            disk.empty()
            await run.comes(lambda: daemon.events("storage.resumed"))
            assert await _went_on(run, daemon, before) == []


@pytest.mark.fault(43)
@pytest.mark.invariant(6)
@pytest.mark.skipif(os.geteuid() != 0, reason="gives the folders to another user")
async def test_the_storage_becomes_read_only(tmp_path: Path, sqlite_url: str) -> None:
    """In the middle of downloads, by the rights of its folders."""
    async with marked_run(tmp_path, sqlite_url) as run:
        daemon = run.daemon("daemon")
        daemon.prefix = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")  # may not write everywhere
        before = await _begun(run, daemon)
        for provider in run.providers.values():
            provider.piece_s = 0.05
        await run.submit(3)
        await run.comes(lambda: any(run.storage.glob(".partial/*.part")))
        folders = [run.storage, *(path for path in run.storage.rglob("*") if path.is_dir())]
        for folder in folders:  # the owner of a folder would give itself the rights again
            os.chown(folder, _NOBODY, _NOBODY)
            folder.chmod(0o555)
        await run.comes(lambda: daemon.events("storage.paused"))
        assert "storage" in str((await daemon.until("/readyz", 503))["failing"])
        for folder in folders:
            folder.chmod(0o700)
            os.chown(folder, 0, 0)
        await run.comes(lambda: daemon.events("storage.resumed"))
        assert await _went_on(run, daemon, before) == []
