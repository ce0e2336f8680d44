"""A blocked address gets no packet: loopback listeners that must see nothing."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from tests.support.byte_servers import answering, reply, serving
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.wire import BlockedAddressError, Timeouts

Infos = list[tuple[int, int, int, str, tuple[str, int]]]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens on every address of this machine, IPv6 or IPv4."""
    try:
        made = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    except OSError:
        made = socket.create_server(("", 0))
    made.setblocking(False)
    with made:
        yield made


def seen(listener: socket.socket) -> bool:
    """Whether anybody has connected; the kernel completes handshakes before anyone accepts."""
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


async def blocked(wire: AiohttpWire, url: str, *, fresh: bool = False) -> BlockedAddressError:
    """The refusal of a request by an account without permission."""
    request = WireRequest("GET", url, fresh=fresh)
    with pytest.raises(BlockedAddressError) as caught:
        await wire.open(request, private_ok=False, timeouts=Timeouts(), stream=False).__aenter__()
    assert "s3cret" not in str(caught.value)
    return caught.value


@pytest.mark.fault(57)
@pytest.mark.invariant(11)
@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.8.8.8", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"],  # noqa: S104
)
async def test_literals(wire: AiohttpWire, listener: socket.socket, host: str, fresh: bool) -> None:
    """No resolver is asked for literals; the guard stands at the socket too."""
    await blocked(wire, f"http://{host}:{listener.getsockname()[1]}/?s3cret", fresh=fresh)
    assert not seen(listener)


@pytest.mark.fault(57)
@pytest.mark.invariant(11)
async def test_the_name_of_this_machine(wire: AiohttpWire, listener: socket.socket) -> None:
    """The system's own resolver is asked, and its answer refused, in words that say what is wrong."""
    error = await blocked(wire, f"http://localhost:{listener.getsockname()[1]}/?s3cret")
    assert str(error).startswith("Refused to connect to http://localhost:")
    assert str(error).endswith("is a loopback address; allow_private = true permits it.")
    assert not seen(listener)


@pytest.mark.fault(57)
@pytest.mark.invariant(11)
async def test_a_name_that_changes_its_mind(
    wire: AiohttpWire, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebinding: whatever a name said before, what it says at the connection decides."""
    port = listener.getsockname()[1]
    answers = ["127.0.0.1", "10.0.0.1", "169.254.169.254"]

    async def rebinding(*_args: object, **_kwargs: object) -> Infos:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebinding)
    for _ in range(3):
        await blocked(wire, f"http://files.example:{port}/?s3cret")
    assert not answers
    assert not seen(listener)


@pytest.mark.fault(57)
@pytest.mark.invariant(11)
@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.0.0.1", "0177.0.0.1"])
async def test_other_spellings(wire: AiohttpWire, listener: socket.socket, host: str) -> None:
    """Forms that only old resolvers read reach nobody either, by whichever gate they are stopped."""
    request = WireRequest("GET", f"http://{host}:{listener.getsockname()[1]}/")
    with pytest.raises(Exception, match=r"Refused|sent|resolved"):
        await wire.open(request, private_ok=False, timeouts=Timeouts(), stream=False).__aenter__()
    assert not seen(listener)


@pytest.mark.fault(57)
@pytest.mark.invariant(11)
@pytest.mark.parametrize("stream", [False, True])
async def test_permission_is_not_inherited(wire: AiohttpWire, stream: bool) -> None:
    """Neither a kept-alive connection nor a looked-up name of an account with permission serves one without."""
    async with serving(answering(reply(200, b"private"))) as server:
        for host in ("127.0.0.1", "localhost"):
            request = WireRequest("GET", f"http://{host}:{server.port}/")
            for _ in range(2):
                async with wire.open(request, private_ok=True, timeouts=Timeouts(), stream=stream) as answered:
                    assert await answered.read(100) == (b"private", False)
            connections = server.connections
            await blocked(wire, request.url)
            assert server.connections == connections
    assert len(server.asked) == 4


async def test_a_listener_would_see_it(wire: AiohttpWire, listener: socket.socket) -> None:
    """The proof of the proofs above: with permission, the same listener does see a connection."""
    request = WireRequest("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/")
    with pytest.raises(Exception, match="did not reply"):
        await wire.open(request, private_ok=True, timeouts=Timeouts(overall_s=0.2), stream=False).__aenter__()
    assert seen(listener)
