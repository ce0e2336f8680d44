"""Two and three daemons on one PostgreSQL: killed, and stopped for longer than their leases, under a binding limit."""

import asyncio
import os
import signal
from pathlib import Path
from random import Random

import pytest

from tests.chaos.marked_daemons import MarkedDaemon, MarkedRun, marked_run

BLOWS = int(os.environ.get("TIDEWAITER_BLOWS", "3"))
SEED = int(os.environ.get("TIDEWAITER_KILL_SEED", "14"))
REQUESTS, PERIOD_S = 8, 2.0
LIMITS = f"limits = {{ requests = {REQUESTS}, period_s = {PERIOD_S} }}"
LEASE_S = 2.0


@pytest.mark.chaos
@pytest.mark.invariant(1, 2, 5, 6, 8)
@pytest.mark.fault(1, 2, 3, 4, 16)
@pytest.mark.timeout(240 + 20 * BLOWS)
@pytest.mark.parametrize("daemons", [2, 3])
async def test_killed_and_stopped_again_and_again(tmp_path: Path, postgres_url: str, daemons: int) -> None:
    """No marker is posted twice, no half file is seen, each account keeps its limit, and nothing is left over."""
    print(f"TIDEWAITER_BLOWS={BLOWS} TIDEWAITER_KILL_SEED={SEED}")  # noqa: T201  # repeats the run
    rand = Random(SEED + daemons)
    accounts = [f"shop{number}" for number in range(daemons + 1)]
    async with marked_run(tmp_path, postgres_url, accounts=accounts, limits=LIMITS, lease_s=LEASE_S) as run:
        all_daemons = [run.daemon(f"d{number}") for number in range(daemons)]
        await asyncio.gather(*(daemon.start() for daemon in all_daemons))
        await asyncio.gather(*(daemon.serving() for daemon in all_daemons))
        await run.submit(1)
        await run.ended()
        before = all_daemons[0].figures()
        for _ in range(BLOWS):
            await run.submit(1)
            await asyncio.sleep(rand.uniform(0.1, 1.5))
            await _blow(rand.choice(all_daemons), rand)
        jobs = await run.ended(60 + 5 * len(run.markers) / len(accounts))
        assert len(jobs) == len(run.markers)
        await asyncio.gather(*(daemon.serving() for daemon in all_daemons))  # the last one has begun just now, perhaps
        await run.quiet(all_daemons[0], before)
        assert [await daemon.drain() for daemon in all_daemons] == [0] * daemons
        assert await run.wrong(PERIOD_S, REQUESTS) == []


async def _blow(daemon: MarkedDaemon, rand: Random) -> None:
    """Kill a daemon and start it again, at once or after its lease; or stop it, mostly for longer than its lease."""
    if rand.random() < 0.5:
        await daemon.kill()
        await asyncio.sleep(rand.choice((0.0, LEASE_S + 1)))
        await daemon.start()
    else:
        daemon.signal(signal.SIGSTOP)
        await asyncio.sleep(rand.uniform(0.8, 2.5) * LEASE_S)
        daemon.signal(signal.SIGCONT)


@pytest.mark.chaos
@pytest.mark.invariant(5, 8)
@pytest.mark.fault(16, 65)
@pytest.mark.timeout(120)
async def test_a_stopped_owner_under_a_binding_limit(tmp_path: Path, postgres_url: str) -> None:
    """Between the end of its lease and the moment when it has a lane again, the stopped daemon sends nothing."""
    async with marked_run(tmp_path, postgres_url, accounts=["shop"], limits=LIMITS, lease_s=LEASE_S) as run:
        first, second = run.daemon("first"), run.daemon("second")
        await first.start()
        await first.serving()
        await run.owned(lambda owners: owners["shop"] == "first")
        await second.start()
        await second.serving()
        shop = run.providers["shop"]
        await run.submit(6)
        await run.comes(lambda: len(shop.requests) > REQUESTS)
        first.signal(signal.SIGSTOP)
        await _taken_over(run, "second")
        sent, at = len(shop.senders), shop.requests[-1]
        await run.comes(lambda: len(shop.senders) > sent)
        first.signal(signal.SIGCONT)
        await run.comes(lambda: first.events("lane.lost"))
        await run.ended()
        assert {name for when, name in shop.senders if when > at} == {"second"}
        assert [await first.drain(), await second.drain()] == [0, 0]
        assert await run.wrong(PERIOD_S, REQUESTS) == []


async def _taken_over(run: MarkedRun, name: str) -> None:
    await run.owned(lambda owners: owners["shop"] == name, within_s=3 * LEASE_S + 5)
