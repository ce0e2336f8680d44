"""The shared server: its record, faults that any route can show, the control endpoint."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from email.utils import parsedate_to_datetime

import aiohttp
import pytest
from yarl import URL

from tests.emulators.manual_clock import ManualClock
from tidewaiter.emulators.controls import FaultKind, InjectedFault, RetryAfter
from tidewaiter.emulators.emulated_replies import GeneratedBody, Reply, json_reply
from tidewaiter.emulators.server import EmulatedCall, EmulatedRoute, EmulatedServer

_REPLY = {"said": "x" * 100}


class Notebook(EmulatedServer):
    """A server with one effect: it notes what it is told."""

    notes: list[bytes]

    def routes(self) -> Iterable[EmulatedRoute]:
        """One route that has an effect, one that is slow about it, and one with a big body."""
        self.notes = []
        return [
            EmulatedRoute("note", "POST", "/notes/{name}", self._note),
            EmulatedRoute("slow", "POST", "/slow", lambda call: replace(self._note(call), delay_s=5)),
            EmulatedRoute("big", "GET", "/big", self._big),
        ]

    def _note(self, call: EmulatedCall) -> Reply:
        self.notes.append(call.request.body)
        return json_reply(_REPLY)

    def _big(self, _call: EmulatedCall) -> Reply:
        return Reply(200, GeneratedBody(3_000_000, 1), "application/octet-stream")


@pytest.fixture
async def server(clock: ManualClock) -> AsyncIterator[Notebook]:
    """A running notebook."""
    async with Notebook(clock=clock) as running:
        yield running


def _note(client: aiohttp.ClientSession, server: Notebook) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    return client.post(f"{server.origin}/notes/one", data=b"hello")


async def _noted(client: aiohttp.ClientSession, server: Notebook) -> bytes:
    async with _note(client, server) as reply:
        return await reply.read()


async def _collect(reply: aiohttp.ClientResponse, into: bytearray) -> None:
    async for chunk in reply.content.iter_any():
        into += chunk


async def test_a_healthy_reply(server: Notebook, client: aiohttp.ClientSession) -> None:
    """Without faults the route's answer arrives whole, dated by the injected clock."""
    async with _note(client, server) as reply:
        assert (reply.status, await reply.json()) == (200, _REPLY)
        assert parsedate_to_datetime(reply.headers["Date"]).timestamp() == server.clock.now()
    assert server.notes == [b"hello"]


async def test_a_clock_of_its_own(clock: ManualClock, client: aiohttp.ClientSession) -> None:
    """A server whose clock is off dates its replies by it, and a Retry-After that is a date, too."""
    async with Notebook(clock=clock, skew_s=-60) as server:
        server.faults.add("note", InjectedFault(FaultKind.THROTTLE, seconds=30, retry_after=RetryAfter.DATE))
        async with _note(client, server) as reply:
            assert parsedate_to_datetime(reply.headers["Date"]).timestamp() == clock.at - 60
            assert parsedate_to_datetime(reply.headers["Retry-After"]).timestamp() == clock.at - 30
        assert (server.server_now(), server.requests[0].at) == (clock.at - 60, clock.at)


async def test_the_record(server: Notebook, client: aiohttp.ClientSession, clock: ManualClock) -> None:
    """Each request is recorded with time, method, raw path, route, headers and body."""
    clock.at = 5.0
    url = URL(f"{server.origin}/notes/a%2Fb?x=1%3D&x=2&y=", encoded=True)
    await client.post(url, data=b"hello", headers={"X-Thing": "1"})
    (asked,) = server.requests
    assert (asked.at, asked.method, asked.route, asked.body) == (5.0, "POST", "note", b"hello")
    assert asked.path_qs == "/notes/a%2Fb?x=1%3D&x=2&y="
    assert asked.headers["x-thing"] == "1"
    assert asked.query == {"x": "1=", "y": ""}
    assert (server.count("note"), server.count("big")) == (1, 0)


async def test_a_slow_route(server: Notebook, client: aiohttp.ClientSession, clock: ManualClock) -> None:
    """A route that takes its time has its effect first and answers when it is through."""
    start = clock.at
    async with client.post(f"{server.origin}/slow", data=b"hello") as reply:
        assert (reply.status, clock.slept, server.notes) == (200, [5], [b"hello"])
    assert server.requests[0].at == start


async def test_the_busiest_window(server: Notebook, client: aiohttp.ClientSession, clock: ManualClock) -> None:
    """The most requests in any sliding window are counted; one that is a whole period later is outside."""
    assert server.busiest_window(60) == 0
    start = clock.at
    for offset_s in (0, 10, 50, 60, 65, 69.9, 130):
        clock.at = start + offset_s
        await _noted(client, server)
    assert server.busiest_window(60) == 5
    assert server.busiest_window(1_000) == 7
    assert server.busiest_window(0.1) == 1
    server.requests.clear()
    for clock.at in (start, start + 60):
        await _noted(client, server)
    assert (server.busiest_window(60), server.busiest_window(60.1)) == (1, 2)


async def test_an_unknown_path(server: Notebook, client: aiohttp.ClientSession) -> None:
    """What no route serves is refused with 404 and recorded all the same."""
    for method in ("GET", "DELETE"):
        async with client.request(method, f"{server.origin}/notes/one") as reply:
            assert reply.status == 404
    assert server.count("unknown") == 2


async def test_it_listens_on_the_loopback_interface_only(server: Notebook) -> None:
    """The origin names 127.0.0.1, and the socket is bound to nothing else."""
    port = URL(server.origin).port
    assert server.origin == f"http://127.0.0.1:{port}"
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.2", port)


async def test_an_outage(server: Notebook, client: aiohttp.ClientSession) -> None:
    """A stopped server refuses connections; started again it has the same port and its record."""
    await _noted(client, server)
    origin = server.origin
    await server.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await _noted(client, server)
    await server.start()
    async with client.get(f"{origin}/big") as reply:
        assert reply.status == 200
    assert [asked.route for asked in server.requests] == ["note", "big"]


def test_no_origin_before_the_start(clock: ManualClock) -> None:
    """The address before the start raises an error with a sentence; it never has port 0."""
    with pytest.raises(RuntimeError, match="no port before"):
        _ = Notebook(clock=clock).origin


async def test_a_taken_port_is_reported(server: Notebook, clock: ManualClock) -> None:
    """Two servers on one port: the second fails to start and leaves nothing behind."""
    second = Notebook(clock=clock, port=URL(server.origin).port or 0)
    with pytest.raises(OSError, match="address already in use"):
        await second.start()
    await second.stop()


async def test_latency_comes_after_the_effect(
    server: Notebook, client: aiohttp.ClientSession, clock: ManualClock
) -> None:
    """The reply is late by the clock; what was asked for happened before the wait."""
    server.faults.add("note", InjectedFault(FaultKind.LATENCY, seconds=7))
    async with _note(client, server) as reply:
        assert await reply.json() == _REPLY
    assert clock.slept == [7]
    assert server.notes == [b"hello"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (InjectedFault(FaultKind.THROTTLE), 429),
        (InjectedFault(FaultKind.UNAVAILABLE), 503),
        (InjectedFault(FaultKind.UNAVAILABLE, status=502), 502),
        (InjectedFault(FaultKind.HTML), 200),
        (InjectedFault(FaultKind.UNAUTHORIZED), 401),
        (InjectedFault(FaultKind.FORBIDDEN), 403),
        (InjectedFault(FaultKind.MISSING), 404),
    ],
)
async def test_refusals_have_no_effect(
    server: Notebook, client: aiohttp.ClientSession, fault: InjectedFault, status: int
) -> None:
    """Each kind of refusal has its status, a page where no API words it, and nothing was done."""
    server.faults.add("note", fault)
    async with _note(client, server) as reply:
        assert (reply.status, reply.content_type) == (status, "text/html")
        assert "<html>" in await reply.text()
        assert "Retry-After" not in reply.headers
    assert server.notes == []
    assert server.count("note") == 1


@pytest.mark.parametrize("form", [form for form in RetryAfter if form is not RetryAfter.ABSENT])
@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.UNAVAILABLE])
async def test_retry_after_reaches_the_asker(
    server: Notebook, client: aiohttp.ClientSession, form: RetryAfter, kind: FaultKind
) -> None:
    """Every form of the header, the one that is not ASCII too, goes over the wire as it was told."""
    fault = InjectedFault(kind, seconds=30, retry_after=form)
    server.faults.add("note", fault)
    async with _note(client, server) as reply:
        assert reply.headers["Retry-After"] == fault.retry_after_at(server.clock.now())


async def test_reset_before_has_no_effect(server: Notebook, client: aiohttp.ClientSession) -> None:
    """The connection is gone before the body was read, so nothing was done, though the knock is on record."""
    server.faults.add("note", InjectedFault(FaultKind.RESET_BEFORE))
    with pytest.raises(aiohttp.ClientConnectionError):
        await _noted(client, server)
    assert server.notes == []
    assert [asked.body for asked in server.requests] == [b""]


async def test_reset_after_has_the_effect(server: Notebook, client: aiohttp.ClientSession) -> None:
    """The asker sees only a broken connection, but the request was carried out, once."""
    server.faults.add("note", InjectedFault(FaultKind.RESET_AFTER))
    with pytest.raises(aiohttp.ClientConnectionError):
        await _noted(client, server)
    assert server.notes == [b"hello"]


async def test_a_reset_is_a_tcp_reset(server: Notebook) -> None:
    """It is not an orderly close: the peer's read fails with ECONNRESET."""
    server.faults.add("big", InjectedFault(FaultKind.RESET_AFTER))
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(server.origin).port)
    writer.write(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


@pytest.mark.parametrize(("size", "arrives"), [(None, 1_500_000), (100_000, 100_000), (0, 0)])
async def test_truncate(server: Notebook, client: aiohttp.ClientSession, size: int | None, arrives: int) -> None:
    """The connection closes in order after that many bytes, half unless told, though more were announced."""
    server.faults.add("big", InjectedFault(FaultKind.TRUNCATE, size=size))
    got = bytearray()
    async with client.get(f"{server.origin}/big") as reply:
        assert reply.headers["Content-Length"] == "3000000"
        with pytest.raises(aiohttp.ClientPayloadError):
            await _collect(reply, got)
    assert len(got) == arrives


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATE, FaultKind.WRONG_LENGTH])
async def test_a_short_body_ends_the_connection(server: Notebook, kind: FaultKind) -> None:
    """Though the asker would keep the connection, it is closed in order, so that nobody waits for the rest."""
    server.faults.add("big", InjectedFault(kind))
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(server.origin).port)
    writer.write(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
    got = await asyncio.wait_for(reader.read(), 2)
    assert got.startswith(b"HTTP/1.1 200")
    writer.close()


async def test_stall(server: Notebook, client: aiohttp.ClientSession) -> None:
    """Half of the body comes, then nothing, with the connection open; the server forgets the stall with the asker."""
    server.faults.add("big", InjectedFault(FaultKind.STALL, size=1000))
    before = asyncio.all_tasks()
    async with client.get(f"{server.origin}/big") as reply:
        assert len(await reply.content.readexactly(1000)) == 1000
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reply.content.readany(), 0.05)
        stalled = asyncio.all_tasks() - before
        assert stalled
    _, waiting = await asyncio.wait(stalled, timeout=2)
    assert not waiting


async def test_stopping_ends_a_stall(server: Notebook, client: aiohttp.ClientSession) -> None:
    """A server with a stalled asker stops at once."""
    server.faults.add("note", InjectedFault(FaultKind.STALL))
    async with _note(client, server) as reply:
        await asyncio.wait_for(server.stop(), 0.5)
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()


async def test_trickle(server: Notebook, client: aiohttp.ClientSession, clock: ManualClock) -> None:
    """The body arrives whole, but a few bytes at a time with a wait after each."""
    server.faults.add("note", InjectedFault(FaultKind.TRICKLE, size=10, seconds=3))
    async with _note(client, server) as reply:
        assert await reply.json() == _REPLY
        assert clock.slept == [3] * -(-int(reply.headers["Content-Length"]) // 10)


async def test_malformed(server: Notebook, client: aiohttp.ClientSession) -> None:
    """The reply looks good by its status, type and length, but its JSON breaks off."""
    server.faults.add("note", InjectedFault(FaultKind.MALFORMED))
    async with _note(client, server) as reply:
        assert (reply.status, reply.content_type) == (200, "application/json")
        text = await reply.text()
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


@pytest.mark.parametrize(("declared", "sent"), [(None, "text/html"), ("application/octet-stream",) * 2])
async def test_wrong_type(server: Notebook, client: aiohttp.ClientSession, declared: str | None, sent: str) -> None:
    """The JSON is right, but its content type says that it is something else."""
    server.faults.add("note", InjectedFault(FaultKind.WRONG_TYPE, text=declared))
    async with _note(client, server) as reply:
        assert reply.content_type == sent
        assert json.loads(await reply.text()) == _REPLY


async def test_wrong_length_too_long(server: Notebook, client: aiohttp.ClientSession) -> None:
    """More is announced than there is: the whole body comes, and then the connection closes."""
    server.faults.add("note", InjectedFault(FaultKind.WRONG_LENGTH, size=1))
    async with _note(client, server) as reply:
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()


async def test_wrong_length_too_short(server: Notebook, client: aiohttp.ClientSession) -> None:
    """Less is announced than there is: HTTP calls the reply complete, though bytes are missing from its end."""
    server.faults.add("note", InjectedFault(FaultKind.WRONG_LENGTH, size=-5))
    async with _note(client, server) as reply:
        assert await reply.read() == json.dumps(_REPLY).encode()[:-5]


async def test_gzip_bomb(server: Notebook, client: aiohttp.ClientSession) -> None:
    """A small gzip body unpacks to exactly what was told, some thousand times its size."""
    server.faults.add("note", InjectedFault(FaultKind.GZIP_BOMB, size=5_000_001))
    async with _note(client, server) as reply:
        assert reply.headers["Content-Encoding"] == "gzip"
        packed = await reply.read()
    assert len(packed) < 10_000
    assert len(gzip.decompress(packed)) == 5_000_001


async def test_nothing_is_logged(
    server: Notebook, client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """No fault, however rude, makes the server or what it is built on write to the log."""
    for kind in set(FaultKind) - {FaultKind.STALL}:
        server.faults.add("note", InjectedFault(kind))
        with contextlib.suppress(aiohttp.ClientError):
            await _noted(client, server)
    assert server.faults.rules == ()
    assert caplog.records == []


async def test_the_control_endpoint_sets_faults(server: Notebook, client: aiohttp.ClientSession) -> None:
    """Faults can be told, listed and cleared over HTTP, and none of that is recorded or faulty itself."""
    control = f"{server.origin}/_control/faults"
    rule = {"route": "*", "times": None, "fault": {"kind": "unavailable", "status": 500}}
    async with client.post(control, json=[rule]) as reply:
        assert reply.status == 200
    async with client.get(control) as reply:
        (listed,) = await reply.json()
        assert (listed["times"], listed["fault"]["status"]) == (None, 500)
    async with _note(client, server) as reply:
        assert reply.status == 500
    async with client.delete(control) as reply:
        assert await reply.json() == []
    async with _note(client, server) as reply:
        assert reply.status == 200
    assert len(server.requests) == 2


async def test_the_control_endpoint_refuses_nonsense(server: Notebook, client: aiohttp.ClientSession) -> None:
    """A rule that cannot be read is refused with the reason, and the plan is as it was."""
    for body in (b"{", b"{}", b'[{"route": "a", "times": 1, "fault": {"kind": "lateness"}}]'):
        async with client.post(f"{server.origin}/_control/faults", data=body) as reply:
            assert reply.status == 400
            assert await reply.text()
    assert server.faults.rules == ()


async def test_the_control_endpoint_lists_requests(server: Notebook, client: aiohttp.ClientSession) -> None:
    """A test in another process can read the record."""
    await _noted(client, server)
    async with client.get(f"{server.origin}/_control/requests") as reply:
        (asked,) = await reply.json()
    assert (asked["route"], asked["path_qs"], asked["body"]) == ("note", "/notes/one", "hello")
    assert asked["at"] == server.clock.now()
    assert asked["headers"]["Content-Length"] == "5"


async def test_a_head_request_gets_no_body(clock: ManualClock, client: aiohttp.ClientSession) -> None:
    """The length is told and nothing sent, whichever fault would have spoiled the body."""

    class Heads(Notebook):
        def routes(self) -> Iterable[EmulatedRoute]:
            return [EmulatedRoute("head", "HEAD", "/big", self._big)]

    async with Heads(clock=clock) as server:
        server.faults.add("head", InjectedFault(FaultKind.NONE))
        server.faults.add("head", InjectedFault(FaultKind.TRICKLE))
        for _ in range(2):
            async with client.head(f"{server.origin}/big") as reply:
                assert (reply.headers["Content-Length"], await reply.read()) == ("3000000", b"")
