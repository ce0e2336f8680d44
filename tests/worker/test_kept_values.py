"""Kept values in a whole daemon: they are durable with the job, and belong to one remote job."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import answering, config_for, daemon_for, open_provider, serving
from tidewaiter.domain.job import State
from tidewaiter.services import DAEMON, RequestError

SPEC = """
gone_grace_s = 0

[operations.report.submit]
url = "/reports"
handle = "progress"
keep = { folder = "folder" }

[operations.report.poll]
url = "/${kept.folder}/reports/${handle}"
keep = { file = "fileId" }
rules = [{ word = "state", words = { working = "pending", done = "ready" } }]

[operations.report.results]
url = "/${kept.folder}/files/${kept.file}"
"""


@pytest.mark.slow
async def test_the_values_of_two_replies_lead_to_the_file(tmp_path: Path, sqlite_url: str) -> None:
    """The submit names the folder, and the poll that says ready the file."""
    answers = {
        "POST /reports": answering({"progress": "p1", "folder": "f"}),
        "GET /f/reports/p1": answering({"state": "working"}, {"state": "done", "fileId": "x y"}),
        "GET /f/files/x y": answering(b"a,b\n"),
    }
    async with serving(tmp_path, sqlite_url, SPEC, answers) as (shop, running):
        job = await running.run()
        assert await running.file(job.id) == b"a,b\n"
    assert (job.state, job.kept) == (State.SUCCEEDED, {"folder": "f", "file": "x y"})
    assert shop.asked[-1] == "GET /f/files/x%20y"


@pytest.mark.slow
async def test_a_new_remote_job_starts_without_the_values_of_the_old_one(tmp_path: Path, sqlite_url: str) -> None:
    """The first remote job has told a file and is gone then; the file of the second is another one."""

    async def gone(_: web.Request) -> web.StreamResponse:
        if shop.times("GET /old/reports/p1") == 1:
            return web.json_response({"state": "working", "fileId": "wrong"})
        return web.Response(status=404)

    answers = {
        "POST /reports": answering({"progress": "p1", "folder": "old"}, {"progress": "p2", "folder": "new"}),
        "GET /old/reports/p1": gone,
        "GET /new/reports/p2": answering({"state": "done"}, {"state": "done", "fileId": "right"}),
        "GET /new/files/right": answering(b"a,b\n"),
    }
    async with serving(tmp_path, sqlite_url, SPEC, answers) as (shop, running):
        job = await running.run()
    assert (job.state, job.kept) == (State.SUCCEEDED, {"folder": "new", "file": "right"})
    assert shop.times("GET /new/reports/p2") == 2
    assert shop.times("GET /new/files/wrong") == 0


@pytest.mark.slow
async def test_a_person_gives_the_values_of_a_lost_reply(tmp_path: Path, sqlite_url: str) -> None:
    """The handle alone is not enough, and a message says what is missing."""

    async def lost(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    answers = {
        "POST /reports": lost,
        "GET /f/reports/p1": answering({"state": "done", "fileId": "x"}),
        "GET /f/files/x": answering(b"a,b\n"),
    }
    async with serving(tmp_path, sqlite_url, SPEC, answers) as (_, running):
        parked = await running.run()
        assert parked.state is State.PARKED
        with pytest.raises(RequestError, match="would have had folder, which later requests need: give the values"):
            await running.service.adopt(parked.id, "p1", actor=DAEMON)
        with pytest.raises(RequestError, match="no reply would have had place"):
            await running.service.adopt(parked.id, "p1", actor=DAEMON, kept={"place": "f"})
        with pytest.raises(RequestError, match=r"keep\.folder has control characters"):
            await running.service.adopt(parked.id, "p1", actor=DAEMON, kept={"folder": "f\ng"})
        await running.service.adopt(parked.id, "p1", actor=DAEMON, kept={"folder": "f"})
        job = await running.until(parked.id, State.SUCCEEDED)
        assert await running.file(job.id) == b"a,b\n"
    assert job.kept == {"folder": "f", "file": "x"}


NAMED = """
[operations.report.submit]
url = "/reports"
handle = "id"

[operations.report.poll]
url = "/reports/${handle}"
rules = [{ json = "done", then = "ready" }]

[operations.report.results.resolve]
url = "/reports/${handle}/file"
link = "url"
keep = { file = "fileId" }

[operations.report.cleanup]
url = "/files/${kept.file}"
"""


@pytest.mark.slow
async def test_the_reply_that_names_the_file_names_what_is_deleted(tmp_path: Path, sqlite_url: str) -> None:
    """Its value is committed with the file: a daemon that is killed before the deletion has it afterwards."""
    asked, hold = asyncio.Event(), asyncio.Event()

    async def delete(_: web.Request) -> web.StreamResponse:
        asked.set()
        await hold.wait()
        return web.Response(status=204)

    answers = {
        "POST /reports": answering({"id": "r1"}),
        "GET /reports/r1": answering({"done": True}),
        "GET /reports/r1/file": answering({"url": "/data"}, {"url": "/data", "fileId": "x y"}),
        "GET /data": answering(b"a,b\n"),
        "DELETE /files/x y": delete,
    }
    async with open_provider(answers) as shop:
        config = config_for(tmp_path, NAMED, shop.url, sqlite_url, "clean = true")
        config = config.model_copy(update={"worker": config.worker.model_copy(update={"drain_s": 0.1})})
        async with daemon_for(config) as running:
            job = await running.submit()
            await asked.wait()
            assert (await running.until(job.id, State.CLEANING)).kept == {"file": "x y"}
        hold.set()
        async with daemon_for(config) as running:
            job = await running.until(job.id)
    assert (job.state, job.reason, job.fetches) == (State.SUCCEEDED, None, 1)
    assert (shop.times("GET /reports/r1/file"), shop.times("GET /data")) == (2, 1)
