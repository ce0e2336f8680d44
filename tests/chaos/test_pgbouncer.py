"""PgBouncer in front of PostgreSQL: in session mode it may be killed; in transaction mode its work is done, too."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.marked_daemons import marked_run
from tests.support.pgbouncer import installed, pooling
from tests.support.postgres import Postgres
from tidewaiter.domain.job import State

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.fault(15),
    pytest.mark.timeout(240),
    pytest.mark.skipif(installed() is None, reason="PgBouncer is not installed"),
]
LEASE_S = 3.0
REQUESTS, PERIOD_S = 8, 2.0
LIMITS = f"limits = {{ requests = {REQUESTS}, period_s = {PERIOD_S} }}"


def _name(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


async def test_killed_in_session_mode(tmp_path: Path, postgres: Postgres, postgres_url: str) -> None:
    """The pooler is killed with SIGKILL, is away for longer than the lease, and comes back."""
    with ExitStack() as stack:
        pooler = await asyncio.to_thread(stack.enter_context, pooling(postgres, "session"))
        async with marked_run(tmp_path, postgres_url, limits=LIMITS, lease_s=LEASE_S) as run:
            daemon = run.daemon("daemon", pooler.url(_name(postgres_url)))
            await daemon.start()
            await daemon.serving()
            await run.submit(1)
            await run.ended()
            before = daemon.figures()
            await run.submit(3)
            await run.comes(lambda: len(run.posts()) > 3)
            for away_s in (0.0, LEASE_S + 1):
                await asyncio.to_thread(pooler.kill)
                await asyncio.sleep(away_s)
                await asyncio.to_thread(pooler.start)
                await daemon.until("/readyz", 200)
                await run.submit(1)
            await run.ended()
            await run.quiet(daemon, before)
            assert await daemon.drain() == 0
            assert await run.wrong(PERIOD_S, REQUESTS) == []


async def test_transaction_mode(tmp_path: Path, postgres: Postgres, postgres_url: str) -> None:
    """Two daemons whose transactions run in three sessions of the server, in turn, do their work as always."""
    with ExitStack() as stack:
        pooler = await asyncio.to_thread(stack.enter_context, pooling(postgres, "transaction", sessions=3))
        async with marked_run(tmp_path, postgres_url, limits=LIMITS, lease_s=LEASE_S) as run:
            daemons = [run.daemon(name, pooler.url(_name(postgres_url))) for name in ("first", "second")]
            await asyncio.gather(*(daemon.start() for daemon in daemons))
            await asyncio.gather(*(daemon.serving() for daemon in daemons))
            await run.owned(lambda owners: len(set(owners.values())) == 2)
            await run.submit(8)
            jobs = await run.ended()
            assert [await daemon.drain() for daemon in daemons] == [0, 0]
            assert {job.state for job in jobs} == {State.SUCCEEDED}
            assert await run.wrong(PERIOD_S, REQUESTS) == []
            assert [event for daemon in daemons for event in daemon.events("store.unavailable")] == []
