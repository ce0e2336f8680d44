"""PostgreSQL is killed, frozen, cut off without a word, or replaced by its standby: the daemon waits and goes on."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.chaos.marked_daemons import MarkedDaemon, MarkedRun, marked_run
from tests.support.postgres import Line, Postgres, running_postgres
from tests.support.postgres_standby import following

LEASE_S = 3.0
REQUESTS, PERIOD_S = 8, 2.0
LIMITS = f"limits = {{ requests = {REQUESTS}, period_s = {PERIOD_S} }}"
# Longer than a lease; `make chaos` freezes for longer than every timeout.
FROZEN_S = float(os.environ.get("TIDEWAITER_FROZEN_S", "6"))
# A statement has 20 s, and a renewal comes every third of a lease.
RECOVERY_S = 20 + 2 * LEASE_S + 5


async def _working(run: MarkedRun, daemon: MarkedDaemon) -> tuple[int, int]:
    """A daemon that has done its first jobs and has others under way; its descriptors and threads."""
    await daemon.start()
    await daemon.serving()
    await run.submit(1)
    await run.ended()
    before = daemon.figures()
    await run.submit(3)
    await run.comes(lambda: len(run.posts()) > 3)
    return before


async def _went_on(run: MarkedRun, daemon: MarkedDaemon, before: tuple[int, int]) -> list[str]:
    """What is wrong after the outage, when all jobs have ended."""
    await run.ended(60 + RECOVERY_S)
    await daemon.until("/readyz", 200)
    await run.quiet(daemon, before)
    code = await daemon.drain()
    return [f"the exit code is {code}"] * (code != 0) + await run.wrong(PERIOD_S, REQUESTS)


@pytest.mark.chaos
@pytest.mark.fault(15)
@pytest.mark.timeout(240)
async def test_killed(tmp_path: Path, postgres: Postgres, postgres_url: str) -> None:
    """One of its processes, then all of them, are killed with SIGKILL; it recovers its data and is back at once."""
    async with marked_run(tmp_path, postgres_url, limits=LIMITS, lease_s=LEASE_S) as run:
        daemon = run.daemon("daemon")
        before = await _working(run, daemon)
        os.kill(postgres.processes()[-1], signal.SIGKILL)
        await asyncio.sleep(1.0)
        await run.jobs()
        await asyncio.to_thread(postgres.murder)
        await run.comes(lambda: daemon.events("store.unavailable"))
        await asyncio.to_thread(postgres.start)
        await run.submit(1)
        assert await _went_on(run, daemon, before) == []


@pytest.mark.chaos
@pytest.mark.fault(8, 15, 65)
@pytest.mark.timeout(240 + 2 * FROZEN_S)
async def test_frozen(tmp_path: Path, postgres: Postgres, postgres_url: str) -> None:
    """All its processes stand still for longer than the lease: unready, alive, and no request after the lease."""
    async with marked_run(tmp_path, postgres_url, limits=LIMITS, lease_s=LEASE_S) as run:
        daemon = run.daemon("daemon")
        before = await _working(run, daemon)
        postgres.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(LEASE_S + 0.5)
            sent = len(run.providers["shop"].senders), len(run.providers["other"].senders)
            assert (await daemon.until("/readyz", 503, 15))["status"] == "unready"
            assert (await daemon.asked("/healthz"))[0] == 200
            await asyncio.sleep(FROZEN_S - LEASE_S)
            assert (len(run.providers["shop"].senders), len(run.providers["other"].senders)) == sent
        finally:
            postgres.signal(signal.SIGCONT)
        await run.submit(1)
        assert await _went_on(run, daemon, before) == []


@pytest.mark.chaos
@pytest.mark.long
@pytest.mark.fault(15)
@pytest.mark.timeout(300)
async def test_half_open(tmp_path: Path, postgres: Postgres, postgres_url: str) -> None:
    """Every connection goes silent without an end while new ones go through: the daemon is back within a bound."""
    async with AsyncExitStack() as stack:
        run = await stack.enter_async_context(marked_run(tmp_path, postgres_url, limits=LIMITS, lease_s=LEASE_S))
        line = await stack.enter_async_context(Line(postgres.socket).open())
        daemon = run.daemon("daemon", line.url(postgres_url.partition("@/")[2].partition("?")[0]))
        before = await _working(run, daemon)
        line.forget_calls()
        silent_at = asyncio.get_running_loop().time()
        await daemon.until("/readyz", 503, RECOVERY_S)
        await daemon.until("/readyz", 200, RECOVERY_S)
        print(f"ready again after {asyncio.get_running_loop().time() - silent_at:.0f} s")  # noqa: T201  # for the proof
        assert await _went_on(run, daemon, before) == []


@pytest.mark.chaos
@pytest.mark.long
@pytest.mark.fault(15)
@pytest.mark.timeout(300)
async def test_failover(tmp_path: Path) -> None:
    """The standby that follows the dead server only reads at first: unready, no submit. Promoted, it is used."""
    async with AsyncExitStack() as stack:
        first = stack.enter_context(running_postgres())
        standby = await asyncio.to_thread(stack.enter_context, following(first))
        line = await stack.enter_async_context(Line(first.socket).open())
        run = await stack.enter_async_context(
            marked_run(tmp_path, line.url("migrated"), limits=LIMITS, lease_s=LEASE_S)
        )
        daemon = run.daemon("daemon")
        before = await _working(run, daemon)
        await asyncio.to_thread(first.murder)
        line.socket = standby.socket
        unready = await daemon.until("/readyz", 503, RECOVERY_S)
        await run.comes(lambda: any("read-only" in str(one["reason"]) for one in daemon.events("store.unavailable")))
        posted = len(run.posts())
        await asyncio.sleep(LEASE_S)
        assert len(run.posts()) == posted, unready
        await asyncio.to_thread(standby.promote)
        await daemon.until("/readyz", 200, RECOVERY_S)
        await run.submit(1)
        assert await _went_on(run, daemon, before) == []
        await asyncio.to_thread(first.start)
