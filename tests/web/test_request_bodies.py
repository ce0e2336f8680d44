"""Slow, broken and endless request bodies: answered in time, and not logged as internal errors."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.api_server import ADMIN, ApiServer, serving
from tidewaiter.web import request_reading

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def app(tmp_path: Path, sqlite_url: str) -> AsyncIterator[ApiServer]:
    """The listener with tokens."""
    async with serving(tmp_path, sqlite_url, tokens=True) as made:
        yield made


async def _begun(
    site: ApiServer, *headers: str, path: str = "/login", kind: str = FORM
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A body that somebody has begun to send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(site.base.rpartition(":")[2]))
    lines = [f"POST {path} HTTP/1.1", "Host: tide", f"Content-Type: {kind}", *headers]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
    return reader, writer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("header", "sent"),
    [("Content-Length: 9000", b"t"), ("Transfer-Encoding: chunked", b"2\r\nab\r\n"), ("Content-Length: 9", b"")],
)
async def test_a_body_that_does_not_come(
    app: ApiServer, monkeypatch: pytest.MonkeyPatch, header: str, sent: bytes
) -> None:
    """Half a body without a token is answered with 408 after its time limit, and the connection ends."""
    monkeypatch.setattr(request_reading, "_BODY_S", 0.05)
    reader, writer = await _begun(app, header)
    writer.write(sent)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close" in head
    assert json.loads(body)["status"] == 408


async def test_a_chunk_that_is_none(app: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that stops being HTTP is answered, too."""
    monkeypatch.setattr(request_reading, "_BODY_S", 0.2)
    reader, writer = await _begun(app, "Transfer-Encoding: chunked")
    writer.write(b"2\r\nab\r\n")
    await writer.drain()
    writer.write(b"zz\r\n")
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert answer.split()[1] in {b"400", b"408"}


async def test_a_form_is_small(app: ApiServer) -> None:
    """Nobody needs 16 KiB to sign in; more is refused unread."""
    reply = await app.post("/login", data=b"token=" + b"x" * 20_000, headers={"Content-Type": FORM})
    reply.problem(413)


async def test_a_caller_who_goes(app: ApiServer) -> None:
    """A connection that ends in the middle of a body is no fault of ours: the log says nothing of one."""
    _, writer = await _begun(
        app, "Content-Length: 100", f"Authorization: Bearer {ADMIN}", path="/v1/jobs", kind="application/json"
    )
    writer.write(b"ab")
    await writer.drain()
    writer.close()
    async with asyncio.timeout(10):
        while not app.logged("admin.acted"):
            app.output.written.clear()
            await app.output.written.wait()
    assert not app.logged("http.failed")
