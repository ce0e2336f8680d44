"""A remote job that fails for a passing reason is submitted again: by a real daemon, killed at each durable point."""

import asyncio
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import pytest
from aiohttp import web

from tests.support.byte_servers import answering as answering_bytes
from tests.support.byte_servers import reply
from tests.support.byte_servers import serving as byte_server
from tests.support.killable_daemon import serving_process, submitted_by_command
from tests.support.scripted_provider import (
    Answer,
    Running,
    answering,
    config_for,
    daemon_for,
    open_provider,
    serving,
)
from tests.support.spec_samples import job_with
from tests.worker.executor_setup import PASSWORD, open_executor
from tests.worker.login_api import spec_with
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.outcome import FailedForNow
from tidewaiter.services import DAEMON

T = TypeVar("T")

SPEC = """
[operations.report.again]
times = 2
wait_s = WAIT
factor = 1
cap_s = WAIT

[operations.report.submit]
url = "/jobs"
handle = "id"
rules = [{ status = 409, then = "again", reason = "too many are running" }]

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { busy = "pending", done = "ready", lost = "again" } }]

[operations.report.results]
url = "/jobs/${handle}/file"
rules = [{ status = 410, then = "again" }]

[operations.report.cleanup]
url = "/jobs/${handle}"
by_default = true
"""
QUICK, SLOW, HOUR = (SPEC.replace("WAIT", wait) for wait in ("0.05", "5.0", "3600.0"))
REPEATABLE = QUICK.replace('/jobs"\nhandle', '/jobs"\nrepeatable = true\nhandle')
STARTED = (
    """
[[operations.report.before]]
name = "upload"
url = "/files"
keep = { file = "id" }

[[operations.report.start]]
name = "run"
url = "/jobs/${handle}/run"
rules = [{ status = 409, then = "again" }]
"""
    + QUICK
)
ROWS = answering(b"rows")
DONE = answering({"state": "done"})
LOST = answering({"state": "lost", "error": "the cluster was restarted"})


class Shop:
    """A provider that makes remote jobs 1, 2, 3 ..., each with its own answers."""

    def __init__(self, *statuses: Answer) -> None:
        self.made = 0
        self.answers: dict[str, Answer] = {"POST /jobs": self.create}
        for number, status in enumerate(statuses, start=1):
            self.answers |= {
                f"GET /jobs/{number}": status,
                f"GET /jobs/{number}/file": ROWS,
                f"DELETE /jobs/{number}": answering(b"", status=204),
            }

    async def create(self, _: web.Request) -> web.StreamResponse:
        """The next remote job."""
        self.made += 1
        return web.json_response({"id": str(self.made)})


async def _queued_again(running: Running, job: Job, agains: int = 1) -> Job:
    async with asyncio.timeout(30):
        while True:
            now = await running.jobs.get(job.id)
            assert now is not None
            if now.state is State.QUEUED and now.agains == agains:
                return now
            await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_a_remote_job_that_failed_for_now_is_made_again(tmp_path: Path, sqlite_url: str) -> None:
    """The history and the log say why; the failed remote job is left as it is, the good one is cleaned up."""
    shop = Shop(LOST, DONE)
    async with serving(tmp_path, sqlite_url, QUICK, shop.answers) as (asked, running):
        job = await running.run()
        history = await running.jobs.history(job.id)
        assert await running.file(job.id) == b"rows"
        (line,) = running.events("job.postponed")
    assert (job.state, job.handle, job.agains, job.submits, job.resubmits) == (State.SUCCEEDED, "2", 1, 2, 0)
    reason = "submitting again, 1 of 2: the provider says lost: the cluster was restarted"
    (entry,) = [one for one in history if one.outcome == "FailedForNow"]
    assert (entry.state_from, entry.state, entry.detail) == (State.POLLING, State.QUEUED, reason)
    assert (line["reason"], line["agains"], line["level"]) == (reason, 1, "warning")
    assert [one for one in asked.asked if one.startswith("DELETE")] == ["DELETE /jobs/2"]


async def test_a_submit_refused_for_now_is_sent_again(tmp_path: Path, sqlite_url: str) -> None:
    """Such as by a provider that runs only so many at a time; the account stays open."""
    shop = Shop(DONE)

    async def full_at_first(request: web.Request) -> web.StreamResponse:
        if asked.times("POST") == 1:
            return web.json_response({"error": "5 of 5"}, status=409)
        return await shop.create(request)

    answers = {**shop.answers, "POST /jobs": full_at_first}
    async with serving(tmp_path, sqlite_url, QUICK, answers) as (asked, running):
        job = await running.run()
        history = await running.jobs.history(job.id)
        assert running.events("account.paused") == []
    assert (job.state, job.submits, job.agains) == (State.SUCCEEDED, 2, 1)
    assert [one.detail for one in history if one.outcome == "FailedForNow"] == [
        "submitting again, 1 of 2: too many are running: HTTP 409: 5 of 5"
    ]


@pytest.mark.slow
async def test_a_start_refused_for_now_begins_anew(tmp_path: Path, sqlite_url: str) -> None:
    """With another remote job, and with all that comes before it: the one that was not started is left."""
    shop = Shop(DONE, DONE)
    full = answering({"error": "the queue is full"}, status=409)
    answers = {
        **shop.answers,
        "POST /files": answering({"id": "f1"}, {"id": "f2"}),
        "POST /jobs/1/run": full,
        "POST /jobs/2/run": answering({}),
    }
    async with serving(tmp_path, sqlite_url, STARTED, answers) as (asked, running):
        job = await running.run()
        assert await running.file(job.id) == b"rows"
    assert (job.state, job.handle, job.agains, job.submits) == (State.SUCCEEDED, "2", 1, 2)
    assert dict(job.kept) == {"file": "f2"}
    assert [one for one in asked.asked if one.startswith("POST")] == [
        "POST /files", "POST /jobs", "POST /jobs/1/run", "POST /files", "POST /jobs", "POST /jobs/2/run",
    ]  # fmt: skip


@pytest.mark.slow
async def test_a_result_that_has_vanished_is_made_again(tmp_path: Path, sqlite_url: str) -> None:
    """Nothing of the first remote job is in what lands."""
    shop = Shop(DONE, DONE)
    answers = {**shop.answers, "GET /jobs/1/file": answering({"error": "deleted"}, status=410)}
    async with serving(tmp_path, sqlite_url, QUICK, answers) as (_, running):
        job = await running.run()
        assert await running.file(job.id) == b"rows"
        outcomes = await running.outcomes(job.id)
        assert list((running.root / ".partial").glob("*")) == []
    assert (job.state, job.handle, job.agains) == (State.SUCCEEDED, "2", 1)
    assert "FailedForNow" in outcomes


@pytest.mark.slow
async def test_the_last_failure_is_the_jobs_failure(tmp_path: Path, sqlite_url: str) -> None:
    """A provider that lies for ever costs a bounded number of submits."""
    shop = Shop(LOST, LOST, LOST)
    async with serving(tmp_path, sqlite_url, QUICK, shop.answers) as (asked, running):
        job = await running.run()
        assert asked.times("POST") == 3
    assert (job.state, job.agains) == (State.FAILED, 2)
    assert job.reason == ("submitted again 2 times, without success: the provider says lost: the cluster was restarted")


@pytest.mark.slow
async def test_a_waiting_job_frees_its_place(tmp_path: Path, sqlite_url: str) -> None:
    """With one remote job at a time, the second job runs while the first one waits; a cancel request ends the wait."""
    shop = Shop(LOST, DONE)
    account = "limits = { remote_jobs = 1 }"
    async with serving(tmp_path, sqlite_url, HOUR, shop.answers, account) as (asked, running):
        first = await running.submit()
        waiting = await _queued_again(running, first)
        assert (await running.run()).state is State.SUCCEEDED
        assert asked.times("POST") == 2
        assert (waiting.due_at or 0) - waiting.created_at >= 3600
        await running.service.cancel(first.id, actor=DAEMON)
        assert (await running.until(first.id)).state is State.CANCELLED
        assert asked.times("DELETE /jobs/1") == 0


async def test_a_secret_in_the_reason_is_hidden(database: Database, tmp_path: Path) -> None:
    """The provider echoes the password in the message of the failure."""
    spec = spec_with("").replace('done = "ready"', 'done = "ready", lost = "again"')
    echo = json.dumps({"status": "lost", "error": f"{PASSWORD} was thrown out"}).encode()
    async with (
        byte_server(answering_bytes(reply(200, echo))) as server,
        open_executor(database, tmp_path, job_with("42"), spec=spec, server=server.origin) as setup,
    ):
        outcome = await setup.take()
    assert isinstance(outcome, FailedForNow)
    assert "was thrown out" in outcome.reason
    assert PASSWORD not in outcome.reason


@pytest.mark.slow
async def test_another_host_does_not_fail_the_remote_job(tmp_path: Path, sqlite_url: str) -> None:
    """After a redirect a page of another host says the word: it knows nothing of the remote job, so it is polled on."""
    shop = Shop(LOST)

    async def at_first_elsewhere(_: web.Request) -> web.StreamResponse:
        if asked.times("GET /jobs/1") == 1:
            raise web.HTTPFound(f"{elsewhere.url}/jobs/1")
        return web.json_response({"state": "done"})

    async with open_provider({"GET /jobs/1": LOST}) as elsewhere:
        answers = {**shop.answers, "GET /jobs/1": at_first_elsewhere}
        async with serving(tmp_path, sqlite_url, QUICK, answers) as (asked, running):
            job = await running.run()
        assert elsewhere.times("GET") == 1
    assert (job.state, job.handle, job.agains) == (State.SUCCEEDED, "1", 0)


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_kill_before_the_failure_is_durable(tmp_path: Path, sqlite_url: str) -> None:
    """The next daemon polls again, hears of the failure, and counts it once."""
    shop, arrived, stalls = Shop(DONE, DONE), asyncio.Event(), asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        if not arrived.is_set():
            arrived.set()
            await stalls.wait()
        return await LOST(request)

    async with open_provider({**shop.answers, "GET /jobs/1": stall}) as asked:
        config = config_for(tmp_path, QUICK, asked.url, sqlite_url)
        await _killed(tmp_path, arrived.wait())
        stalls.set()
        async with daemon_for(config) as running:
            job = await running.until(1)
    assert (job.state, job.handle, job.agains) == (State.SUCCEEDED, "2", 1)
    assert asked.times("POST") == 2


@pytest.mark.slow
async def test_a_kill_while_the_job_waits(tmp_path: Path, sqlite_url: str) -> None:
    """The wait is durable: the next daemon submits when it is over, not at once, and not twice."""
    shop = Shop(LOST, DONE)
    async with open_provider(shop.answers) as asked:
        config = config_for(tmp_path, SLOW, asked.url, sqlite_url)
        waiting = await _killed(tmp_path, _waits(sqlite_url))
        async with daemon_for(config) as running:
            job = await running.until(1)
    assert (waiting.state, waiting.agains, waiting.handle) == (State.QUEUED, 1, None)
    assert (job.state, job.agains, job.submits) == (State.SUCCEEDED, 1, 2)
    assert (job.intent_at or 0) >= (waiting.due_at or 0)
    assert asked.times("POST") == 2


@pytest.mark.slow
async def test_a_kill_within_the_second_submit(tmp_path: Path, sqlite_url: str) -> None:
    """Its outcome is unknown, as that of any submit; the failure before it is not forgotten."""
    shop, arrived, stalls = Shop(LOST, DONE, DONE), asyncio.Event(), asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        made = await shop.create(request)
        if shop.made == 2:
            arrived.set()
            await stalls.wait()
        return made

    async with open_provider({**shop.answers, "POST /jobs": stall}) as asked:
        config = config_for(tmp_path, REPEATABLE, asked.url, sqlite_url)
        await _killed(tmp_path, arrived.wait())
        stalls.set()
        async with daemon_for(config) as running:
            job = await running.until(1)
            outcomes = await running.outcomes(1)
    assert (job.state, job.handle, job.agains, job.submits) == (State.SUCCEEDED, "3", 1, 3)
    assert [one for one in outcomes if one in ("FailedForNow", "Unknown")] == ["FailedForNow", "Unknown"]


async def _killed(folder: Path, moment: Awaitable[T]) -> T:
    """A daemon that gets one job, and is killed at a moment."""
    with serving_process(folder) as process:
        await submitted_by_command(folder)
        async with asyncio.timeout(60):
            reached = await moment
        process.kill()
    return reached


async def _waits(database_url: str) -> Job:
    """Job 1, once it waits for its second submit."""
    database = Database.open(database_url, SystemClock())
    try:
        jobs = JobStore(database)
        while True:
            job = await jobs.get(1)
            if job is not None and job.agains:
                return job
            await asyncio.sleep(0.02)
    finally:
        await database.close()


@pytest.mark.slow
async def test_the_file_in_the_reply_to_a_submit_says_so(tmp_path: Path, sqlite_url: str) -> None:
    """The provider has said that there is no result, so nothing is in doubt: the next submit comes later."""
    spec = """
    [operations.report.again]
    times = 2
    wait_s = 0.05
    factor = 1
    cap_s = 0.05

    [operations.report.submit]
    url = "/jobs"
    rules = [{ status = 200, then = "ready" }]

    [operations.report.results]
    inline = true
    rules = [{ json = "state == 'crowded'", then = "again", reason = "too many are running" }]
    """
    answers: dict[str, Answer] = {"POST /jobs": answering({"state": "crowded"}, {"rows": [1]})}
    async with serving(tmp_path, sqlite_url, spec, answers) as (shop, running):
        job = await running.run()
        outcomes = await running.outcomes(job.id)
    assert (job.state, job.agains, job.submits) == (State.SUCCEEDED, 1, 2), job.reason
    assert outcomes == ["Submitted", "Intended", "FailedForNow", "Intended", "Stored"]
    assert shop.times("POST /jobs") == 2
