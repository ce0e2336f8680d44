"""Checks of the public address on real sockets: a request to it reaches this daemon, or another server."""

import socket
from collections.abc import AsyncIterator

import pytest

from tests.support.byte_servers import answering, reply, serving
from tidewaiter.clock import SystemClock
from tidewaiter.doctor.address_checks import PublicReply, callback_result, check_callbacks, check_http
from tidewaiter.doctor.findings import CheckStatus, Finding, Notes
from tidewaiter.transport.aiohttp_wire import AiohttpWire

CLOCK = SystemClock()
ANYWHERE = "0.0.0.0"  # noqa: S104  # nothing is bound to it here


@pytest.fixture
async def wire() -> AsyncIterator[AiohttpWire]:
    """The real wire."""
    async with AiohttpWire() as wire:
        yield wire


async def looked_at(public_url: str, listen: tuple[str, int], wire: AiohttpWire) -> dict[str, Finding]:
    """What is found of a public address and the address behind it."""
    notes = Notes("callbacks", CLOCK)
    await check_callbacks(notes, public_url, listen, wire, CLOCK)
    return {one.check: one for one in notes.findings}


async def test_a_tidewaiter_answers(wire: AiohttpWire) -> None:
    """What knows no such callback and calls itself so is one; it was asked with nothing that could make a job due."""
    async with serving(answering(reply(404, b"", "Server: tidewaiter"))) as server:
        found = await looked_at(f"{server.origin}/behind", (ANYWHERE, server.port), wire)
        assert found["callbacks"].status is CheckStatus.OK
        assert [(one.method, one.target, one.body) for one in server.asked] == [("POST", "/behind/callbacks/", b"")]


async def test_somebody_else_answers(wire: AiohttpWire) -> None:
    """A proxy that does not pass it on is told with what it should do."""
    async with serving(answering(reply(502, b"Bad gateway", "Server: nginx"))) as server:
        found = await looked_at(server.origin, ("127.0.0.1", server.port), wire)
    assert found["callbacks"].status is CheckStatus.WARNING
    assert found["callbacks"].message == f"{server.origin} answers HTTP 502 by nginx, and not as a Tidewaiter does"
    assert found["callbacks"].remedy == f"let the proxy forward POST /callbacks/... to 127.0.0.1:{server.port}"


async def test_no_answer(wire: AiohttpWire) -> None:
    """A connection that breaks is told as that."""
    async with serving(answering(b"nonsense\r\n\r\n")) as server:
        found = await looked_at(server.origin, ("127.0.0.1", server.port), wire)
    assert found["callbacks"].status is CheckStatus.WARNING
    assert "not an HTTP reply" in found["callbacks"].message


async def test_nothing_listens(wire: AiohttpWire) -> None:
    """Without a daemon no connection is tried, and that is no fault."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        found = await looked_at(f"http://127.0.0.1:{port}", ("127.0.0.1", port), wire)
    assert list(found) == ["callbacks"]
    assert found["callbacks"].status is CheckStatus.INFO
    assert "start the daemon" in found["callbacks"].message


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b'{"status": "ok", "phase": "serving"}', CheckStatus.OK, "answers: serving"),
        (b'{"status": "stalled", "phase": "serving"}', CheckStatus.FAILURE, "answers: stalled"),
        (b'{"status": "ok"}', CheckStatus.FAILURE, "is held by another program"),
        (b"<html>", CheckStatus.FAILURE, "is held by another program"),
    ],
)
async def test_the_own_address(wire: AiohttpWire, body: bytes, status: CheckStatus, text: str) -> None:
    """A daemon says of itself how it is; whatever else answers there is in its place."""
    notes = Notes("http", CLOCK)
    async with serving(answering(reply(200, body))) as server:
        assert await check_http(notes, (ANYWHERE, server.port), wire)
    (found,) = notes.findings
    assert (found.check, found.status) == ("http", status)
    assert found.message == f"127.0.0.1:{server.port} {text}"
    assert bool(found.remedy) is (status is not CheckStatus.OK)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (PublicReply(404, "tidewaiter", is_empty=True), CheckStatus.OK),
        (PublicReply(404, "nginx", is_empty=True), CheckStatus.OK),
        (PublicReply(404, "nginx", is_empty=False), CheckStatus.WARNING),
        (PublicReply(204, "tidewaiter", is_empty=True), CheckStatus.WARNING),
    ],
)
def test_proxies_with_a_name_of_their_own(answer: PublicReply, status: CheckStatus) -> None:
    """Proxies put their own name in place of ours, so an empty 404 will do; their own pages have text."""
    assert callback_result(answer, "https://tide", ("h", 1)).status is status
