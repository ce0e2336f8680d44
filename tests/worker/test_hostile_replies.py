"""No reply stops the daemon: the event loop goes on, and the job's end has a reason."""

import asyncio
import base64
import html
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, answering, serving
from tidewaiter.domain.job import State

SPEC = """
[operations.report.submit]
url = "/reports"
handle = "id"

[operations.report.poll]
url = "/reports/${handle}"
rules = [
    { json = "error", status = ["2xx", "4xx"], then = "failed" },
    { word = "state", words = { DONE = "ready", WAIT = "pending" } },
]

[operations.report.results]
files = [{ each = "files", url = "url" }]
send_auth = false
"""
MOST_LAG_S = 0.5
"""Of the loop's own processor time, which no other program's load changes. Each of these took from 3 to 30 seconds."""


class Lag:
    """How much processor time the event loop's thread spent between two looks at most."""

    worst_s = 0.0


@asynccontextmanager
async def watched() -> AsyncIterator[Lag]:
    """Looks every few milliseconds what the loop's thread has spent since."""
    lag = Lag()

    async def look() -> None:
        while True:
            begun = time.thread_time()
            await asyncio.sleep(0.01)
            lag.worst_s = max(lag.worst_s, time.thread_time() - begun)

    looking = asyncio.create_task(look())
    try:
        yield lag
    finally:
        looking.cancel()


def replying(poll: bytes, status: int = 200) -> dict[str, Answer]:
    """A provider that takes a job, and answers every poll like this."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=poll, status=status)

    return {"POST /reports": answering({"id": "r1"}), "GET /reports/r1": answer}


def listed(number_of_files: int) -> bytes:
    """The reply to a poll: the job is ready, with so many files."""
    return json.dumps(
        {"state": "DONE", "files": [{"url": f"/f/{number}"} for number in range(number_of_files)]}
    ).encode()


@pytest.mark.fault(66, 67)
@pytest.mark.parametrize(
    ("poll", "status", "reason"),
    [
        pytest.param(lambda: listed(240_000), 200, "240000 files, and 10000 are permitted", id="240,000 files"),
        pytest.param(
            lambda: json.dumps({"error": "https:" * 23_000}).encode(), 200, "the provider says", id="140 kB message"
        ),
        pytest.param(lambda: b"https:" * 1_300_000, 400, "HTTP 400: https:", id="8 MiB that is no JSON"),
        pytest.param(
            lambda: b'{"error":"x",' + b",".join(b'"k%d":%d' % (one, one) for one in range(500_000)) + b"}",
            200,
            "the provider says",
            id="500,000 members",
        ),
        pytest.param(lambda: b"[" * 4_000_000, 200, "values, and 1000000 are permitted", id="deep"),
        pytest.param(
            lambda: b'{"error":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 200, "nested too deep", id="nested"
        ),
        pytest.param(lambda: b'{"state":' + b"7" * 1_000_000 + b"}", 200, "a number of 1000000 digits", id="digits"),
        pytest.param(lambda: b'{"state":1e999}', 200, "a number that is too large", id="infinite"),
    ],
)
@pytest.mark.slow
async def test_the_loop_goes_round(
    poll: Callable[[], bytes], status: int, reason: str, tmp_path: Path, sqlite_url: str
) -> None:
    """The job fails with a reason, and the event loop was never away for long."""
    async with serving(tmp_path, sqlite_url, SPEC, replying(poll(), status)) as (_, running), watched() as lag:
        job = await running.run()
    assert job.state is State.FAILED
    assert reason in (job.reason or "")
    assert len(job.reason or "") < 400
    assert lag.worst_s < MOST_LAG_S


@pytest.mark.fault(67)
async def test_what_is_taken_is_the_operators_to_say(tmp_path: Path, sqlite_url: str) -> None:
    """A lower bound of files refuses what the usual one takes, and names the key that raises it."""
    poll = json.dumps({"state": "DONE", "files": [{"url": "/f/1"}, {"url": "/f/2"}]}).encode()
    account = "bounds = { most_files = 1 }"
    async with serving(tmp_path, sqlite_url, SPEC, replying(poll), account) as (_, running):
        job = await running.run()
    assert job.reason == (
        "the provider lists 2 files, and 1 are permitted: raise accounts.shop.bounds.most_files, or request fewer"
    )


@pytest.mark.slow
async def test_a_file_is_as_large_as_the_account_permits(tmp_path: Path, sqlite_url: str) -> None:
    """A larger one is given up, with the key that says so; a smaller one lands."""
    poll = json.dumps({"state": "DONE", "files": [{"url": "/f/1"}]}).encode()
    answers = {**replying(poll), "GET /f/1": answering(b"x" * 100_000)}
    small = "bounds = { largest_file_bytes = 99_999 }"
    async with serving(tmp_path, sqlite_url, SPEC, answers, small) as (_, running):
        job = await running.run()
        assert job.state is State.FAILED
        assert "largest_file_bytes" in (job.reason or "")
    async with serving(tmp_path, sqlite_url, SPEC, answers, small.replace("99_999", "100_000")) as (_, running):
        assert (await running.run()).state is State.SUCCEEDED


@pytest.mark.slow
async def test_many_files_are_listed_in_pieces(tmp_path: Path, sqlite_url: str) -> None:
    """As many files as are taken are read, stored and begun without holding up the loop."""
    poll = listed(10_000)
    begun = asyncio.Event()

    async def first(_: web.Request) -> web.StreamResponse:
        begun.set()
        return web.Response(status=500)

    answers = {**replying(poll), "GET /f/0": first}
    async with serving(tmp_path, sqlite_url, SPEC, answers) as (_, running), watched() as lag:
        await running.submit()
        async with asyncio.timeout(30):
            await begun.wait()
    assert lag.worst_s < MOST_LAG_S


LIST = """
[operations.report.results.pages]
url = "/list"
query = { page = "${page.number}" }
items = "items"
next = "next"
"""


@pytest.mark.fault(67)
async def test_a_list_has_as_many_pages_as_the_account_permits(tmp_path: Path, sqlite_url: str) -> None:
    """A list without end is given up, with the key that says so."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"items": [1], "next": str(int(request.query["page"]) + 1)})

    bound = "bounds = { most_pages = 3 }"
    async with serving(tmp_path, sqlite_url, LIST, {"GET /list": answer}, bound) as (shop, running):
        job = await running.run()
    assert job.state is State.FAILED
    assert "the list has more than 3 pages: raise accounts.shop.bounds.most_pages" in (job.reason or "")
    assert shop.times("GET /list") == 3


SIGNED_IN = """
[auth]
type = "session"
lifetime_s = 3600

[auth.login]
url = "/login"
token = "token"
"""
TOKEN = "live/Token+of=the&session-0123456789"
WRITTEN = (
    TOKEN,
    json.dumps(TOKEN).replace("/", "\\/"),
    html.escape(TOKEN),
    quote(quote(TOKEN, safe=""), safe=""),
    base64.b64encode(f"me:{TOKEN}".encode()).decode(),
    base64.urlsafe_b64encode(TOKEN.encode()).decode(),
    TOKEN.encode().hex().upper(),
    "\n".join(TOKEN[at : at + 7] for at in range(0, len(TOKEN), 7)),
)


@pytest.mark.slow
@pytest.mark.parametrize("written", WRITTEN, ids=range(len(WRITTEN)))
async def test_a_live_token_is_redacted_before_anything_is_shortened(
    written: str, tmp_path: Path, sqlite_url: str
) -> None:
    """A provider echoes the session's token where our own cut divides it: in a word, a progress, a message, a label."""
    spec = SIGNED_IN + SPEC.replace("rules = [", 'progress = "progress"\nrules = [', 1)
    replies = [
        {"state": "WAIT", "progress": "x" * 85 + written},
        {"state": "y" * 85 + written},
        {"error": "z" * 180 + written},
    ]
    answers = {
        "POST /login": answering({"token": TOKEN}),
        "POST /reports": answering({"id": "r1"}),
        "GET /reports/r1": answering(*replies),
    }
    async with serving(tmp_path, sqlite_url, spec, answers) as (_, running):
        job = await running.run()
        history = await running.jobs.history(job.id)
    shown = json.dumps([job.reason, job.progress, job.remote_status, [entry.detail for entry in history]])
    assert job.state is State.FAILED
    assert "[redacted]" in shown
    every = "".join(shown.split()) + running.output.getvalue()
    for form in (written, "".join(written.split())):
        assert not [form[at : at + 8] for at in range(len(form) - 7) if form[at : at + 8] in every]
