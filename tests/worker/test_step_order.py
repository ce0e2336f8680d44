"""The order within a step: build, make durable, check, send, and what may stop it in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, Running, answering, config_for, daemon_for, open_provider, serving
from tests.support.spec_samples import job_with
from tests.worker.executor_setup import LEASE_S, PASSWORD, open_login_executor, queued
from tidewaiter.clock import SystemClock
from tidewaiter.config import load
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job, NewJob, State
from tidewaiter.services import DAEMON

SPEC = """
[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { busy = "pending", done = "ready" } }]

[operations.report.results]
url = "/files/${handle}"
"""
NEEDY = """
[operations.report.params]
region = { help = "which region" }
""" + SPEC.replace('url = "/jobs"\n', 'url = "/jobs/in/${params.region}"\n')
DONE: dict[str, Answer] = {
    "POST /jobs": answering({"id": "7"}),
    "GET /jobs/7": answering({"state": "done"}),
}


async def put(running: Running, **changes: object) -> Job:
    """A job as an older spec let it in."""
    lanes = LaneStore(running.jobs.database)
    await lanes.ensure({"shop": 1})
    (lane,) = await lanes.ids("shop")
    new = NewJob(account="shop", operation="report", params={}, deadline_s=3600.0)
    job, _ = await running.jobs.add(replace(new, **changes), lane, SystemClock().now())  # type: ignore[arg-type]
    return job


# --- the request is built first ---------------------------------------------------------------------------------------


async def test_a_submit_that_cannot_be_built(tmp_path: Path, database_url: str) -> None:
    """The spec has changed under a waiting job: it ends with the reason, without an intent, and nobody is asked."""
    async with serving(tmp_path, database_url, NEEDY, {}) as (shop, running):
        job = await running.until((await put(running)).id)
        outcomes = await running.outcomes(job.id)
    assert job.state is State.FAILED
    assert "the submit cannot be built from the provider's spec as it is now: " in (job.reason or "")
    assert (job.submits, job.intent_key, outcomes) == (0, None, ["Submitted", "Refused"])
    assert shop.asked == []


async def test_a_poll_that_cannot_be_built(tmp_path: Path, sqlite_url: str) -> None:
    """A remote job is under way: the job waits for a spec that is corrected, and says so."""
    spec = NEEDY.replace("/jobs/in/${params.region}", "/jobs").replace(
        'url = "/jobs/${handle}"', 'url = "/jobs/${handle}/${params.region}"'
    )
    async with serving(tmp_path, sqlite_url, spec, {"POST /jobs": answering({"id": "7"})}) as (_, running):
        await put(running)
        (line, *_) = await running.logged("job.troubled")
    assert (line["state"], line["outcome"]) == ("polling", "Retry")
    assert "correct the spec" in str(line["reason"])


@pytest.mark.fault(1, 9)
async def test_a_step_that_dies_before_its_submit_is_sent(database: Database, tmp_path: Path) -> None:
    """Whatever it dies of, nothing was sent: the job is queued again, not reconciled."""

    class BoomError(Exception):
        """Nobody expects it."""

    async with open_login_executor(database, tmp_path, queued()) as shop:

        def boom() -> bool:
            raise BoomError(f"with {PASSWORD}")

        shop.may_send = boom
        outcome = await shop.take()
    assert isinstance(outcome, o.Crashed)
    assert "BoomError: with [redacted]" in outcome.reason
    assert not outcome.sent
    assert shop.api.asked == []


async def test_a_submit_that_is_stopped_while_it_connects(tmp_path: Path, sqlite_url: str) -> None:
    """A drain while the connection is being made leaves nothing in doubt: nothing was sent."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    connected = asyncio.Event()
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        config_for(tmp_path, SPEC, f"https://127.0.0.1:{port}", sqlite_url)
        file = tmp_path / "tidewaiter.toml"
        file.write_text(file.read_text().replace("drain_s = 5", "drain_s = 0"))
        async with daemon_for(load(file, {})) as running:
            job = await running.submit()
            async with asyncio.timeout(20):
                await connected.wait()
    database = Database.open(sqlite_url, SystemClock())
    left = await JobStore(database).get(job.id)
    await database.close()
    assert left is not None
    assert left.state is State.QUEUED


# --- the lease --------------------------------------------------------------------------------------------------------


def at(state: State, **changes: object) -> Job:
    """A job in a state, with a remote job."""
    return replace(job_with("h-1"), state=state, **changes)  # type: ignore[arg-type]  # the names of its fields


@pytest.mark.fault(65)
@pytest.mark.parametrize("state", [State.POLLING, State.FETCHING, State.CANCELLING])
async def test_no_request_leaves_past_the_lease(database: Database, tmp_path: Path, state: State) -> None:
    """Neither a poll, a download nor a cancel: the daemon was stopped for longer than its lease, or the machine was."""
    async with open_login_executor(database, tmp_path, at(state)) as shop:
        shop.clock.at += LEASE_S + 1
        assert isinstance(await shop.take(), o.Interrupted)
    assert shop.api.asked == []


@pytest.mark.fault(65)
async def test_a_login_does_not_leave_past_the_lease(database: Database, tmp_path: Path) -> None:
    """Nor does the request that it would be for."""
    async with open_login_executor(database, tmp_path, at(State.POLLING)) as shop:
        shop.api.on_login = lambda: setattr(shop.clock, "at", shop.clock.at + LEASE_S + 1)
        assert isinstance(await shop.take(), o.Interrupted)
    assert [what for what, _ in shop.api.asked] == ["login"]


# --- a cancel request -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def downloading(folder: Path, database_url: str) -> AsyncIterator[tuple[Running, Job, asyncio.Event]]:
    """A job whose download goes on until the event is set."""
    begun, ends = asyncio.Event(), asyncio.Event()

    async def trickle(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Length": "400000", "ETag": '"one"'})
        await reply.prepare(request)
        await reply.write(b"x" * 200_000)
        begun.set()
        await ends.wait()
        await reply.write(b"x" * 200_000)
        return reply

    async with serving(folder, database_url, SPEC, {**DONE, "GET /files/7": trickle}) as (_, running):
        job = await running.submit()
        async with asyncio.timeout(20):
            await begun.wait()
        try:
            yield running, job, ends
        finally:
            ends.set()


async def test_cancelling_a_download(tmp_path: Path, database_url: str) -> None:
    """A cancel request in the middle of a download stops it; nothing of the file is kept, no manifest is written."""
    async with downloading(tmp_path, database_url) as (running, job, _):
        await running.service.cancel(job.id, actor=DAEMON)
        ended = await running.until(job.id, within_s=5)
        assert ended.state is State.CANCELLED
        async with asyncio.timeout(5):
            while any(path.is_file() for path in running.root.rglob("*")):  # noqa: ASYNC110  # a folder tells nobody
                await asyncio.sleep(0.01)
        assert await running.outcomes(job.id) == [
            "Submitted", "Intended", "Accepted", "Ready", "CancelAsked"
        ]  # fmt: skip


@pytest.mark.slow
async def test_cancelling_a_download_between_two_tries(tmp_path: Path, sqlite_url: str) -> None:
    """Nothing is kept of what an earlier try has brought, although no step is under way."""

    async def broken(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"ETag": '"1"', "Content-Length": "900000"})
        await reply.prepare(request)
        await reply.write(bytes(100_000))
        assert request.transport is not None
        request.transport.close()
        shop.answers["GET /files/7"] = answering(b"", status=500, headers={"Retry-After": "600"})
        return reply

    async with serving(tmp_path, sqlite_url, SPEC, {**DONE, "GET /files/7": broken}) as (shop, running):
        job = await running.submit()
        async with asyncio.timeout(20):
            while not any("500" in str(line["reason"]) for line in running.events("job.troubled")):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert [path for path in running.root.rglob("*") if path.is_file() and path.stat().st_size > 9999]
        await running.service.cancel(job.id, actor=DAEMON)
        await running.until(job.id, State.CANCELLED)
        async with asyncio.timeout(10):
            while [path for path in running.root.rglob("*") if path.is_file()]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_cancelling_a_poll_under_way(tmp_path: Path, sqlite_url: str) -> None:
    """A poll that the provider does not answer does not hold the cancel request up."""
    asked, ends = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        asked.set()
        await ends.wait()
        return web.json_response({"state": "busy"})

    async with serving(tmp_path, sqlite_url, SPEC, {**DONE, "GET /jobs/7": slow}) as (_, running):
        job = await running.submit()
        async with asyncio.timeout(20):
            await asked.wait()
        await running.service.cancel(job.id, actor=DAEMON)
        assert (await running.until(job.id, within_s=5)).state is State.CANCELLED
        ends.set()


async def test_a_cancel_request_during_a_submit_waits(tmp_path: Path, sqlite_url: str) -> None:
    """A remote job may come of it: the submit goes on, and the job is cancelled once its handle is known."""
    asked, ends = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        asked.set()
        await ends.wait()
        return web.json_response({"id": "7"})

    async with serving(tmp_path, sqlite_url, SPEC, {**DONE, "POST /jobs": slow}) as (_, running):
        job = await running.submit()
        async with asyncio.timeout(20):
            await asked.wait()
        await running.service.cancel(job.id, actor=DAEMON)
        await asyncio.sleep(0.3)  # several rounds of the look-out
        ends.set()
        ended = await running.until(job.id)
        assert (ended.state, ended.handle) == (State.CANCELLED, "7")


async def test_cancelling_a_parked_job_without_its_account(tmp_path: Path, database_url: str) -> None:
    """The account has left the configuration; a person can still let its parked job go, once."""
    async with serving(tmp_path, database_url, SPEC, {"POST /jobs": answering(b"<html>what?</html>")}) as (_, running):
        job = await running.run()
        assert job.state is State.PARKED
        running.service.accounts = {}
        assert (await running.service.cancel(job.id, actor=DAEMON)).state is State.CANCELLED
        assert (await running.until(job.id)).state is State.CANCELLED


# --- the end of a lane ------------------------------------------------------------------------------------------------


async def test_a_drain_does_not_wait_for_a_closed_account(tmp_path: Path, sqlite_url: str) -> None:
    """A step that waits for its next page until the account opens ends at once, uncharged."""
    spec = """
[operations.report.results.pages]
url = "/list"
query = { page = "${page.number}" }
items = "items"
size = 1
"""
    closed = asyncio.Event()

    async def page(request: web.Request) -> web.StreamResponse:
        if request.query["page"] == "1":
            return web.json_response({"items": [1]})
        closed.set()
        return web.json_response({}, status=429, headers={"Retry-After": "60"})

    async with serving(tmp_path, sqlite_url, spec, {"GET /list": page}) as (_, running):
        await running.submit()
        async with asyncio.timeout(20):
            await closed.wait()
        await running.logged("account.paused")
        started = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - started < 3, "drain_s is 5"
    (line,) = running.events("daemon.stopped")
    assert line["clean"] is True


async def test_a_drain_does_not_wait_for_the_next_try_of_a_page(tmp_path: Path, sqlite_url: str) -> None:
    """A list pauses between two tries of a page; that is no work under way."""
    spec = SPEC.replace('url = "/files/${handle}"', 'pages = { url = "/list", items = "items", next_url = "next" }')
    asked = asyncio.Event()

    async def later(_: web.Request) -> web.StreamResponse:
        asked.set()
        return web.json_response({}, status=500, headers={"Retry-After": "50"})

    async with open_provider(DONE | {"GET /list": later}) as shop:
        async with daemon_for(config_for(tmp_path, spec, shop.url, sqlite_url)) as running:
            job = await running.submit()
            async with asyncio.timeout(20):
                await asked.wait()
            await running.until(job.id, State.FETCHING)
            started = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started < 3, "drain_s is 5"
    database = Database.open(sqlite_url, SystemClock())
    left = await JobStore(database).get(job.id)
    await database.close()
    assert left is not None
    assert (left.state, left.fetches) == (State.FETCHING, 0)


# --- log and state ----------------------------------------------------------------------------------------------------


async def test_a_throttled_poll_advances_nothing(tmp_path: Path, sqlite_url: str) -> None:
    """The log says that the job is where it was, and why."""
    throttled = answering({}, status=429, headers={"Retry-After": "60"})
    async with serving(tmp_path, sqlite_url, SPEC, {**DONE, "GET /jobs/7": throttled}) as (_, running):
        await running.submit()
        (line,) = await running.logged("job.troubled")
        assert (line["state"], line["outcome"]) == ("polling", "Throttled")
        assert [one for one in running.events("job.advanced") if one["state"] == one["state_from"]] == []
