"""Remote jobs that are found again: after a lost reply, after a kill, and when the provider reports a duplicate."""

import asyncio
import time
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.killable_daemon import serving_process, submitted_by_command
from tests.support.scripted_provider import Answer, config_for, daemon_for, open_provider, serving
from tidewaiter.domain.job import State
from tidewaiter.services import DAEMON

SPEC = """
[operations.report.params]
kind = { help = "what is reported" }

[operations.report.submit]
url = "/jobs"
json = { kind = "${params.kind}" }
handle = "id"
rules = [{ status = 207, then = "duplicate" }]

[operations.report.adopt]
url = "/jobs"
query = { page = "${page.number}" }
items = "jobs"
size = 2
match = { kind = "${params.kind}" }
where = "state != 'old'"
handle = "id"
lag_s = 1.5

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { busy = "pending", done = "ready" } }]

[operations.report.results]
url = "/jobs/${handle}/file"

[operations.report.cancel]
url = "/jobs/${handle}/cancel"
method = "POST"

[operations.report.cleanup]
url = "/jobs/${handle}"
by_default = true
"""
ALONE = SPEC.replace('rules = [{ status = 207, then = "duplicate" }]\n', "")


class Remote:
    """A provider's jobs: what it has, what it lists, and how it answers a submit."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.state = "done"
        self.lists_after_s = 0.0
        self.one_of_a_kind = False
        self.lose = 0
        self.created_at = 0.0
        self.arrived = asyncio.Event()

    def answers(self, *handles: str) -> dict[str, Answer]:
        """How requests are answered, those about these remote jobs included."""
        found: dict[str, Answer] = {"POST /jobs": self.create, "GET /jobs": self.index}
        for handle in handles:
            found |= {
                f"GET /jobs/{handle}": self.status,
                f"GET /jobs/{handle}/file": self.file,
                f"DELETE /jobs/{handle}": self.ended,
                f"POST /jobs/{handle}/cancel": self.ended,
            }
        return found

    async def create(self, request: web.Request) -> web.StreamResponse:
        kind = (await request.json())["kind"]
        self.arrived.set()
        if self.one_of_a_kind and kind in self.jobs.values():
            return web.json_response({"error": "there is one"}, status=207)
        handle = f"r{len(self.jobs) + 1}"
        self.jobs[handle] = kind
        self.created_at = time.monotonic()
        if self.lose:
            self.lose -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"id": handle})

    async def index(self, request: web.Request) -> web.StreamResponse:
        seen = time.monotonic() - self.created_at >= self.lists_after_s
        every = (
            [{"id": handle, "kind": f" {kind} ", "state": self.state} for handle, kind in self.jobs.items()]
            if seen
            else []
        )
        start = 2 * (int(request.query["page"]) - 1)
        return web.json_response({"jobs": every[start : start + 2]})

    async def status(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"state": self.state})

    async def file(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=b"rows")

    async def ended(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=204)


@pytest.mark.fault(2)
async def test_a_lost_answer_is_looked_up(tmp_path: Path, sqlite_url: str) -> None:
    """The one match on any page is adopted, matched as text and trimmed; no second POST is sent."""
    remote = Remote()
    remote.jobs = {"x1": "visits", "x2": "visits"}
    remote.lose = 1
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers("r3")) as (shop, running):
        job = await running.run(kind="orders")
        outcomes = await running.outcomes(job.id)
    assert (job.state, job.handle, job.submits) == (State.SUCCEEDED, "r3", 1)
    assert outcomes[1:4] == ["Intended", "Unknown", "Adopted"]
    assert shop.times("POST /jobs") == 1
    assert [asked for asked in shop.asked if "?" in asked] == ["GET /jobs?page=1", "GET /jobs?page=2"]


@pytest.mark.fault(31)
@pytest.mark.slow
async def test_a_list_that_lags_is_not_believed(tmp_path: Path, sqlite_url: str) -> None:
    """Before ``lag_s`` a list without the remote job proves nothing: it is asked again, and nothing is submitted."""
    remote = Remote()
    remote.lose, remote.lists_after_s = 1, 0.8
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers("r1")) as (shop, running):
        job = await running.run(kind="orders")
        outcomes = await running.outcomes(job.id)
    assert (job.state, job.handle) == (State.SUCCEEDED, "r1")
    assert "Retry" in outcomes
    assert shop.times("POST /jobs") == 1


@pytest.mark.fault(31)
@pytest.mark.slow
async def test_what_is_absent_after_the_lag_is_submitted_again(tmp_path: Path, sqlite_url: str) -> None:
    """Not sooner than ``lag_s`` after the doubt began."""
    remote = Remote()

    async def never_made(request: web.Request) -> web.StreamResponse:
        if shop.times("POST /jobs") == 1:
            remote.created_at = time.monotonic()
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        remote.lists_after_s = time.monotonic() - remote.created_at
        return await remote.create(request)

    answers = {**remote.answers("r1"), "POST /jobs": never_made}
    async with serving(tmp_path, sqlite_url, SPEC, answers) as (shop, running):
        job = await running.run(kind="orders")
        outcomes = await running.outcomes(job.id)
    assert (job.state, job.submits) == (State.SUCCEEDED, 2)
    assert "Absent" in outcomes
    assert remote.lists_after_s >= 1.5


async def test_what_is_absent_may_be_left_to_a_person(tmp_path: Path, sqlite_url: str) -> None:
    """With ``absent = "park"`` even a list without the remote job submits nothing again."""
    remote = Remote()
    remote.lose, remote.lists_after_s = 1, 1000
    spec = SPEC.replace("lag_s = 1.5", 'lag_s = 0\nabsent = "park"')
    async with serving(tmp_path, sqlite_url, spec, remote.answers()) as (shop, running):
        job = await running.run(kind="orders")
    assert job.state is State.PARKED
    assert "the provider's list does not have the remote job" in (job.reason or "")
    assert shop.times("POST /jobs") == 1


async def test_two_matches_park(tmp_path: Path, sqlite_url: str) -> None:
    """Which of them it is nobody can tell; the reason names them."""
    remote = Remote()
    remote.jobs = {"x1": "orders", "x2": "visits"}
    remote.lose = 1
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers()) as (shop, running):
        job = await running.run(kind="orders")
    assert job.state is State.PARKED
    assert job.reason == "2 remote jobs could be it: r3, x1"
    assert shop.times("POST /jobs") == 1


async def test_a_list_that_is_refused_parks(tmp_path: Path, sqlite_url: str) -> None:
    """A remote job may exist: the job must not fail as if there were none."""
    remote = Remote()
    remote.lose = 1

    async def refused(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "no list for you"}, status=404)

    answers = {**remote.answers(), "GET /jobs": refused}
    async with serving(tmp_path, sqlite_url, SPEC, answers) as (_, running):
        job = await running.run(kind="orders")
    assert job.state is State.PARKED
    assert "cannot be looked up: HTTP 404: no list for you" in (job.reason or "")


@pytest.mark.slow
@pytest.mark.parametrize("spec", [SPEC, ALONE], ids=["shares", "alone"])
async def test_the_remote_jobs_of_ended_jobs_are_no_matches(tmp_path: Path, sqlite_url: str, spec: str) -> None:
    """Yesterday's export is still in the list: the job of today is another one."""
    remote = Remote()
    async with serving(tmp_path, sqlite_url, spec, remote.answers("r1", "r2"), "clean = false") as (_, running):
        assert (await running.run(kind="orders")).handle == "r1"
        remote.lose = 1
        second = await running.run(kind="orders")
    assert (second.state, second.handle) == (State.SUCCEEDED, "r2")


@pytest.mark.fault(35)
@pytest.mark.slow
async def test_32_a_submit_that_was_lost_is_not_the_remote_job_of_an_ended_job(tmp_path: Path, sqlite_url: str) -> None:
    """Nothing was made, and the list has only yesterday's export, where equal submits share: submit again."""
    remote = Remote()
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers("r1", "r2"), "clean = false") as (shop, running):
        assert (await running.run(kind="orders")).handle == "r1"

        async def lost(request: web.Request) -> web.StreamResponse:
            shop.answers["POST /jobs"] = remote.create
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        shop.answers["POST /jobs"] = lost
        second = await running.run(kind="orders")
    assert (second.state, second.handle) == (State.SUCCEEDED, "r2")


@pytest.mark.slow
async def test_a_duplicate_without_a_name_is_found_and_shared(tmp_path: Path, sqlite_url: str) -> None:
    """Two jobs of ours follow one remote job; both get the file, and the last one cleans up, once."""
    remote = Remote()
    remote.one_of_a_kind, remote.state = True, "busy"
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers("r1")) as (shop, running):
        first = await running.submit(kind="orders")
        await running.until(first.id, State.POLLING)
        second = await running.submit(kind="orders")
        await running.until(second.id, State.POLLING)
        remote.state = "done"
        ended = [await running.until(job.id) for job in (first, second)]
        assert [(job.state, job.handle, job.shared) for job in ended] == [
            (State.SUCCEEDED, "r1", False),
            (State.SUCCEEDED, "r1", True),
        ]
        assert [await running.file(job.id) for job in ended] == [b"rows", b"rows"]
        outcomes = [(await running.outcomes(job.id))[-1] for job in ended]
    assert sorted(outcomes) == ["Cleaned", "LeftAlone"]
    assert shop.times("DELETE /jobs/r1") == 1
    assert running.events("job.conflicted") == []


@pytest.mark.fault(35)
async def test_a_remote_job_that_another_follows_is_not_cancelled(tmp_path: Path, sqlite_url: str) -> None:
    """The first to be cancelled goes quietly, the last one tells the provider."""
    remote = Remote()
    remote.one_of_a_kind, remote.state = True, "busy"
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers("r1")) as (shop, running):
        first = await running.submit(kind="orders")
        await running.until(first.id, State.POLLING)
        second = await running.submit(kind="orders")
        await running.until(second.id, State.POLLING)
        await running.service.cancel(first.id, actor=DAEMON)
        assert (await running.until(first.id)).state is State.CANCELLED
        assert shop.times("POST /jobs/r1/cancel") == 0
        await running.service.cancel(second.id, actor=DAEMON)
        assert (await running.until(second.id)).state is State.CANCELLED
        assert shop.times("POST /jobs/r1/cancel") == 1


async def test_somebody_elses_remote_job_is_left_alone(tmp_path: Path, sqlite_url: str) -> None:
    """A duplicate of a remote job that none of our jobs has made is followed, but never deleted."""
    remote = Remote()
    remote.one_of_a_kind, remote.jobs = True, {"theirs": "orders"}
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers("theirs")) as (shop, running):
        job = await running.run(kind="orders")
        outcomes = await running.outcomes(job.id)
    assert (job.state, job.handle, outcomes[-1]) == (State.SUCCEEDED, "theirs", "LeftAlone")
    assert shop.times("DELETE") == 0


@pytest.mark.fault(35)
@pytest.mark.slow
async def test_the_same_name_for_two_submits_is_shared(tmp_path: Path, sqlite_url: str) -> None:
    """Where the spec knows duplicates, a provider that answers 200 with the name of the first job refuses nobody."""
    remote = Remote()
    remote.state = "busy"

    async def same(_: web.Request) -> web.StreamResponse:
        return web.json_response({"id": "r1"})

    answers = {**remote.answers("r1"), "POST /jobs": same}
    async with serving(tmp_path, sqlite_url, SPEC, answers) as (shop, running):
        jobs = [await running.submit(kind="orders") for _ in range(3)]
        for job in jobs:
            await running.until(job.id, State.POLLING)
        remote.state = "done"
        ended = [await running.until(job.id) for job in jobs]
    assert [job.state for job in ended] == [State.SUCCEEDED] * 3
    assert sorted(job.shared for job in ended) == [False, True, True]
    assert shop.times("DELETE /jobs/r1") == 1
    assert running.events("job.conflicted") == []


@pytest.mark.fault(32)
async def test_without_duplicates_a_taken_name_is_an_alarm(tmp_path: Path, sqlite_url: str) -> None:
    """The provider promised a remote job of its own, and named another's."""
    remote = Remote()
    remote.state = "busy"

    async def same(_: web.Request) -> web.StreamResponse:
        return web.json_response({"id": "r1"})

    answers = {**remote.answers("r1"), "POST /jobs": same}
    async with serving(tmp_path, sqlite_url, ALONE, answers) as (_, running):
        first = await running.submit(kind="orders")
        await running.until(first.id, State.POLLING)
        second = await running.run(kind="orders")
        assert second.state is State.FAILED
        assert len(running.events("job.conflicted")) == 1
        await running.service.cancel(first.id, actor=DAEMON)
        await running.until(first.id)


@pytest.mark.fault(2)
@pytest.mark.slow
async def test_a_kill_between_the_post_and_its_answer(tmp_path: Path, sqlite_url: str) -> None:
    """The next daemon finds the remote job in the list, though nothing but the intent was durable."""
    remote = Remote()
    stalls = asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        await remote.create(request)
        await stalls.wait()
        return web.Response()

    answers = {**remote.answers("r1"), "POST /jobs": stall}
    async with open_provider(answers) as shop:
        config = config_for(tmp_path, SPEC, shop.url, sqlite_url)
        with serving_process(tmp_path) as process:
            await submitted_by_command(tmp_path, kind="orders")
            async with asyncio.timeout(30):
                await remote.arrived.wait()
            process.kill()
        stalls.set()
        async with daemon_for(config) as running:
            job = await running.until(1)
            outcomes = await running.outcomes(1)
    assert (job.state, job.handle, job.submits) == (State.SUCCEEDED, "r1", 1)
    assert outcomes[1:4] == ["Intended", "Unknown", "Adopted"]
    assert shop.times("POST /jobs") == 1
