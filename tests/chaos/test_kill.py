"""kill -9 at any moment loses no job, lands every file whole, and never submits twice for one intent."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from tests.chaos.daemon_processes import ChaosRun, chaos_run, drain, kill
from tests.support.postgres import Postgres
from tidewaiter.database import migrate
from tidewaiter.emulators.controls import FaultKind, FaultRule, InjectedFault


@pytest.mark.invariant(1, 2, 3, 6, 7)
@pytest.mark.fault(1, 2, 3, 4)
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "kills", [pytest.param(3, marks=pytest.mark.slow), pytest.param(20, marks=[pytest.mark.chaos, pytest.mark.long])]
)
async def test_kills(kills: int, tmp_path: Path) -> None:
    """Kills at random moments of a run on SQLite, each followed by a restart."""
    rand = Random(20)
    url = f"sqlite:///{tmp_path / 'tidewaiter.db'}"
    await asyncio.to_thread(migrate.upgrade, url)
    async with chaos_run(tmp_path, url) as run:
        accounts = run.write_config(accounts=2, lease_s=15)
        # Replies that take their time widen the moments between a POST and its commit, and within downloads.
        run.emulator.faults.extend([FaultRule("create", 30, InjectedFault(FaultKind.LATENCY, seconds=0.2))])
        run.files.faults.extend([FaultRule("file", 12, InjectedFault(FaultKind.TRICKLE, seconds=0.02, size=60_000))])
        numbers: list[int] = []
        for _ in range(kills):
            numbers += await run.submit(accounts, 2, rand)
            daemon = await run.start()
            await asyncio.sleep(rand.uniform(0.5, 2.5))
            await kill(daemon)
        daemon = await run.start()
        assert await run.finished(numbers, within_s=90)
        assert await drain(daemon) == 0
        assert await run.reckon(numbers) == []


@pytest.mark.invariant(1, 7)
@pytest.mark.chaos
@pytest.mark.timeout(180)
async def test_two_daemons_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    """Two daemons share the lanes; one is killed, and the other has its lanes within the lease."""
    rand = Random(2)
    async with chaos_run(tmp_path, postgres_url, build_s=4.0) as run:
        accounts = run.write_config(accounts=6, lease_s=3)
        numbers = await run.submit(accounts, 30, rand)
        first, second = await run.start(), await run.start()
        owners = await _owners(run, at_least=2, within_s=60)
        assert len(owners) == 2, "both daemons serve lanes"
        numbers += await run.submit(accounts, 10, rand)
        await asyncio.sleep(rand.uniform(0.2, 1.0))
        await kill(first)
        assert await _sole_owner(run, within_s=3 + 1 + 1), "the other daemon has every lane within the lease"
        assert await run.finished(numbers, within_s=60)
        assert await drain(second) == 0
        assert await run.reckon(numbers) == []


@pytest.mark.invariant(5)
@pytest.mark.fault(16)
@pytest.mark.chaos
@pytest.mark.timeout(180)
async def test_a_paused_daemon_writes_nothing(tmp_path: Path, postgres_url: str) -> None:
    """A daemon stopped for longer than its lease finds its lanes gone: no second submit, no stale write."""
    rand = Random(16)
    async with chaos_run(tmp_path, postgres_url, build_s=3.0) as run:
        accounts = run.write_config(accounts=4, lease_s=2)
        run.emulator.faults.extend([FaultRule("create", 10, InjectedFault(FaultKind.LATENCY, seconds=0.5))])
        numbers = await run.submit(accounts, 24, rand)
        first, second = await run.start(), await run.start()
        assert len(await _owners(run, at_least=2, within_s=60)) == 2
        os.kill(first.pid, signal.SIGSTOP)
        assert await _sole_owner(run, within_s=8), "the other daemon takes over"
        os.kill(first.pid, signal.SIGCONT)
        numbers += await run.submit(accounts, 8, rand)
        assert await run.finished(numbers, within_s=60)
        assert [await drain(first), await drain(second)] == [0, 0]
        assert await run.reckon(numbers) == []
        assert "lane.lost" in (tmp_path / "daemon.log").read_text()


@pytest.mark.fault(15)
@pytest.mark.chaos
@pytest.mark.timeout(180)
async def test_postgresql_bounces(tmp_path: Path, postgres: Postgres, postgres_url: str) -> None:
    """The server is gone for longer than the lease: the daemon waits, says so, takes its lanes again."""
    async with chaos_run(tmp_path, postgres_url, build_s=3.0) as run:
        accounts = run.write_config(accounts=2, lease_s=2)
        numbers = await run.submit(accounts, 10, Random(15))
        daemon = await run.start()
        assert await _owners(run, at_least=1, within_s=20)
        await asyncio.to_thread(postgres.kill)
        await asyncio.sleep(5.0)
        await asyncio.to_thread(postgres.start)
        assert await run.finished(numbers, within_s=90)
        assert await drain(daemon) == 0
        assert await run.reckon(numbers) == []
        assert "store.unavailable" in (tmp_path / "daemon.log").read_text()


async def _owners(run: ChaosRun, at_least: int, within_s: float) -> set[str]:
    """The distinct owners of all lanes, as soon as there are enough of them and every lane has one."""
    return await _watch(run, lambda owners: None not in owners and len(owners) >= at_least, within_s)


async def _sole_owner(run: ChaosRun, within_s: float) -> bool:
    """Whether every lane comes to belong to one and the same owner."""
    return len(await _watch(run, lambda owners: len(owners) == 1, within_s)) == 1


async def _watch(run: ChaosRun, enough: Callable[[set[str | None]], bool], within_s: float) -> set[str]:
    """Look at the lanes' owners until there is enough to see, or the time is up."""
    owners: set[str | None] = set()
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s), run.store() as (_, lanes):
            while True:
                owners = {row.owner for row in await lanes.all_lanes()}
                if enough(owners):
                    break
                await asyncio.sleep(0.1)
    return {owner for owner in owners if owner is not None}
