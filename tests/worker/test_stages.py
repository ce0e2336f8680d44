"""Requests before the submit and after it, in a whole daemon with a provider on real sockets."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, answering, config_for, daemon_for, open_provider, serving
from tests.support.stage_provider import SPEC, answers
from tidewaiter.domain.job import State
from tidewaiter.services import DAEMON


def losing(times: int, then: object = None) -> Answer:
    """The connection breaks after the request, so many times; then it is answered."""
    left = [times]

    async def answer(request: web.Request) -> web.StreamResponse:
        left[0] -= 1
        if left[0] >= 0:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(then or {})

    return answer


@pytest.mark.slow
async def test_each_request_is_sent_in_its_turn(tmp_path: Path, sqlite_url: str) -> None:
    """What is kept before the submit is in it, and a start that is not needed is left out."""
    async with serving(tmp_path, sqlite_url, SPEC, answers()) as (shop, running):
        job = await running.run()
        history = [f"{entry.outcome} {entry.detail}" for entry in await running.jobs.history(job.id)]
    assert (job.state, job.stage, job.kept) == (State.SUCCEEDED, None, {"file": "f1", "queue": "q 7"})
    assert shop.asked == [
        "POST /files", "GET /files/f1", "GET /files/f1", "POST /jobs", "POST /jobs/j1/enqueue",
        "GET /jobs/j1", "GET /jobs/j1", "GET /jobs/j1/file",
    ]  # fmt: skip
    assert "StepDone upload is done" in history
    assert "Intended enqueue" in history
    assert "StepDone enqueue is done" in history


@pytest.mark.slow
async def test_a_job_needs_more_requests_by_its_parameters(tmp_path: Path, sqlite_url: str) -> None:
    """The last start has a kept value of the one before it."""
    async with serving(tmp_path, sqlite_url, SPEC, answers()) as (shop, running):
        job = await running.run(fast=True)
    assert job.state is State.SUCCEEDED
    assert shop.asked[5] == "POST /jobs/j1/hurry?queue=q%207"


@pytest.mark.slow
async def test_each_request_has_a_key_of_its_own(tmp_path: Path, sqlite_url: str) -> None:
    """The same at each repetition, and never that of the submit."""
    keys: list[str] = []

    async def enqueue(request: web.Request) -> web.StreamResponse:
        keys.append(request.headers["Idempotency-Key"])
        return web.Response(status=421 if len(keys) == 1 else 200)

    async with serving(tmp_path, sqlite_url, SPEC, answers(**{"POST /jobs/j1/enqueue": enqueue})) as (_, running):
        job = await running.run()
    assert job.state is State.SUCCEEDED
    assert len(keys) == 2
    assert keys[0] == keys[1] != job.intent_key


@pytest.mark.slow
async def test_a_lost_reply_to_a_start_is_for_a_person(tmp_path: Path, sqlite_url: str) -> None:
    """Nothing is sent again, until a person says so; then that request alone is repeated."""
    lost = answers(**{"POST /jobs/j1/enqueue": losing(1)})
    async with serving(tmp_path, sqlite_url, SPEC, lost) as (shop, running):
        parked = await running.run()
        assert (parked.state, parked.stage, parked.handle) == (State.PARKED, "enqueue", "j1")
        assert shop.times("POST /jobs/j1/enqueue") == 1
        await running.service.retry(parked.id, actor=DAEMON)
        job = await running.until(parked.id, State.SUCCEEDED)
    assert shop.times("POST /jobs/j1/enqueue") == 2
    assert (shop.times("POST /files"), shop.asked.count("POST /jobs"), job.handle) == (1, 1, "j1")


@pytest.mark.slow
async def test_a_person_says_that_it_was_started(tmp_path: Path, sqlite_url: str) -> None:
    """The job goes on with the next request; the handle stays."""
    lost = answers(**{"POST /jobs/j1/enqueue": losing(1)})
    async with serving(tmp_path, sqlite_url, SPEC, lost) as (shop, running):
        parked = await running.run(fast=True)
        await running.service.adopt(parked.id, "typed wrongly", actor=DAEMON)
        job = await running.until(parked.id, State.SUCCEEDED)
    assert (job.handle, shop.times("POST /jobs/j1/enqueue"), shop.times("POST /jobs/j1/hurry")) == ("j1", 1, 1)


@pytest.mark.slow
async def test_a_repeatable_start_is_sent_again(tmp_path: Path, sqlite_url: str) -> None:
    """The operation itself need not be repeatable."""
    lost = answers(**{"POST /jobs/j1/hurry": losing(1)})
    async with serving(tmp_path, sqlite_url, SPEC, lost) as (shop, running):
        job = await running.run(fast=True)
        history = [entry.detail or "" for entry in await running.jobs.history(job.id)]
    assert job.state is State.SUCCEEDED
    assert shop.times("POST /jobs/j1/hurry") == 2
    assert any(detail.startswith("sending hurry again, because it is repeatable") for detail in history)


@pytest.mark.slow
async def test_a_remote_job_that_runs_already_is_started(tmp_path: Path, sqlite_url: str) -> None:
    """A rule of the start says so."""
    running_already = answering({"error": "is running"}, status=409)
    replied = answers(**{"POST /jobs/j1/enqueue": running_already})
    async with serving(tmp_path, sqlite_url, SPEC, replied) as (_, running):
        assert (await running.run()).state is State.SUCCEEDED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        (400, State.FAILED, "HTTP 400: no such queue"),
        (500, State.PARKED, "HTTP 500: no such queue"),
        (302, State.PARKED, "HTTP 302"),
    ],
)
async def test_what_other_replies_to_a_start_mean(
    tmp_path: Path, sqlite_url: str, status: int, state: State, reason: str
) -> None:
    """As for a submit: a refusal is final, and what is unclear is unknown."""
    reply = answering({"error": "no such queue"}, status=status, headers={"Location": "http://x.invalid/"})
    replied = answers(**{"POST /jobs/j1/enqueue": reply})
    async with serving(tmp_path, sqlite_url, SPEC, replied) as (shop, running):
        job = await running.run()
    assert job.state is state
    assert (job.reason or "").startswith(reason)
    assert shop.times("POST /jobs/j1/enqueue") == 1


@pytest.mark.slow
async def test_a_remote_job_that_is_gone_begins_again_with_the_upload(tmp_path: Path, sqlite_url: str) -> None:
    """Nothing of the first remote job is used for the second."""
    gone = answers(**{
        "POST /files": answering({"id": "f1"}, {"id": "f2"}),
        "GET /files/f1": answering({"state": "clean"}),
        "GET /files/f2": answering({"state": "clean"}),
        "POST /jobs": answering({"id": "j0"}, {"id": "j1"}),
        "POST /jobs/j0/enqueue": answering({"error": "no such job"}, status=404),
    })  # fmt: skip
    async with serving(tmp_path, sqlite_url, SPEC, gone) as (shop, running):
        job = await running.run()
    assert (job.state, job.handle, job.kept["file"], job.resubmits) == (State.SUCCEEDED, "j1", "f2", 1)
    assert shop.times("GET /jobs/j0") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (answering({"state": "bad", "error": "virus"}), "HTTP 200: virus"),
        (answering({"error": "no"}, status=404), "HTTP 404: no"),
    ],
    ids=["refused", "not found"],
)
async def test_a_request_before_the_submit_may_end_the_job(
    tmp_path: Path, sqlite_url: str, reply: Answer, reason: str
) -> None:
    """Nothing is submitted then."""
    async with serving(tmp_path, sqlite_url, SPEC, answers(**{"GET /files/f1": reply})) as (shop, running):
        job = await running.run()
    assert (job.state, job.reason) == (State.FAILED, reason)
    assert shop.asked.count("POST /jobs") == 0


@pytest.mark.slow
async def test_a_request_before_the_submit_is_repeated(tmp_path: Path, sqlite_url: str) -> None:
    """After a lost reply, and after one that lacks the value that is kept."""
    upload: list[int] = []

    async def files(request: web.Request) -> web.StreamResponse:
        upload.append(1)
        if len(upload) == 1 and request.transport is not None:
            request.transport.abort()
        return web.json_response({"id": "f1"} if len(upload) > 2 else {})

    async with serving(tmp_path, sqlite_url, SPEC, answers(**{"POST /files": files})) as (shop, running):
        job = await running.run()
        history = [entry.detail or "" for entry in await running.jobs.history(job.id)]
    assert (job.state, len(upload), shop.asked.count("POST /jobs")) == (State.SUCCEEDED, 3, 1)
    assert any(detail.startswith("the reply has no value for keep.file") for detail in history)


@pytest.mark.slow
async def test_a_cancel_request_between_submit_and_start(tmp_path: Path, sqlite_url: str) -> None:
    """The remote job exists, so it is cancelled at the provider."""
    closed = answering({"error": "later"}, status=421)
    async with serving(tmp_path, sqlite_url, SPEC, answers(**{"POST /jobs/j1/enqueue": closed})) as (shop, running):
        job = await running.submit()
        await running.until(job.id, State.STARTING)
        await running.service.cancel(job.id, actor=DAEMON)
        ended = await running.until(job.id, State.CANCELLED)
    assert ended.stage == "enqueue"
    assert shop.times("DELETE /jobs/j1") == 1
    assert shop.times("GET /jobs/j1") == 0


@pytest.mark.slow
async def test_the_deadline_between_submit_and_start(tmp_path: Path, sqlite_url: str) -> None:
    """The job expires, and the remote job is cancelled."""
    closed = answering({"error": "later"}, status=421)
    late = answers(**{"POST /jobs/j1/enqueue": closed, "GET /files/f1": answering({"state": "clean"})})
    spec = SPEC.replace("gone_grace_s = 0", "gone_grace_s = 0\ndeadline_s = 4")
    async with serving(tmp_path, sqlite_url, spec, late) as (shop, running):
        ended = await running.run()
    assert ended.state is State.EXPIRED
    assert "still starting" in (ended.reason or "")
    assert shop.times("DELETE /jobs/j1") == 1


@pytest.mark.slow
async def test_a_daemon_that_is_stopped_during_a_start(tmp_path: Path, sqlite_url: str) -> None:
    """The request has left, so the next daemon sends no second one: a person decides."""
    asked, released = asyncio.Event(), asyncio.Event()

    async def hanging(_: web.Request) -> web.StreamResponse:
        asked.set()
        await released.wait()
        return web.json_response({})

    replies = answers(**{"POST /jobs/j1/enqueue": hanging})
    async with open_provider(replies) as shop:
        config = config_for(tmp_path, SPEC, shop.url, sqlite_url)
        config = config.model_copy(update={"worker": config.worker.model_copy(update={"drain_s": 0.5})})
        async with daemon_for(config) as running:
            job = await running.submit()
            await asked.wait()
        released.set()
        async with daemon_for(config) as running:
            parked = await running.until(job.id)
    assert (parked.state, parked.stage) == (State.PARKED, "enqueue")
    assert shop.times("POST /jobs/j1/enqueue") == 1
