"""A site with backfills, on either kind of database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.api_server import serving
from tests.worker.backfills.backfill_site import Site
from tidewaiter.bootstrap.live_config import bind
from tidewaiter.bootstrap.open_services import job_service_of
from tidewaiter.clock import SystemClock
from tidewaiter.config import load
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.log import configure
from tidewaiter.services import (
    BackfillService,
)
from tidewaiter.worker.backfill_runner import BackfillRunner, BackfillSettings


@pytest.fixture
async def site(tmp_path: Path, database_url: str) -> AsyncIterator[Site]:
    """On each of the databases."""
    async with serving(tmp_path, database_url) as api:
        config = load(tmp_path / "tidewaiter.toml", {})
        log = configure("json", "debug", (), stream=api.output, strict=True)
        clock = SystemClock()
        jobs = job_service_of(config, bind(config).accounts, api.database, clock, log)
        store = BackfillStore(jobs.jobs)
        service = BackfillService(jobs, store, clock, log)
        yield Site(api, jobs, store, service, BackfillRunner(BackfillSettings(jobs), store, clock, log), log)
