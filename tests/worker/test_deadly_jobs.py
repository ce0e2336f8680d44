"""A job whose step ends the daemon each time, as the kernel does where memory is short: it fails, the others go on."""

import asyncio
import os
import signal
import sys
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest
from aiohttp import web

from tests.support.byte_servers import ReceivedRequest, answering, reply, serving
from tests.support.scripted_provider import Answer, config_for, open_provider
from tests.support.scripted_provider import answering as answering_json
from tests.support.spec_samples import job_with
from tests.worker.executor_setup import ExecutorSetup, open_executor
from tests.worker.login_api import spec_with
from tests.worker.virtual_lanes import LEASE_S, Site, live
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.job import TERMINAL, Job, NewJob, State, Track
from tidewaiter.worker.step_context import StepContext

MOST_CRASHES, MOST_FETCHES = OperationPolicy().most_crashes, OperationPolicy().most_fetches

# --- the count --------------------------------------------------------------------------------------------------------


@pytest.mark.fault(9)
async def test_a_suspect_step_is_counted_before_its_request(database: Database, tmp_path: Path) -> None:
    """The count is durable when the request arrives, with a later due time; the outcome takes it back."""
    seen: list[Job] = []

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        seen.append(await shop.stored())
        writer.write(reply(200, b'{"status": "pending"}'))
        await writer.drain()

    shop: ExecutorSetup
    suspected = job_with("42").but(crashes=2)
    async with (
        serving(answer) as server,
        open_executor(database, tmp_path, suspected, spec=spec_with(""), server=server.origin) as shop,
    ):
        shop.step.suspect = True
        assert isinstance(await shop.take(), o.Pending)
        assert shop.step.job.crashes == 2
        (stored,) = seen
        assert stored.crashes == 3
        assert (stored.due_at or 0) > shop.clock.at


@pytest.mark.fault(9)
async def test_a_step_that_has_ended_the_daemon_too_often_is_not_taken(database: Database, tmp_path: Path) -> None:
    """It counts as one more crash, which fails the job; nobody is asked."""
    suspected = job_with("42").but(crashes=MOST_CRASHES)
    async with (
        serving(answering(reply(500, b""))) as server,
        open_executor(database, tmp_path, suspected, spec=spec_with(""), server=server.origin) as shop,
    ):
        shop.step.suspect = True
        outcome = await shop.take()
        assert server.asked == []
    assert isinstance(outcome, o.Crashed)
    assert "the daemon ended during the last steps of this job" in outcome.reason


@pytest.mark.fault(9)
def test_whose_steps_are_suspect(sqlite_url: str) -> None:
    """Those of jobs that were due when a daemon died; not those of later ones, nor any after a clean end."""
    suspect: dict[int, bool] = {}

    async def noted(step: StepContext) -> o.Outcome:
        suspect[step.job.id] = step.suspect
        return o.Refused("no such period")

    async def endless(_: StepContext) -> o.Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    async def story(site: Site) -> None:
        first = await site.add()
        dying = site.daemon()
        dying.executor.step = endless
        await site.clock.sleep(1.0)
        await dying.die()
        await site.clock.sleep(LEASE_S + 1)
        second = site.daemon("owner-2")
        second.executor.step = noted
        await site.clock.sleep(LEASE_S)
        later = await site.add()
        second.lane.due_by(Track.ASK, site.clock.now())
        await site.clock.sleep(5.0)
        assert suspect == {first.id: True, later.id: False}
        await second.leases.end(1.0)
        await second.leases.give_back()
        await second.die()
        waiting = await site.add()
        third = site.daemon("owner-3")
        third.executor.step = noted
        await site.clock.sleep(5.0)
        assert suspect[waiting.id] is False
        await third.die()

    live(sqlite_url, story)


# --- a real process that dies -----------------------------------------------------------------------------------------

SPEC = """
[operations.report.params]
name = { help = "which" }

[operations.report.submit]
url = "/jobs"
json = { name = "${params.name}" }
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { busy = "pending", done = "ready" } }]

[operations.report.results]
url = "/files/${handle}"
"""


class Deadly:
    """Kills the daemon that asks; ``process`` is the one that runs, and ``kills`` counts."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def __call__(self, _: web.Request) -> web.StreamResponse:
        """The end of a daemon."""
        assert self.process is not None
        self.kills += 1
        os.kill(self.process.pid, signal.SIGKILL)
        await asyncio.sleep(60)  # the server cancels this, because the client is gone
        raise AssertionError


async def _create(request: web.Request) -> web.StreamResponse:
    return web.json_response({"id": (await request.json())["name"]})


def _as_if_time_had_passed(database: Path, column: str, count: int) -> None:
    """The delay after a kill is over; the first time, the job has this count already."""
    with closing(connect(database)) as connection, connection:
        connection.execute(f"UPDATE jobs SET due_at = 1, {column} = max({column}, ?) WHERE id = 1", (count,))  # noqa: S608


@pytest.mark.fault(9)
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("path", "column", "count"),
    [
        ("GET /files/bad", "fetches", MOST_FETCHES - 1),
        pytest.param("GET /jobs/bad", "crashes", MOST_CRASHES - 1, marks=pytest.mark.chaos),
    ],
)
async def test_a_job_that_ends_the_daemon_each_time(
    tmp_path: Path, sqlite_url: str, path: str, column: str, count: int
) -> None:
    """A download, or a poll: after its number of tries the job fails before it can do harm again; the other lands."""
    deadly = Deadly()
    answers: dict[str, Answer] = {
        "POST /jobs": _create,
        "GET /jobs/bad": answering_json({"state": "done"}),
        "GET /jobs/good": answering_json({"state": "done"}),
        "GET /files/good": answering_json(b"a file"),
        path: deadly,
    }
    async with open_provider(answers) as shop:
        config_for(tmp_path, SPEC, shop.url, sqlite_url)
        database = Database.open(sqlite_url, clock := SystemClock())
        store, lanes = JobStore(database), LaneStore(database)
        await lanes.ensure({"shop": 1})
        (lane,) = await lanes.ids("shop")
        for name in ("bad", "good"):
            await store.add(NewJob("shop", "report", {"name": name}, 3600.0), lane, clock.now())
        async with asyncio.timeout(100):
            while True:
                before = deadly.kills
                deadly.process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "tidewaiter.cli.main",
                    "serve",
                    cwd=tmp_path,
                    stdout=asyncio.subprocess.DEVNULL,
                )
                jobs = await _until_ended_or_dead(store, deadly.process)
                if deadly.kills == before:
                    break
                _as_if_time_had_passed(tmp_path / "tidewaiter.db", column, count)
        deadly.process.terminate()
        assert await deadly.process.wait() == 0
        await database.close()
    states = {str(job.params["name"]): job.state for job in jobs}
    assert states == {"bad": State.FAILED, "good": State.SUCCEEDED}
    assert deadly.kills == 2
    (reason,) = [job.reason for job in jobs if job.state is State.FAILED]
    assert "the daemon ended" in (reason or "")


async def _until_ended_or_dead(store: JobStore, process: asyncio.subprocess.Process) -> list[Job]:
    """The jobs, once all have ended or the daemon is dead."""
    while True:
        jobs = list(await store.find(limit=10))
        if process.returncode is not None or all(job.state in TERMINAL for job in jobs):
            return jobs
        await asyncio.sleep(0.05)
