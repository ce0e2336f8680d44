"""Failures: classified by what the remote may have received, in bounded time, without secrets."""

import asyncio
import gzip
import socket
import ssl
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.byte_servers import Answer, ReceivedRequest, answering, reply, reset, serving
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.wire import BrokenBodyError, LostReplyError, NotSentError, Timeouts, TlsError, TransportError

PATIENT = Timeouts(connect_s=5.0, read_s=5.0, overall_s=5.0)
CERTIFICATES = Path(__file__).parent / "certificates"


async def exchange(wire: AiohttpWire, request: WireRequest, timeouts: Timeouts, *, stream: bool) -> bytes:
    """The body of a reply, read whole in either of the two ways."""
    async with wire.open(request, private_ok=True, timeouts=timeouts, stream=stream) as answered:
        if stream:
            return b"".join([chunk async for chunk in answered.chunks()])
        return (await answered.read(2**20))[0]


async def failure(
    wire: AiohttpWire, url: str, *, stream: bool = False, timeouts: Timeouts = PATIENT, body: bytes | None = None
) -> TransportError:
    """The error of an exchange, after a look that it shows no secret in any form that could be logged."""
    request = WireRequest("GET" if body is None else "POST", f"{url}?token=s3cret", {"X-Key": "s3cret"}, body)
    with pytest.raises(TransportError) as caught:
        await exchange(wire, request, timeouts, stream=stream)
    error = caught.value
    assert "s3cret" not in str(error)
    assert "s3cret" not in "".join(traceback.format_exception(error))
    assert str(error).endswith(".")
    return error


# --- provably unsent ----------------------------------------------------------------------------------------------


@pytest.mark.fault(19)
async def test_a_refused_connection(wire: AiohttpWire) -> None:
    """Nobody listens: nothing was sent."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        error = await failure(wire, f"http://127.0.0.1:{nobody.getsockname()[1]}/")
    assert type(error) is NotSentError
    assert "Connection refused" in str(error)


@pytest.mark.fault(19)
async def test_a_name_that_nobody_knows(wire: AiohttpWire, monkeypatch: pytest.MonkeyPatch) -> None:
    """No address: nothing was sent."""

    async def unknown(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    error = await failure(wire, "http://nowhere.example/")
    assert type(error) is NotSentError
    assert str(error) == "The name of http://nowhere.example could not be resolved: Name or service not known."


@pytest.mark.fault(19)
@pytest.mark.parametrize("host", ["files..example", f"{'a' * 64}.example"])
async def test_a_name_that_dns_cannot_have(wire: AiohttpWire, host: str) -> None:
    """A list of files or a redirect may name it: that is no address, and no crash."""
    error = await failure(wire, f"http://{host}/")
    assert type(error) is NotSentError
    reason = "it has an empty label, or one of more than 63 characters"
    assert str(error) == f"The name of http://{host} could not be resolved: {reason}."


@pytest.mark.fault(19)
async def test_a_connection_that_is_not_made_in_time(wire: AiohttpWire) -> None:
    """A host that lets a connection attempt lie gets ``connect_s``, and was provably sent nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = []
        for _ in range(3):  # fill the line of those that nobody accepts; the next one's SYN is dropped
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(address)
            waiting.append(one)
        error = await failure(
            wire, f"http://127.0.0.1:{address[1]}/", timeouts=Timeouts(connect_s=0.3, read_s=5.0, overall_s=60.0)
        )
        for one in waiting:
            one.close()
    assert type(error) is NotSentError


# --- TLS ------------------------------------------------------------------------------------------------------------


def certified(name: str) -> ssl.SSLContext:
    """A server's side of TLS, with one of the certificates in the folder."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem")
    return context


@pytest.mark.fault(22)
async def test_an_unknown_authority(wire: AiohttpWire) -> None:
    """A certificate that nobody vouches for ends the exchange before a byte of the request."""
    async with serving(answering(reply()), certified("server")) as server:
        error = await failure(wire, server.origin)
    assert isinstance(error, TlsError)
    assert "certificate" in str(error)
    assert not server.asked


@pytest.mark.fault(22)
async def test_the_certificate_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trusted certificate for another name is refused."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "authority.pem"))
    async with AiohttpWire() as wire, serving(answering(reply()), certified("elsewhere")) as server:
        error = await failure(wire, server.origin)
    assert isinstance(error, TlsError)
    assert not server.asked


@pytest.mark.fault(22)
async def test_something_that_is_not_tls(wire: AiohttpWire) -> None:
    """A plain server on the port of https is no reason to speak plainly."""

    async def speaks_first(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(speaks_first, "127.0.0.1", 0)
    async with listener:
        error = await failure(wire, f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    assert isinstance(error, TlsError)


@pytest.mark.fault(22)
async def test_a_handshake_that_nobody_answers(wire: AiohttpWire) -> None:
    """Until the handshake is done, nothing of the request was sent."""
    async with serving(answering(reply())) as server:
        url = server.origin.replace("http:", "https:")
        error = await failure(wire, url, timeouts=Timeouts(connect_s=0.2, overall_s=60.0))
    assert type(error) is NotSentError


async def test_a_trusted_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other side of the coin: with a known authority and the right name, https works and keeps its connection."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "authority.pem"))
    async with AiohttpWire() as wire, serving(answering(reply(200, b"safe")), certified("server")) as server:
        for _ in range(2):
            request = WireRequest("GET", server.origin + "/")
            async with wire.open(request, private_ok=True, timeouts=PATIENT, stream=False) as answered:
                assert await answered.read(100) == (b"safe", False)
    assert server.connections == 1


# --- sent, or maybe sent --------------------------------------------------------------------------------------------


def says(*pieces: bytes, then: Callable[[asyncio.StreamWriter], None] | None = None) -> Answer:
    """Send these bytes, and then close, break, or (by default) fall silent until the client has gone."""

    async def answer(_asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then is not None:
            then(writer)

    return answer


def close(writer: asyncio.StreamWriter) -> None:
    """End the connection as if all were said."""
    writer.close()


@pytest.mark.fault(20)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(says(then=close), id="closed"),
        pytest.param(says(then=reset), id="reset"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-", then=close), id="cut in the headers"),
        pytest.param(says(b"SSH-2.0-OpenSSH_9.6 s3cret\r\n", then=close), id="not HTTP"),
        pytest.param(says(b"HTTP/1.1 2x0 s3cret\r\n\r\n", then=close), id="no status"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nX-s3cret: " + b"s3cret" * 20_000 + b"\r\n\r\n"), id="long header"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\n" + b"X-s3cret: 1\r\n" * 600 + b"\r\n"), id="many headers"),
        pytest.param(says(b"HTTP/1.1 200 " + b"s3cret" * 20_000 + b"\r\n\r\n"), id="long reason"),
    ],
)
async def test_no_reply(wire: AiohttpWire, answer: Answer, stream: bool) -> None:
    """Whatever comes instead of a reply, the remote may have acted on the request."""
    async with serving(answer) as server:
        error = await failure(wire, server.origin, stream=stream, body=b"submit")
    assert type(error) is LostReplyError
    assert len(server.asked) == 1


@pytest.mark.fault(20)
@pytest.mark.parametrize("stream", [False, True])
async def test_no_reply_in_time(wire: AiohttpWire, stream: bool) -> None:
    """A remote that says nothing at all is given up after ``overall_s``."""
    async with serving(says()) as server:
        error = await failure(wire, server.origin, stream=stream, timeouts=Timeouts(overall_s=0.2))
    assert type(error) is LostReplyError


@pytest.mark.fault(23)
@pytest.mark.parametrize("stream", [False, True])
async def test_headers_that_never_end(wire: AiohttpWire, stream: bool) -> None:
    """Headers byte by byte, or interim replies for ever, keep nobody longer than ``overall_s``."""

    async def answer(_asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(answer) as server:
        timeouts = Timeouts(read_s=5.0, overall_s=0.3)
        error = await failure(wire, server.origin, stream=stream, timeouts=timeouts)
    assert type(error) is LostReplyError


# --- the body -------------------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.fault(21, 38)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(says(HEAD + b"12345", then=close), id="short"),
        pytest.param(says(HEAD, b"12345", then=reset), id="reset"),
        pytest.param(says(CHUNKED + b"5\r\n12345\r\n", then=close), id="no last chunk"),
        pytest.param(says(CHUNKED + b"5\r\n123", then=close), id="half a chunk"),
    ],
)
async def test_a_body_cut_short(wire: AiohttpWire, answer: Answer, stream: bool) -> None:
    """A body that ends before it should is never taken for whole."""
    async with serving(answer) as server:
        assert type(await failure(wire, server.origin, stream=stream)) is BrokenBodyError


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
async def test_a_body_that_is_no_longer_http(wire: AiohttpWire, stream: bool) -> None:
    """A malformed chunk amid the body ends the exchange in time.

    aiohttp closes the connection there, but wakes nobody who waits for the body, and stops its own read timeout.
    """

    async def answer(_asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"5\r\n12345\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)  # in one piece with the headers it would be no reply at all
        writer.write(b"xyz\r\n123")

    async with serving(answer) as server:
        error = await failure(wire, server.origin, stream=stream, timeouts=Timeouts(read_s=0.5, overall_s=0.5))
    assert type(error) is BrokenBodyError


@pytest.mark.fault(38)
async def test_a_body_that_cannot_be_unpacked(wire: AiohttpWire) -> None:
    """Noise that calls itself gzip, and gzip that breaks off although all the bytes announced have come."""
    whole = gzip.compress(b"{}" * 5000)
    for body in (b"0123456789", whole[:-20], whole[:-1], whole + whole[:5]):
        async with serving(answering(reply(200, body, "Content-Encoding: gzip"))) as server:
            assert type(await failure(wire, server.origin)) is BrokenBodyError


@pytest.mark.fault(23)
async def test_a_body_that_stalls(wire: AiohttpWire) -> None:
    """A stream that falls silent is given up after ``read_s``, a message after ``overall_s``."""
    async with serving(says(HEAD + b"12345")) as server:
        for stream, timeouts in ((True, Timeouts(read_s=0.2)), (False, Timeouts(overall_s=0.2))):
            error = await failure(wire, server.origin, stream=stream, timeouts=timeouts)
            assert type(error) is BrokenBodyError


def dripping(pieces: int, every_s: float, piece: bytes = b"x") -> Answer:
    """A body of so many pieces, one at a time."""

    async def answer(_asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {pieces * len(piece)}\r\n\r\n".encode())
        for _ in range(pieces):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(every_s)

    return answer


@pytest.mark.fault(23)
async def test_a_body_that_trickles(wire: AiohttpWire) -> None:
    """Bytes that come often enough to seem alive, but too few of them, are given up as well."""
    timeouts = Timeouts(read_s=5.0, overall_s=60.0, slowest_bytes_per_s=1024.0, rate_window_s=0.2)
    async with serving(dripping(10_000, 0.01)) as server:
        error = await failure(wire, server.origin, stream=True, timeouts=timeouts)
        assert type(error) is BrokenBodyError
        assert "trickles" in str(error)
        error = await failure(wire, server.origin, timeouts=Timeouts(read_s=5.0, overall_s=0.2))
        assert type(error) is BrokenBodyError


@pytest.mark.fault(23)
async def test_a_long_healthy_download(wire: AiohttpWire) -> None:
    """No overall limit ends a stream that goes on at a decent rate."""
    timeouts = Timeouts(read_s=5.0, overall_s=0.1, slowest_bytes_per_s=1024.0, rate_window_s=0.1)
    async with serving(dripping(40, 0.01, bytes(1000))) as server:
        request = WireRequest("GET", server.origin + "/")
        async with wire.open(request, private_ok=True, timeouts=timeouts, stream=True) as answered:
            assert sum([len(chunk) async for chunk in answered.chunks()]) == 40_000


async def test_a_slow_reader_is_not_the_hosts_fault(wire: AiohttpWire) -> None:
    """Time in which nobody asks for the next piece, because the disk is slow, counts as neither silence nor trickle."""
    timeouts = Timeouts(read_s=0.1, overall_s=5.0, slowest_bytes_per_s=2.0**30, rate_window_s=0.3)
    size = 8 * 2**20
    async with serving(answering(reply(200, bytes(size)))) as server:
        request = WireRequest("GET", server.origin + "/")
        async with wire.open(request, private_ok=True, timeouts=timeouts, stream=True) as answered:
            received = 0
            async for chunk in answered.chunks():
                if received == 0:
                    await asyncio.sleep(0.5)
                received += len(chunk)
    assert received == size


async def test_a_body_until_the_end_of_the_connection(wire: AiohttpWire) -> None:
    """Without a length the end of the connection is the end of the body: HTTP/1.0 knows no better."""
    async with serving(says(b"HTTP/1.0 200 OK\r\n\r\n12345", then=close)) as server:
        request = WireRequest("GET", server.origin + "/")
        async with wire.open(request, private_ok=True, timeouts=PATIENT, stream=True) as answered:
            assert b"".join([chunk async for chunk in answered.chunks()]) == b"12345"
