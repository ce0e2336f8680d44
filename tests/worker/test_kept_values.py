"""Kept values in a whole daemon: they are durable with the job, and belong to one remote job."""

from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import answering, serving
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
