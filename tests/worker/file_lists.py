"""Exports that are lists of files."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from tests.support.scripted_provider import Answer, Running, answering

LISTED = """
[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ then = "ready" }]

[operations.report.results]
send_auth = false

[[operations.report.results.files]]
each = "files"
label = "name"
size = "bytes"
"""


def lists(*every: list[tuple[str, str]], between: Callable[[], None] = lambda: None) -> dict[str, Answer]:
    """A remote job that lists files by URL and name, another list at each poll; ``between`` runs before the second."""
    polls = 0
    bodies = [{"files": [{"url": url, "name": name} for url, name in one]} for one in every]

    async def answer(_: web.Request) -> web.StreamResponse:
        nonlocal polls
        polls += 1
        if polls == 2:
            await asyncio.to_thread(between)  # it may wait for the daemon, which runs in this loop
        return web.json_response(bodies[min(polls, len(bodies)) - 1])

    return {"POST /jobs": answering({"id": 1}), "GET /jobs/1": answer}


async def reason_to_wait(running: Running, job_id: int) -> str:
    """Why the job's download waits, once it does."""
    async with asyncio.timeout(30):
        while True:
            for entry in await running.jobs.history(job_id):
                if entry.outcome == "NotYet":
                    return entry.detail or ""
            await asyncio.sleep(0.02)
