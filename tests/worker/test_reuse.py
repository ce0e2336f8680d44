"""Remote jobs that are used again: by a real daemon, against lists that lie."""

import asyncio
import time
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Running, answering, open_provider, serving
from tests.worker.reuse_setup import ADOPTS, SPEC, STAGED, Remote
from tidewaiter.domain.job import Job, State
from tidewaiter.services import DAEMON


async def test_a_finished_remote_job_is_used(tmp_path: Path, sqlite_url: str) -> None:
    """Nothing is submitted, and what none of our jobs has made is not deleted."""
    remote = Remote("theirs")
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers()) as (shop, running):
        job = await running.run()
        outcomes = await running.outcomes(job.id)
        assert await running.file(job.id) == b"theirs"
    assert (job.state, job.handle, job.shared, job.submits) == (State.SUCCEEDED, "theirs", True, 0)
    assert outcomes == ["Submitted", "Reused", "Ready", "Stored", "LeftAlone"]
    assert (shop.times("POST"), shop.times("DELETE"), shop.times("GET /jobs?")) == (0, 0, 1)


@pytest.mark.slow
async def test_only_the_same_question_is_answered(tmp_path: Path, sqlite_url: str) -> None:
    """Of the right age; the list is read page by page until there is a match."""
    remote = Remote()
    remote.listed = [
        remote.item("old", "visits"),
        remote.item("old", age_s=4000.0),
        remote.item("old", age_s=-4000.0),
        remote.item("theirs", age_s=3000.0),
        remote.item("old", age_s=3500.0),
    ]
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers()) as (shop, running):
        assert (await running.run()).handle == "theirs"
        assert shop.times("GET /jobs?") == 2
        other = await running.run(kind="baskets")
    assert (other.handle, other.shared, other.submits) == ("r1", False, 1)
    assert shop.times("GET /jobs?") == 5


async def test_a_job_may_ask_for_a_new_one(tmp_path: Path, sqlite_url: str) -> None:
    """By the parameter that ``newer`` names: the list is not even read."""
    remote = Remote("theirs")
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers()) as (shop, running):
        job = await running.run(newest=True)
    assert (job.handle, job.submits, shop.times("GET /jobs?")) == ("r1", 1, 0)


@pytest.mark.slow
async def test_one_that_runs_for_another_job_is_shared(tmp_path: Path, sqlite_url: str) -> None:
    """Both get the file; the remote job is deleted once, by the last of them."""
    remote = Remote(state="busy")
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers()) as (shop, running):
        first = await _polled(running)
        second = await _polled(running)
        remote.states["r1"] = "done"
        ended = [await running.until(job.id) for job in (first, second)]
        outcomes = [(await running.outcomes(job.id))[-1] for job in ended]
        assert [await running.file(job.id) for job in ended] == [b"r1", b"r1"]
        assert running.events("job.conflicted") == []
    assert [(job.handle, job.shared) for job in ended] == [("r1", False), ("r1", True)]
    assert sorted(outcomes) == ["Cleaned", "LeftAlone"]
    assert (shop.times("POST /jobs"), shop.times("DELETE /jobs/r1")) == (1, 1)


async def test_a_cancel_request_spares_what_others_made(tmp_path: Path, sqlite_url: str) -> None:
    """The job ends; the remote job goes on for those who asked for it."""
    remote = Remote("theirs", state="busy")
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers()) as (shop, running):
        job = await _polled(running)
        await running.service.cancel(job.id, actor=DAEMON)
        ended = await running.until(job.id)
    assert ended.state is State.CANCELLED
    assert "the remote job was left alone" in (ended.reason or "")
    assert shop.times("POST") == shop.times("DELETE") == 0


@pytest.mark.slow
async def test_what_we_have_deleted_is_not_used(tmp_path: Path, sqlite_url: str) -> None:
    """The list still has it."""
    remote = Remote()
    async with serving(tmp_path, sqlite_url, SPEC, remote.answers()) as (shop, running):
        assert (await running.run()).handle == "r1"
        assert shop.times("DELETE /jobs/r1") == 1
        second = await running.run()
    assert (second.handle, second.submits) == ("r2", 1)


@pytest.mark.parametrize("how", ["gone", "failed", "no file"])
async def test_one_that_is_of_no_use_leads_to_a_submit(tmp_path: Path, sqlite_url: str, how: str) -> None:
    """Without a second search, which would find it again."""
    remote = Remote("theirs")
    answers = remote.answers()
    if how == "gone":
        answers["GET /jobs/theirs"] = answering({"error": "deleted"}, status=404)
    elif how == "failed":
        remote.states["theirs"] = "failed"
    else:
        answers["GET /jobs/theirs/file"] = answering({"error": "too large"}, status=400)
    async with serving(tmp_path, sqlite_url, SPEC, answers) as (shop, running):
        job = await running.run()
        history = await running.jobs.history(job.id)
        assert await running.file(job.id) == b"r1"
    assert (job.state, job.handle, job.submits, job.resubmits) == (State.SUCCEEDED, "r1", 1, 0)
    assert any("the reused remote job is of no use" in (entry.detail or "") for entry in history)
    assert (shop.times("GET /jobs?"), shop.times("POST /jobs")) == (1, 1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": "not for you"}, 403),
        ({"error": "not for you"}, 401),
        ({"error": "no such list"}, 404),
        ({"jobs": [{"id": ["x"], "kind": "orders", "state": 1, "made": "soon"}]}, 200),
        ({"jobs": []}, 200),
        ({"jobs": None}, 200),
    ],
    ids=["forbidden", "unauthorized", "missing", "nonsense", "empty", "null"],
)
async def test_a_list_that_is_of_no_use(tmp_path: Path, sqlite_url: str, body: object, status: int) -> None:
    """The job is submitted, and the account stays open."""
    remote = Remote()
    answers = {**remote.answers(), "GET /jobs": answering(body, status=status)}
    async with serving(tmp_path, sqlite_url, SPEC, answers) as (shop, running):
        job = await running.run()
        assert len(running.events("reuse.skipped")) == (status != 200)
        assert running.events("account.paused") == []
    assert (job.state, job.handle, job.submits) == (State.SUCCEEDED, "r1", 1)
    assert shop.times("GET /jobs?") == 1


@pytest.mark.slow
@pytest.mark.parametrize("how", ["error", "html", "cut off", "no list"])
async def test_a_list_that_breaks_is_read_twice(tmp_path: Path, sqlite_url: str, how: str) -> None:
    """Then the job is submitted."""
    remote = Remote("theirs")

    async def broken(request: web.Request) -> web.StreamResponse:
        if how == "cut off":
            assert request.transport is not None
            request.transport.close()
        body = b"<html>soon</html>" if how == "html" else b'{"all": []}'
        return web.Response(body=body, status=500 if how == "error" else 200)

    async with serving(tmp_path, sqlite_url, SPEC, {**remote.answers(), "GET /jobs": broken}) as (shop, running):
        job = await running.run()
        assert len(running.events("reuse.skipped")) == 1
    assert (job.state, job.handle) == (State.SUCCEEDED, "r1")
    assert shop.times("GET /jobs?") == 2


async def test_a_list_without_end_is_given_up(tmp_path: Path, sqlite_url: str) -> None:
    """After ``most_pages``."""
    remote = Remote()

    async def endless(request: web.Request) -> web.StreamResponse:
        number = request.query["page"]
        return web.json_response({"jobs": [remote.item(f"{number}-{one}", "visits") for one in (1, 2)]})

    spec = SPEC.replace("within_s", "most_pages = 3\nwithin_s")
    async with serving(tmp_path, sqlite_url, spec, {**remote.answers(), "GET /jobs": endless}) as (shop, running):
        assert (await running.run()).handle == "r1"
        (line,) = running.events("reuse.skipped")
    assert shop.times("GET /jobs?") == 3
    assert str(line["reason"]).startswith("the list has more than 3 pages")


async def test_another_host_does_not_know_the_remote_jobs(tmp_path: Path, sqlite_url: str) -> None:
    """What it lists after a redirect is not believed."""
    remote = Remote("theirs")

    async def away(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"{elsewhere.url}/jobs")

    async with (
        open_provider({"GET /jobs": Remote("theirs").index}) as elsewhere,
        serving(tmp_path, sqlite_url, SPEC, {**remote.answers(), "GET /jobs": away}) as (_, running),
    ):
        assert (await running.run()).handle == "r1"
        (line,) = running.events("reuse.skipped")
    assert "another host" in str(line["reason"])


@pytest.mark.slow
async def test_a_limit_on_lists_delays_the_submit(tmp_path: Path, sqlite_url: str) -> None:
    """The account waits as the provider asks; then the job is submitted, without another search."""
    remote = Remote("theirs")
    busy = answering({"error": "slow down"}, status=429, headers={"Retry-After": "1"})
    async with serving(tmp_path, sqlite_url, SPEC, {**remote.answers(), "GET /jobs": busy}) as (shop, running):
        job = await running.run()
        assert running.events("account.paused") != []
    assert (job.state, job.handle) == (State.SUCCEEDED, "r1")
    assert shop.times("GET /jobs?") == 2


@pytest.mark.slow
async def test_a_remote_job_of_a_lost_reply_stays_with_its_maker(tmp_path: Path, sqlite_url: str) -> None:
    """Another job reuses it while its maker does not know its name yet: the maker still finds it."""
    remote = Remote(state="busy")
    arrived, used = asyncio.Event(), asyncio.Event()

    async def lost(request: web.Request) -> web.StreamResponse:
        made = await remote.create(request)
        if remote.made == 1:
            arrived.set()
            await used.wait()
            assert request.transport is not None
            request.transport.close()
        return made

    async with serving(tmp_path, sqlite_url, ADOPTS, {**remote.answers(), "POST /jobs": lost}) as (shop, running):
        first = await running.submit()
        async with asyncio.timeout(30):
            await arrived.wait()
        second = await _polled(running)
        used.set()
        await running.until(first.id, State.POLLING)
        remote.states["r1"] = "done"
        ended = [await running.until(job.id) for job in (first, second)]
    assert [(job.state, job.handle, job.shared) for job in ended] == [
        (State.SUCCEEDED, "r1", False),
        (State.SUCCEEDED, "r1", True),
    ]
    assert (shop.times("POST /jobs"), shop.times("DELETE /jobs/r1")) == (1, 1)


@pytest.mark.slow
async def test_neither_what_comes_before_nor_what_starts_it_is_sent(tmp_path: Path, sqlite_url: str) -> None:
    """The remote job that is reused runs already. What the requests would have kept is in the list."""
    remote = Remote("theirs")
    remote.listed[0]["token"] = "t0"
    answers = {
        **remote.answers(),
        "POST /files": answering({"id": "f1"}),
        "POST /jobs/r1/run": answering({"token": "t1"}),
    }
    async with serving(tmp_path, sqlite_url, STAGED, answers) as (shop, running):
        job = await running.run()
        assert dict(job.kept) == {"token": "t0"}
        assert shop.times("POST") == 0
        assert shop.times("GET /jobs/theirs/file?token=t0") == 1
        remote.listed.clear()
        own = await running.run()
        assert shop.times("GET /jobs/r1/file?token=t1") == 1
    assert (job.state, job.handle, own.state, own.handle) == (State.SUCCEEDED, "theirs", State.SUCCEEDED, "r1")
    assert shop.times("GET /jobs?") == 2  # not once for each request before the submit


@pytest.mark.slow
async def test_one_that_is_of_no_use_leads_through_every_request(tmp_path: Path, sqlite_url: str) -> None:
    """From the first one on; nothing that was kept of the other is left."""
    remote = Remote("theirs")
    remote.listed[0]["token"] = "t0"
    answers = {
        **remote.answers(),
        "POST /files": answering({"id": "f1"}),
        "POST /jobs/r1/run": answering({"token": "t1"}),
        "GET /jobs/theirs": answering({"error": "deleted"}, status=404),
    }
    async with serving(tmp_path, sqlite_url, STAGED, answers) as (shop, running):
        job = await running.run()
    assert (job.state, job.handle, dict(job.kept)) == (State.SUCCEEDED, "r1", {"file": "f1", "token": "t1"})
    assert shop.times("GET /jobs?") == 1


async def _polled(running: Running) -> Job:
    """A new job, once it has a remote job."""
    return await running.until((await running.submit()).id, State.POLLING)


@pytest.mark.slow
async def test_the_submit_waits_for_its_turn_before_its_intent(tmp_path: Path, sqlite_url: str) -> None:
    """After a search in vain: a daemon that is killed while it waits leaves no submit in doubt."""
    remote, listed_at = Remote(), 0.0

    async def index(request: web.Request) -> web.StreamResponse:
        nonlocal listed_at
        listed_at = time.time()
        return await remote.index(request)

    answers = {**remote.answers(), "GET /jobs": index}
    async with serving(tmp_path, sqlite_url, SPEC, answers, "limits = { spacing_s = 0.3 }") as (_, running):
        job = await running.submit()
        polled = await running.until(job.id, State.POLLING, State.FETCHING, State.CLEANING, State.SUCCEEDED)
    assert (polled.intent_at or 0.0) - listed_at > 0.2
