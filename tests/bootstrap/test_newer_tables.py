"""A newer program has upgraded the tables: a daemon that runs takes no new jobs, and finishes those it has."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.http_process import answers, configured, process
from tests.support.scripted_provider import open_provider

JOB = {"account": "shop", "operation": "report", "params": {}}


@pytest.mark.slow
async def test_an_old_daemon_finishes_its_jobs(tmp_path: Path) -> None:
    """A submit gets 503 with the reason and what to do; a job from before succeeds (faults 10, 18)."""
    file = tmp_path / "jobs.db"
    async with (
        open_provider(answers()) as provider,
        process(configured(tmp_path, f"sqlite:///{file}", provider.url)) as running,
    ):
        await running.until("/readyz", 200, phase="serving")
        async with running.session.post(f"{running.url}/v1/jobs", json=JOB) as reply:
            assert reply.status == 202
            number = (await reply.json())["id"]
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        async with asyncio.timeout(20):
            status, document = 202, {}
            while status == 202:
                async with running.session.post(f"{running.url}/v1/jobs", json=JOB) as reply:
                    status, document = reply.status, await reply.json()
        assert status == 503
        assert "revision 9999, which is newer than this daemon" in document["detail"]
        await running.until(f"/v1/jobs/{number}", 200, state="succeeded")
