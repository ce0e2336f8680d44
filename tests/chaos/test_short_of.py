"""A daemon that is short of descriptors or memory, or whose log nobody reads, or whose wall clock is moved."""

import asyncio
import os
import resource
import select
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from tests.chaos.marked_daemons import MarkedDaemon, marked_run
from tests.chaos.marked_provider import MarkedProvider
from tests.support.metrics_page import Samples

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
REQUESTS, PERIOD_S = 8, 2.0
LIMITS = f"limits = {{ requests = {REQUESTS}, period_s = {PERIOD_S} }}"


@pytest.mark.long
@pytest.mark.invariant(1, 2, 12)
async def test_few_descriptors(tmp_path: Path, sqlite_url: str) -> None:
    """With two more than it has, no job fails; with enough again they are done."""
    async with marked_run(tmp_path, sqlite_url) as run:
        daemon = run.daemon("daemon")
        await daemon.start()
        await daemon.serving()
        await run.submit(1)
        await run.ended()
        before = daemon.figures()
        limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (before[0] + 2, limits[1]))
        await run.submit(8)
        await asyncio.sleep(8)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
        await run.ended()
        await daemon.until("/readyz", 200)
        await run.quiet(daemon, before)
        assert await daemon.drain() == 0
        assert await run.wrong() == []


@pytest.mark.invariant(1, 2)
async def test_little_memory(tmp_path: Path, sqlite_url: str) -> None:
    """No job fails for it: the daemon ends, or goes on; started again with enough of it, it does the rest."""
    async with marked_run(tmp_path, sqlite_url) as run:
        daemon = run.daemon("daemon")
        await daemon.start()
        await daemon.serving()
        await run.submit(1)
        await run.ended()
        used = daemon.address_space()
        resource.prlimit(daemon.pid, resource.RLIMIT_AS, (used + 2**20, resource.RLIM_INFINITY))
        for provider in run.providers.values():
            provider.pad = 3_000_000
        await run.submit(8)
        await asyncio.sleep(8)
        assert daemon.process is not None
        print(f"the exit code is {daemon.process.returncode}")  # noqa: T201  # for the proof
        assert daemon.process.returncode in (None, 1, 70)
        await daemon.kill()
        for provider in run.providers.values():
            provider.pad = 0
        await daemon.start()
        await run.ended()
        await daemon.serving()
        assert await daemon.drain() == 0
        wrong = await run.wrong()
        assert [one for one in wrong if "traceback" not in one] == []


@pytest.mark.invariant(1)
async def test_a_log_that_nobody_reads(tmp_path: Path, sqlite_url: str) -> None:
    """The pipe is full: the daemon works on, and when somebody reads again, it says how many lines were lost."""
    reading, writing = os.pipe()
    async with marked_run(tmp_path, sqlite_url) as run:
        daemon = run.daemon("daemon")
        await daemon.start(stdout=writing)
        os.close(writing)
        await daemon.serving()
        os.set_blocking(reading, False)
        await run.submit(60, "shop")
        await run.ended()
        assert (await daemon.asked("/healthz"))[0] == 200
        lines = b""
        async with asyncio.timeout(20):
            while b'"log.dropped"' not in lines:
                more = os.read(reading, 65_536) if select.select((reading,), (), (), 0)[0] else b""
                lines += more
                if not more:
                    await run.submit(1, "shop")
                    await asyncio.sleep(0.5)
        await run.ended()
        assert await daemon.drain() == 0
        os.close(reading)
        assert await run.wrong() == []


def _faketime() -> str | None:
    """The library that moves the wall clock of a process, where it is installed."""
    named = os.environ.get("TIDEWAITER_FAKETIME", "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
    return named if Path(named).is_file() else None


async def _skewed(daemon: MarkedDaemon, seconds: float) -> None:
    """Wait until a daemon has seen that its wall clock was moved so far."""
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://{daemon.address}/metrics") as reply:
                seen = Samples(await reply.text())("tidewaiter_clock_skew_seconds")
            if seen is not None and abs(seen - seconds) < 60:
                return
            await asyncio.sleep(0.1)


def _more(provider: MarkedProvider, requests: int) -> bool:
    return len(provider.requests) > requests


@pytest.mark.fault(53)
@pytest.mark.invariant(8)
@pytest.mark.skipif(_faketime() is None, reason="libfaketime is not installed")
@pytest.mark.parametrize("days", [1, -1])
async def test_the_wall_clock_is_moved(tmp_path: Path, sqlite_url: str, days: int) -> None:
    """By a day while jobs are under way, and back before a clean new start: no job ends for it, and the rate holds.

    A clock that is set ahead ends leases until their next renewal. So the test waits until the daemon has seen its
    clock move, and for readiness after that.
    """
    moved = tmp_path / "moved"
    moved.write_text("+0")
    environ = {
        "LD_PRELOAD": str(_faketime()),
        "FAKETIME_TIMESTAMP_FILE": str(moved),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    async with marked_run(tmp_path, sqlite_url, limits=LIMITS, lease_s=10.0) as run:
        daemon = run.daemon("daemon")
        await daemon.start(environ=environ)
        await daemon.serving()
        shop = run.providers["shop"]
        await run.submit(8)
        await run.comes(lambda: len(shop.requests) > REQUESTS)
        for seconds in (86_400 * days, 0):  # as docs/operate.md says: repair the time service, then restart
            await run.submit(4, "shop")
            before = len(shop.requests)
            moved.write_text(f"{seconds:+d}")
            await _skewed(daemon, seconds)
            await daemon.until("/readyz", 200)
            await run.comes(partial(_more, shop, before + REQUESTS))
        assert await daemon.drain() == 0
        await daemon.start(environ=environ)
        await run.ended()
        await daemon.serving()
        assert await daemon.drain() == 0
        assert await run.wrong(PERIOD_S, REQUESTS) == []
