"""A reply to a poll that is the first page of the list of files; by a real daemon."""

from pathlib import Path

from aiohttp import web

from tests.support.scripted_provider import Answer, answering, serving
from tidewaiter.domain.job import State

LISTED = """
[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ json = "links", then = "ready" }]

[operations.report.results.lists]
first = "poll"
url = "/jobs/${handle}"
next_url = "more"

[operations.report.results.files]
each = "links"
"""


def _answers(second: Answer) -> dict[str, Answer]:
    return {
        "POST /jobs": answering({"id": 1}),
        "GET /jobs/1": answering({"links": [{"url": "/files/a"}], "more": "/more"}),
        "GET /more": second,
        "GET /files/a": answering(b"of a"),
        "GET /files/b": answering(b"of b"),
    }


async def test_the_first_page_is_not_requested_again(tmp_path: Path, sqlite_url: str) -> None:
    """What follows it is read in the step of the poll, and the links are stored with its outcome."""
    answers = _answers(answering({"links": [{"url": "/files/b"}]}))
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (shop, running):
        job = await running.run()
        assert (job.state, job.reason) == (State.SUCCEEDED, None)
        assert [one.label for one in await running.jobs.artifacts(job.id)] == ["a", "b"]
    assert shop.asked == ["POST /jobs", "GET /jobs/1", "GET /more", "GET /files/a", "GET /files/b"]


async def test_a_page_that_cannot_be_read_then(tmp_path: Path, sqlite_url: str) -> None:
    """The poll's answer stands, and the step that downloads walks the whole list."""
    replies = [answering({"error": "too early"}, status=400), answering({"links": [{"url": "/files/b"}]})]

    async def second(request: web.Request) -> web.StreamResponse:
        return await replies.pop(0)(request)

    async with serving(tmp_path, sqlite_url, LISTED, _answers(second)) as (shop, running):
        job = await running.run()
        assert (job.state, job.polls) == (State.SUCCEEDED, 1)
        assert [one.label for one in await running.jobs.artifacts(job.id)] == ["a", "b"]
    assert shop.times("GET /jobs/1") == 2
