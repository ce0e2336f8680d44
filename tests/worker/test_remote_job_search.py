"""Which remote jobs of a provider's list are taken for the one of a submit whose reply was lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.byte_servers import answering, reply, serving
from tests.support.spec_samples import job_with
from tests.support.stored_jobs import NOW
from tests.worker.executor_setup import open_executor, stored_as
from tests.worker.login_api import spec_with
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State

LAG_S = 60.0
SPEC = (
    spec_with("")
    + f"""
[operations.report.adopt]
url = "/reports"
items = "reports"
match = {{ name = "${{intent.key}}" }}
handle = "id"
lag_s = {LAG_S:.0f}
"""
)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """A database, until the block is left."""
    database = Database.open(url, SystemClock())
    try:
        yield database
    finally:
        await database.close()


IN_DOUBT = replace(job_with(None), state=State.RECONCILING)


@pytest.mark.parametrize(("doubt_s", "kind"), [(1.0, o.Retry), (LAG_S + 1.0, o.Absent)])
async def test_31_absence_counts_from_the_moment_of_the_doubt(
    tmp_path: Path, sqlite_url: str, doubt_s: float, kind: type[o.Outcome]
) -> None:
    """A submit may have been under way for long: what it made at its end may still be missing in the list."""
    job = replace(IN_DOUBT, intent_at=NOW - 10 * LAG_S, submitted_at=NOW - doubt_s)
    async with (
        serving(answering(reply(200, b'{"reports": []}'))) as server,
        opened(sqlite_url) as database,
        open_executor(database, tmp_path, job, spec=SPEC, server=server.origin) as setup,
    ):
        assert isinstance(await setup.take(), kind)


async def test_32_a_remote_job_that_another_job_follows(tmp_path: Path, sqlite_url: str) -> None:
    """It is that job's, and not ours."""
    job = replace(IN_DOUBT, intent_at=NOW, submitted_at=NOW)
    listed = b'{"reports": [{"id": "h1", "name": "key-1"}]}'
    async with (
        serving(answering(reply(200, listed))) as server,
        opened(sqlite_url) as database,
        open_executor(database, tmp_path, job, spec=SPEC, server=server.origin) as setup,
    ):
        lane, epoch = setup.lease.lane, setup.lease.epoch
        await stored_as(job_with("h1", intent=None), setup.jobs, lane, epoch, setup.clock.now())
        assert isinstance(await setup.take(), o.Retry)
