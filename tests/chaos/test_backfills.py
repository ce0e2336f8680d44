"""kill -9 at any moment of a backfill: one job for each window, no more at once than permitted, and an exact end."""

import asyncio
from importlib import resources
from pathlib import Path
from random import Random

import pytest

from tests.chaos.daemon_processes import ChaosRun, chaos_run, drain, kill
from tidewaiter.clock import SystemClock
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.domain.backfill import Backfill, BackfillPlan, BackfillState
from tidewaiter.domain.batch import Batch
from tidewaiter.domain.windows import Span

WINDOWS = 12
PARAMS = {"export_type": "OPENS", "day": "${window.from}"}


def _permit_days(run: ChaosRun) -> None:
    """Give the account's operation a day as a parameter, which the emulator ignores."""
    spec = resources.files("tidewaiter.providers").joinpath("catalog/symplify.toml").read_text()
    spec = spec.replace('name = "symplify"', 'name = "daily"', 1)
    before = "[operations.statistics.submit]\n"
    spec = spec.replace(before, f'[operations.statistics.params.day]\nhelp = "which day"\n{before}')
    spec = spec.replace('url = "/batches/exports/statistics"', 'url = "/batches/exports/statistics?day=${params.day}"')
    folder = run.folder / "specs"
    folder.mkdir()
    (folder / "daily.toml").write_text(spec[: spec.index("# --- examples")])
    config = run.config.read_text().replace('provider = "symplify"', 'provider = "daily"')
    run.config.write_text(f'{config}[providers]\nfolders = ["{folder}"]\n')


async def _create(run: ChaosRun, account: str) -> None:
    plan = BackfillPlan(Span("2026-01-01", "2026-01-12", "1d"), at_once=3)
    batch = Batch("fill", SystemClock().now(), "ann", 0, 0, complete=False, ended_at=None, counts={})
    async with run.store() as (store, _):
        made = Backfill(batch, account, "statistics", PARAMS, plan, WINDOWS, 0, 0, None, None, None)
        assert await BackfillStore(store).create(made)


async def _end_of(run: ChaosRun, within_s: float) -> Backfill:
    async with asyncio.timeout(within_s), run.store() as (store, _):
        while True:
            found = await BackfillStore(store).get("fill")
            assert found is not None
            assert found.batch.open <= 3
            if found.state is BackfillState.ENDED:
                return found
            await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=[pytest.mark.chaos, pytest.mark.long])])
async def test_killed_while_it_fills(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Daemons die at random moments; the last one ends the backfill, and every window has landed once."""
    rand = Random(11)
    url: str = request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url")
    async with chaos_run(tmp_path, url, build_s=0.2) as run:
        (account,) = run.write_config(accounts=1, lease_s=2)
        _permit_days(run)
        await run.submit([account], 0, rand)  # the lanes
        await _create(run, account)
        for _ in range(4):
            daemon = await run.start()
            await asyncio.sleep(rand.uniform(1.5, 4.0))
            await kill(daemon)
        daemon = await run.start()
        ended = await _end_of(run, within_s=90)
        await run.started(daemon)
        assert await drain(daemon) == 0
        assert (ended.batch.jobs, ended.batch.open, ended.next_window) == (WINDOWS, 0, WINDOWS)
        async with run.store() as (store, _):
            jobs = await store.find(limit=100)
        assert sorted(str(job.params["day"]) for job in jobs) == [f"2026-01-{day:02d}" for day in range(1, 13)]
        assert await run.reckon([job.id for job in jobs]) == []
