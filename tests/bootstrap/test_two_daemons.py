"""Two daemons on one PostgreSQL, both reloaded again and again while they work."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.daemon_in_process import Stage, staged
from tidewaiter.domain.job import State

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def worker(stage: Stage, number: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A daemon in a process of its own, up by the time the block begins."""
    path = stage.folder / f"worker-{number}.log"
    with path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tidewaiter.cli.main", "--config", str(stage.path), "serve",
            stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        await stage.comes(lambda: "daemon.started" in path.read_text())
        yield process
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        stage.output.write(path.read_text())


@pytest.mark.timeout(180)
async def test_both_are_reloaded_under_load(tmp_path: Path, postgres_url: str) -> None:
    """Lanes come to rest and begin anew under their leases in both: each job ends once, after one submit."""
    async with staged(tmp_path, postgres_url) as stage:
        names = ["one", "two", "three", "four"]

        def write(interval_s: float, *more: str) -> None:
            stage.write(*(stage.account(name, interval_s=interval_s) for name in names), *more)

        write(0.1)
        async with worker(stage, 1) as first, worker(stage, 2) as second:
            numbers = [number for name in names for number in await stage.submit(name, 10)]
            for times in range(1, 9):
                write(0.1 + times / 100, *([stage.account("guest")] if times % 2 else []))
                for number, process in enumerate((first, second), 1):
                    process.send_signal(signal.SIGHUP)
                    await _reloaded(stage, number, times)
            jobs = await stage.until(numbers)
        assert {(job.state, job.submits) for job in jobs} == {(State.SUCCEEDED, 1)}
        assert stage.emulator.count("create") == 40
        assert stage.lines("config.refused", "update.dropped", "lane.lost", "job.crashed", "daemon.failed") == []


async def _reloaded(stage: Stage, number: int, times: int) -> None:
    path = stage.folder / f"worker-{number}.log"
    await stage.comes(lambda: path.read_text().count('"config.reloaded"') == times)
