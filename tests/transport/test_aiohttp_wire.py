"""What the wire sends, and what aiohttp must not do by itself."""

import asyncio
import gc
import gzip
import socket
import tracemalloc
import zlib
from collections import Counter
from pathlib import Path

import pytest

from tests.support.byte_servers import ReceivedRequest, answering, reply, reset, serving
from tidewaiter import __version__
from tidewaiter.domain.http_values import WireRequest, field_values
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.wire import LostReplyError, NotSentError, Timeouts

QUICK = Timeouts(connect_s=5.0, read_s=5.0, overall_s=5.0)


async def ask(wire: AiohttpWire, request: WireRequest, limit: int = 2**20) -> tuple[int, bytes, bool]:
    """One buffered exchange: status, body, and whether there was more of it."""
    async with wire.open(request, private_ok=True, timeouts=QUICK, stream=False) as answered:
        body, truncated = await answered.read(limit)
        return answered.status, body, truncated


async def test_addresses_go_out_byte_for_byte(wire: AiohttpWire) -> None:
    """A signed address arrives as it was signed: nothing is quoted, unquoted, normalised or sorted."""
    target = "/a/../b//c;d=%7e?X-Sig=a%2Bb+c%2f&empty=&&z=~&a=%C3%A9|{}"
    async with serving(answering(reply())) as server:
        await ask(wire, WireRequest("GET", server.origin + target))
    assert [asked.target for asked in server.asked] == [target]


async def test_what_a_request_says_of_us(wire: AiohttpWire) -> None:
    """Our name and version, and no header that nobody asked for."""
    async with serving(answering(reply())) as server:
        await ask(wire, WireRequest("POST", server.origin + "/", {"X-Key": "k"}, b"body"))
        await ask(wire, WireRequest("POST", server.origin + "/", {"content-type": "text/csv"}))
    first, second = server.asked
    assert first.headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": f"tidewaiter/{__version__}",
        "accept": "*/*",
        "accept-encoding": "gzip, deflate",
        "x-key": "k",
        "content-length": "4",
    }
    assert first.body == b"body"
    assert second.headers["content-type"] == "text/csv"


async def test_a_reply_as_it_is(wire: AiohttpWire) -> None:
    """Status, headers without regard to case, body, and a redirect that is not followed."""
    async with serving(answering(reply(302, b"moved", "Location: /elsewhere", "X-Odd: 1"))) as server:
        request = WireRequest("GET", f"{server.origin}/a?b")
        async with wire.open(request, private_ok=True, timeouts=QUICK, stream=False) as answered:
            assert answered.status == 302
            assert answered.headers["location"] == answered.headers["LOCATION"] == "/elsewhere"
            assert answered.url == request.url
            assert await answered.read(100) == (b"moved", False)
    assert len(server.asked) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize("broken_by", ["close", "reset"])
async def test_nothing_is_ever_sent_twice(wire: AiohttpWire, method: str, broken_by: str) -> None:
    """A server that drops a kept-alive connection instead of answering has seen the request once, not twice.

    aiohttp repeats idempotent requests there; without ``_send_once`` the server counts three.
    """

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if len(server.asked) == 1:
            writer.write(reply())
        elif broken_by == "close":
            writer.close()
        else:
            reset(writer)

    async with serving(answer) as server:
        await ask(wire, WireRequest("GET", server.origin + "/first"))
        with pytest.raises(LostReplyError):
            await ask(wire, WireRequest(method, server.origin + "/second"))
    assert [asked.target for asked in server.asked] == ["/first", "/second"]
    assert server.connections == 1


async def test_a_fresh_request_has_a_connection_of_its_own(wire: AiohttpWire) -> None:
    """A submit neither takes a kept-alive connection nor leaves one behind; other requests share theirs."""
    async with serving(answering(reply())) as server:
        for fresh in (False, False, True, True, False):
            await ask(wire, WireRequest("GET", server.origin + "/", fresh=fresh))
    assert [asked.connection for asked in server.asked] == [1, 1, 2, 3, 1]
    assert [asked.headers.get("connection") for asked in server.asked] == [None, None, "close", "close", None]


async def test_a_hundred_connections_to_one_host_are_kept(wire: AiohttpWire) -> None:
    """Polls of a busy account do not wait for each other, and find their connections again."""
    everybody = asyncio.Barrier(100)

    async def answer(_asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if len(server.asked) <= 100:
            await everybody.wait()
        writer.write(reply())

    async with serving(answer) as server:
        for _ in range(2):
            async with asyncio.TaskGroup() as group:
                for _ in range(100):
                    group.create_task(ask(wire, WireRequest("GET", server.origin + "/")))
    assert server.connections == 100
    assert max(Counter(asked.connection for asked in server.asked).values()) >= 2


async def test_cookies_are_neither_kept_nor_sent(wire: AiohttpWire) -> None:
    """What one account is given never shows up in the request of another; jars forget those of an IP address anyway."""
    async with serving(answering(reply(200, b"", "Set-Cookie: session=s3cret; Path=/"))) as server:
        for _ in range(2):
            await ask(wire, WireRequest("GET", f"http://localhost:{server.port}/"))
    assert all("cookie" not in asked.headers for asked in server.asked)


@pytest.mark.fault(59)
async def test_proxies_and_netrc_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Variables of the environment lead no request astray and add no credentials."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with serving(answering(reply())) as proxy, serving(answering(reply())) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with AiohttpWire() as wire:
            await ask(wire, WireRequest("GET", server.origin + "/"))
    assert not proxy.asked
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize(
    "url",
    [
        "http://user:s3cret@127.0.0.1:{port}/",
        "http://user@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}/a b",
        "http://127.0.0.1:{port}/a\r\nX-Injected: 1",
        "http://127.0.0.1:{port}/é",
        "http://127.0.0.1:{port}\\@elsewhere.example/",
        "http://127.0.0.1:999999/?s3cret",
        "http:///s3cret",
        "ftp://127.0.0.1:{port}/",
        "/s3cret",
        "",
    ],
)
async def test_what_is_no_address_is_not_sent(wire: AiohttpWire, url: str) -> None:
    """An address that could not go out as it is does not go out, provably, and is not quoted."""
    async with serving(answering(reply())) as server:
        with pytest.raises(NotSentError) as caught:
            await ask(wire, WireRequest("GET", url.format(port=server.port)))
    assert "s3cret" not in str(caught.value)
    assert not server.connections


@pytest.mark.parametrize("target", ["/?", "/a?", "/a?b?", "/a?x=%zz&&", "/" + "a" * 20_000, "/a;b=1/../c"])
async def test_every_target_goes_out_as_it_is(wire: AiohttpWire, target: str) -> None:
    """An empty query and an address of more than 8 KiB too: all of it may be signed."""
    async with serving(answering(reply())) as server:
        await ask(wire, WireRequest("GET", server.origin + target))
    assert server.asked[0].target == target


async def test_an_address_without_a_path(wire: AiohttpWire) -> None:
    """The path is then a slash (RFC 9110, section 4.2.3), and the query stays; a fragment is nobody's business."""
    async with serving(answering(reply())) as server:
        for tail in ("", "?a", "?", "#part"):
            await ask(wire, WireRequest("GET", server.origin + tail))
    assert [asked.target for asked in server.asked] == ["/", "/?a", "/?", "/"]


async def test_an_internationalised_host_is_asked_by_its_ascii_name(
    wire: AiohttpWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 5891: what is looked up, and what stands in Host, is the A-label."""
    looked_up: list[str] = []

    async def found(_loop: object, host: str, port: int, **_options: object) -> list[object]:
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with serving(answering(reply())) as server:
        monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", found)
        await ask(wire, WireRequest("GET", f"http://bücher.example:{server.port}/x"))
    assert looked_up == ["xn--bcher-kva.example"]
    assert server.asked[0].headers["host"] == f"xn--bcher-kva.example:{server.port}"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://☃.example/s3cret", "its host '☃.example' is no host name"),
        ("http://127.0.0.1/s3cret/é", "'é' in its address is not encoded"),
        ("http://127.0.0.1/s3cret b", "U+0020 in its address is not encoded"),
        ("http:///s3cret", "names no host"),
        ("http://me:s3cret@127.0.0.1/x", "carries a user name"),
    ],
)
async def test_why_an_address_is_not_sent(wire: AiohttpWire, url: str, why: str) -> None:
    """The message names the true cause, and nothing of path and query."""
    with pytest.raises(NotSentError) as caught:
        await ask(wire, WireRequest("GET", url))
    assert why in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_hundreds_of_header_fields_and_long_ones_are_read(wire: AiohttpWire) -> None:
    """More than aiohttp reads by itself; and each of a field that is repeated is there."""
    fields = [f"X-{number}: v" for number in range(400)]
    links = ["Link: </1>; rel=self", "Link: </2>; rel=next", "X-Long: " + "a" * 50_000]
    async with (
        serving(answering(reply(200, b"", *fields, *links))) as server,
        wire.open(WireRequest("GET", server.origin), private_ok=True, timeouts=Timeouts(), stream=False) as got,
    ):
        assert field_values(got.headers, "link") == ("</1>; rel=self", "</2>; rel=next")
        assert len(got.headers["x-long"]) == 50_000
        assert got.headers["x-399"] == "v"


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (["X-s3cret: 1"] * 600, "it has more than 500 header fields"),
        (["X-s3cret: " + "s3cret" * 20_000], "one of its header lines is longer than 65536 bytes"),
        (["Content-Length: 9"], "not an HTTP reply: Duplicate Content-Length"),
    ],
)
async def test_why_a_reply_cannot_be_read(wire: AiohttpWire, head: list[str], why: str) -> None:
    """Too much of a head is not called "no HTTP"; nothing of it is quoted."""
    async with serving(answering(reply(200, b"x", *head))) as server:
        with pytest.raises(LostReplyError) as caught:
            await ask(wire, WireRequest("GET", server.origin))
    assert why in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_a_large_body_goes_out(wire: AiohttpWire) -> None:
    """Above a mebibyte aiohttp warns about bytes; it gets a file instead."""
    body = bytes(3 * 2**20)
    async with serving(answering(reply())) as server:
        await ask(wire, WireRequest("POST", server.origin + "/", {}, body))
    assert server.asked[0].body == body


async def test_messages_arrive_decompressed(wire: AiohttpWire) -> None:
    """A provider may compress its answers."""
    for coding, body in (("gzip", gzip.compress(b"{}" * 500)), ("deflate", zlib.compress(b"{}" * 500))):
        async with serving(answering(reply(200, body, f"Content-Encoding: {coding}"))) as server:
            assert await ask(wire, WireRequest("GET", server.origin + "/")) == (200, b"{}" * 500, False)


@pytest.mark.parametrize(
    ("fields", "times"),
    [
        (["Content-Encoding: GZIP"], 1),
        (["Content-Encoding: gzip, x-gzip"], 2),
        (["Content-Encoding: gzip", "Content-Encoding: gzip"], 2),
        (["Content-Encoding: identity, gzip, UTF-8"], 1),
        (["Content-Encoding: none"], 0),
        (["Content-Encoding: "], 0),
        (["Content-Encoding: br"], 0),
        (["Content-Encoding: gzip, br"], 0),
    ],
)
async def test_every_coding_of_a_message_is_undone(wire: AiohttpWire, fields: list[str], times: int) -> None:
    """In order, of all fields; what is no coding is passed over, and what cannot be undone stays as it came."""
    body = b"{}" * 500
    for _ in range(times):
        body = gzip.compress(body)
    async with serving(answering(reply(200, body, *fields))) as server:
        request = WireRequest("GET", server.origin + "/")
        assert await ask(wire, request) == (200, b"{}" * 500, False)
        assert await ask(wire, request, limit=999) == (200, (b"{}" * 500)[:999], True)


async def test_files_arrive_as_they_are_stored(wire: AiohttpWire) -> None:
    """A stream asks for the file itself, and is never decompressed even where the host sends it packed."""
    packed = gzip.compress(b"a,b\n" * 500)
    async with serving(answering(reply(200, packed, "Content-Encoding: gzip"))) as server:
        request = WireRequest("GET", server.origin + "/")
        async with wire.open(request, private_ok=True, timeouts=QUICK, stream=True) as answered:
            assert b"".join([chunk async for chunk in answered.chunks()]) == packed
    assert server.asked[0].headers["accept-encoding"] == "identity"


async def test_a_long_message_is_cut(wire: AiohttpWire) -> None:
    """Up to the limit is whole; beyond it there is the beginning, and word that there was more."""
    async with serving(answering(reply(200, b"x" * 1000))) as server:
        request = WireRequest("GET", server.origin + "/")
        assert await ask(wire, request, limit=1000) == (200, b"x" * 1000, False)
        assert await ask(wire, request, limit=999) == (200, b"x" * 999, True)
        assert await ask(wire, request, limit=0) == (200, b"", True)


@pytest.mark.fault(41)
@pytest.mark.slow
async def test_a_bomb_does_not_go_off(wire: AiohttpWire) -> None:
    """A body that unpacks to an eighth of a gibibyte costs a few mebibytes, and ends at the limit."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([packer.compress(bytes(2**20)) for _ in range(128)]) + packer.flush()
    async with serving(answering(reply(200, bomb, "Content-Encoding: gzip"))) as server:
        gc.collect()
        tracemalloc.start()
        try:
            _, body, truncated = await ask(wire, WireRequest("GET", server.origin + "/"), limit=100_000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (len(body), truncated) == (100_000, True)
    assert peak < 16 * 2**20


@pytest.mark.fault(41)
async def test_an_endless_message_ends_at_the_limit(wire: AiohttpWire) -> None:
    """A server that never stops sending is disconnected."""
    hung_up = asyncio.Event()

    async def answer(_asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(bytes(2**16))
                await writer.drain()
        except ConnectionError:
            hung_up.set()
            raise

    async with serving(answer) as server:
        assert await ask(wire, WireRequest("GET", server.origin + "/"), limit=10) == (200, bytes(10), True)
        await asyncio.wait_for(hung_up.wait(), 5)


@pytest.mark.invariant(12)
async def test_leaving_closes_every_connection() -> None:
    """Kept-alive connections end with the wire, and nothing warns of what was left open."""
    ended = asyncio.Event()

    async def answer(_asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(reply())
        transport = writer.transport
        asyncio.get_running_loop().call_soon(_watch, transport)

    def _watch(transport: asyncio.WriteTransport) -> None:
        if transport.is_closing():
            ended.set()
        else:
            asyncio.get_running_loop().call_later(0.01, _watch, transport)

    async with serving(answer) as server:
        async with AiohttpWire() as wire:
            await ask(wire, WireRequest("GET", server.origin + "/"))
        await asyncio.wait_for(ended.wait(), 5)
    gc.collect()
