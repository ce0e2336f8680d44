"""A newer program has upgraded the tables: a daemon that runs takes no job, and leaves its lanes to that one."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.another_program import written_by_another_program
from tests.support.http_process import answers, configured, process
from tests.support.scripted_provider import answering, open_provider

JOB = {"account": "shop", "operation": "report", "params": {}}


@pytest.mark.fault(10, 18)
@pytest.mark.slow
async def test_an_old_daemon_leaves_its_lanes(tmp_path: Path) -> None:
    """A submit gets 503 with the reason and what to do; the lanes are free, and the job is not polled any more."""
    file = tmp_path / "jobs.db"
    async with (
        open_provider({**answers(), "GET /jobs/r-1": answering({"state": "working"})}) as provider,
        process(configured(tmp_path, f"sqlite:///{file}", provider.url)) as running,
    ):
        await running.until("/readyz", 200, phase="serving")
        async with running.session.post(f"{running.url}/v1/jobs", json=JOB) as reply:
            assert reply.status == 202
            number = (await reply.json())["id"]
        await running.until(f"/v1/jobs/{number}", 200, state="polling")
        await written_by_another_program(file, "UPDATE alembic_version SET version_num = '9999'")
        async with asyncio.timeout(20):
            status, document = 202, {}
            while status == 202:
                async with running.session.post(f"{running.url}/v1/jobs", json=JOB) as reply:
                    status, document = reply.status, await reply.json()
        assert status == 503
        assert "revision 9999, which is newer than this daemon" in document["detail"]
        async with asyncio.timeout(20):
            while _held(file):  # noqa: ASYNC110  # another process frees them
                await asyncio.sleep(0.05)
        polls = provider.times("GET /jobs")
        await running.until(f"/v1/jobs/{number}", 200, state="polling")
        assert provider.times("GET /jobs") == polls


def _held(file: Path) -> int:
    """How many lanes have an owner, and how many daemons are on the list."""
    with closing(sqlite3.connect(file)) as connection:
        held: int = connection.execute(
            "SELECT (SELECT count(*) FROM lanes WHERE owner IS NOT NULL) + (SELECT count(*) FROM workers)"
        ).fetchone()[0]
    return held
