"""Jobs whose provider replies in XML, through the real daemon: polled, landed, and not misled by hostile replies."""

from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import answering, serving
from tidewaiter.domain.job import State

SPEC = """
[operations.report.reply]
format = "xml"
lists = ["results.result"]

[operations.report.submit]
url = "/jobs"
form = { PHASE = "RUN" }
handle = { header = "Location" }
rules = [{ status = 303, then = "accepted" }]

[operations.report.poll]
url = "${handle}"
rules = [{ word = "job.phase", words = { EXECUTING = "running", COMPLETED = "ready", ERROR = "failed" } }]

[operations.report.results]
files = { each = "job.results.result", url = '"@href"', label = '"@id"' }
"""
BOMB = b'<!DOCTYPE a [<!ENTITY b "%s">]><job><phase>&b;</phase></job>' % (b"x" * 1000)
RUNNING = b'<u:job xmlns:u="urn:u"><u:phase>EXECUTING</u:phase></u:job>'
DONE = (
    b'<u:job xmlns:u="urn:u" xmlns:x="urn:x"><u:phase>COMPLETED</u:phase>'
    b'<u:results><u:result id="rows" x:href="/files/rows.csv"/></u:results></u:job>'
)


async def _see_other(_: web.Request) -> web.StreamResponse:
    return web.Response(status=303, headers={"Location": "/jobs/7"})


@pytest.mark.slow
async def test_a_job_in_xml_lands_whatever_comes_between(tmp_path: Path, sqlite_url: str) -> None:
    """A bomb and a reply that breaks off are polls that are repeated."""
    answers = {
        "POST /jobs": _see_other,
        "GET /jobs/7": answering(RUNNING, BOMB, DONE[:-4], DONE),
        "GET /files/rows.csv": answering(b"a,b\n1,2\n"),
    }
    async with serving(tmp_path, sqlite_url, SPEC, answers) as (shop, running):
        job = await running.run()
        assert job.state is State.SUCCEEDED, job.reason
        assert await running.file(job.id) == b"a,b\n1,2\n"
        assert shop.times("GET /jobs/7") == 4
        said = [entry.detail or "" for entry in await running.jobs.history(job.id)]
        why = "a body that is not XML (it has a document type (DOCTYPE), which is not read)"
        assert any(why in one for one in said)
