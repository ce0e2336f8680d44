"""Two jobs that find the same remote job, in an operation with a request that starts it."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, answering, serving
from tidewaiter.domain.job import State

SPEC = """
[operations.report.submit]
url = "/jobs"
handle = "id"
keep = { queue = "queue" }

[operations.report.adopt]
url = "/jobs"
items = "jobs"
match = { kind = "orders" }
handle = "id"
lag_s = 0
keep = { queue = "queue" }

[[operations.report.start]]
name = "run"
url = "/jobs/${handle}/run"

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { done = "ready" } }]

[operations.report.results]
url = "/jobs/${handle}/file?queue=${kept.queue}"
"""


@pytest.mark.slow
async def test_the_one_that_is_too_late_finds_its_own(tmp_path: Path, sqlite_url: str) -> None:
    """It is still at the submit: it searches again, keeps nothing of the other one, and starts its own remote job."""
    both, searches = asyncio.Barrier(2), [0]

    async def lose(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def index(_: web.Request) -> web.StreamResponse:
        searches[0] += 1
        early = searches[0] <= 2
        if early:
            async with asyncio.timeout(10):
                await both.wait()
        found = [{"id": name, "kind": "orders", "queue": f"q{name}"} for name in ("r1", "r2")]
        return web.json_response({"jobs": found[:1] if early else found})

    answers: dict[str, Answer] = {"POST /jobs": lose, "GET /jobs": index}
    for name in ("r1", "r2"):
        answers |= {
            f"POST /jobs/{name}/run": answering({}),
            f"GET /jobs/{name}": answering({"state": "done"}),
            f"GET /jobs/{name}/file": answering(name.encode()),
        }
    async with serving(tmp_path, sqlite_url, SPEC, answers) as (shop, running):
        jobs = [await running.submit() for _ in range(2)]
        ended = [await running.until(job.id) for job in jobs]
        assert len(running.events("job.conflicted")) == 1
    assert {(job.state, job.handle, job.kept["queue"]) for job in ended} == {
        (State.SUCCEEDED, "r1", "qr1"),
        (State.SUCCEEDED, "r2", "qr2"),
    }
    assert (shop.times("POST /jobs/r1/run"), shop.times("POST /jobs/r2/run")) == (1, 1)
