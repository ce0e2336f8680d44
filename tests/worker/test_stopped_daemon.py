"""A daemon stopped by SIGSTOP for longer than its lease sends nothing beside the new owner."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, config_for, open_provider
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import NewJob

LEASE_S = 2.0
SPEC = """
[operations.report.results.pages]
url = "/list"
query = { page = "${page.number}" }
items = "items"
size = 1
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_a_daemon_that_was_stopped(tmp_path: Path, postgres_url: str) -> None:
    """It goes on in the middle of many walks over pages: no request leaves."""

    async def page(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.05)
        return web.json_response({"items": [request.query["page"]]})

    answers: dict[str, Answer] = {"GET /list": page}
    async with open_provider(answers) as shop:
        config_for(tmp_path, SPEC, shop.url, postgres_url)
        file = tmp_path / "tidewaiter.toml"
        file.write_text(file.read_text().replace("[worker]", f"[worker]\nlease_s = {LEASE_S}"))
        database = Database.open(postgres_url, clock := SystemClock())
        jobs, lanes = JobStore(database), LaneStore(database)
        await lanes.ensure({"shop": 1})
        (lane,) = await lanes.ids("shop")
        new = NewJob(account="shop", operation="report", params={}, deadline_s=3600.0)
        await jobs.add_many([(new, lane)] * 5, clock.now())
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        log = (tmp_path / "daemon.log").open("w")
        command = [sys.executable, "-m", "tidewaiter.cli.main", "serve"]
        with log, subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log) as daemon:  # noqa: ASYNC220
            try:
                await _until(lambda: shop.times("GET /list") > 20)
                os.kill(daemon.pid, signal.SIGSTOP)
                await asyncio.sleep(LEASE_S + 0.5)
                (taken,) = await lanes.take("the new owner", 1, 60.0, force=False, accounts=["shop"])
                assert taken.id == lane
                before = len(shop.asked)
                os.kill(daemon.pid, signal.SIGCONT)
                await _until(lambda: "lane.lost" in (tmp_path / "daemon.log").read_text())
                await asyncio.sleep(0.5)
                assert shop.asked[before:] == []
            finally:
                daemon.kill()
        await database.close()


async def _until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not seen():  # noqa: ASYNC110  # another process says nothing
            await asyncio.sleep(0.01)
