"""Files that a step passes over, because a file before them has shown that nothing is to be had from there."""

import asyncio
import time
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import answering, config_for, daemon_for, in_turn, open_provider, serving
from tests.worker.file_lists import LISTED, lists
from tidewaiter.domain.job import State

SIGNED = (
    LISTED.replace("send_auth = false", "send_auth = true")
    + """
[auth]
type = "session"
login = { url = "/login", form = { user = "export" }, token = "token" }
"""
)
LISTED_FILES = 4
BODY = bytes(range(256)) * 2**14


def _unfinished_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "landed" / ".partial").rglob("*") if path.is_file())


@pytest.mark.slow
async def test_a_login_that_fails_is_tried_once_in_a_step(tmp_path: Path, sqlite_url: str) -> None:
    """The token ends with the first file: the others do not try to log in again, one after the other."""
    files = [(f"/files/{number}", str(number)) for number in range(LISTED_FILES)]
    answers = lists(files) | {f"GET {path}": answering(b"renew", status=401) for path, _ in files}
    logins = 0

    async def login(_: web.Request) -> web.StreamResponse:
        nonlocal logins
        logins += 1
        return web.json_response({"token": "canary"} if logins == 1 else {}, status=200 if logins == 1 else 500)

    async with serving(tmp_path, sqlite_url, SIGNED, answers | {"POST /login": login}) as (shop, running):
        job = await running.submit()
        (line,) = await running.logged("job.troubled")
        assert line["job"] == job.id
        assert logins == 2
        assert shop.times("GET /files/") == 1


@pytest.mark.fault(3)
@pytest.mark.slow
async def test_a_drain_keeps_what_has_come_of_every_file(tmp_path: Path, sqlite_url: str) -> None:
    """Files that come side by side are stopped, and end, before their folder is closed: the next daemon goes on."""
    halves = asyncio.Event()
    asked: list[tuple[str, str | None]] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        asked.append((request.path, request.headers.get("Range")))
        headers = {"ETag": '"1"', "Content-Length": str(len(BODY) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        reply = web.StreamResponse(status=206 if start else 200, headers=headers)
        await reply.prepare(request)
        if request.path == "/files/0" or start:
            await reply.write(BODY[start:])
            return reply
        await reply.write(BODY[: len(BODY) // 2])
        if sum(path != "/files/0" for path, _ in asked) == 2:
            halves.set()
        await asyncio.sleep(600)
        return reply

    files = [(f"/files/{number}", str(number)) for number in range(3)]
    answers = lists(files) | dict.fromkeys((f"GET {path}" for path, _ in files), serve)
    async with open_provider(answers) as shop:
        config = config_for(tmp_path, LISTED, shop.url, sqlite_url)
        config = config.model_copy(update={"worker": config.worker.model_copy(update={"drain_s": 0.1})})
        async with daemon_for(config) as running:
            job = await running.submit()
            await halves.wait()
            async with asyncio.timeout(20):
                while _unfinished_bytes(tmp_path) < len(BODY) // 2:  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.05)
        async with daemon_for(config) as running:
            job = await running.until(job.id)
            found = [(running.root / one.key).read_bytes() for one in await running.jobs.artifacts(job.id)]
    assert job.state is State.SUCCEEDED
    assert found == [BODY] * 3
    assert {path for path, part in asked if part is not None} == {"/files/1", "/files/2"}


@pytest.mark.slow
async def test_a_file_that_came_makes_the_next_pause_short(tmp_path: Path, sqlite_url: str) -> None:
    """A host that fails twice in a row is left alone for longer the second time; one that has served between is not."""
    busy = answering(b"", status=503)
    async with open_provider(
        {"GET /a": in_turn(busy, answering(b"A")), "GET /b": in_turn(busy, answering(b"B"))}
    ) as host:
        answers = lists([(f"{host.url}/a", "a"), (f"{host.url}/b", "b")])
        async with serving(tmp_path, sqlite_url, LISTED, answers) as (_, running):
            job = await running.submit()
            await running.logged("file.landed")
            async with asyncio.timeout(20):
                while (await running.outcomes(job.id)).count("NotYet") < 2:  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.02)
            waiting = await running.jobs.get(job.id)
            assert waiting is not None
            assert waiting.due_at is not None
            assert waiting.due_at - time.time() <= 5.0
            job = await running.until(job.id)
    assert job.state is State.SUCCEEDED
