"""Requests through a proxy: tunnels and absolute form, who looks names up, and what each fault counts as."""

import asyncio
from pathlib import Path

import pytest

from tests.support.byte_servers import ReceivedRequest, answering, reply, serving
from tests.support.certificates import Authority, self_signed
from tests.support.proxy_server import ProxyServer, proxying
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.networks import PermittedNetworks, network_of
from tidewaiter.transport.address_guard import OwnListeners
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.connection_settings import ConnectionSettings, Trust
from tidewaiter.transport.proxies import Proxies, Proxy
from tidewaiter.transport.wire import (
    BlockedAddressError,
    BrokenBodyError,
    LostReplyError,
    NotSentError,
    Timeouts,
    TlsError,
    at_departure,
)

HOST = "api.shop.test"
PATIENT = Timeouts(connect_s=5.0, read_s=5.0, overall_s=8.0)


def to(
    proxy: ProxyServer | str, trust: Trust | None = None, user: str | None = None, *, without: str = ""
) -> AiohttpWire:
    """A wire whose every request goes through a proxy."""
    url = proxy if isinstance(proxy, str) else proxy.url
    one = Proxy(url, user, "s3cret: ü" if user else "")
    return AiohttpWire(connections=ConnectionSettings(trust or Trust(), Proxies(one, one)))


async def ask(
    wire: AiohttpWire,
    url: str,
    method: str = "GET",
    *,
    body: bytes | None = None,
    private_ok: PermittedNetworks = False,
    departures: list[bool] | None = None,
) -> tuple[int, bytes]:
    """Status and body of a reply."""
    opened = wire.open(WireRequest(method, url, {}, body), private_ok=private_ok, timeouts=PATIENT, stream=False)
    if departures is not None:
        at_departure(opened, departures.append)
    async with opened as answered:
        return answered.status, (await answered.read(1000))[0]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority that is trusted by ``Trust.of(authority.file)``."""
    return Authority.made(tmp_path)


async def test_a_tunnel(authority: Authority) -> None:
    """An https address goes through a tunnel: the proxy looks the name up, and sees no more than host and port."""
    async with (
        serving(answering(reply(200, b"safe")), authority.server(HOST)) as server,
        proxying() as proxy,
        to(proxy, Trust.of(authority.file)) as wire,
    ):
        for _ in range(2):
            assert await ask(wire, f"https://{HOST}:{server.port}/a?b=c", "POST", body=b"x") == (200, b"safe")
    (tunnel,) = proxy.asked  # one for both requests
    assert (tunnel.method, tunnel.target) == ("CONNECT", f"{HOST}:{server.port}")
    assert "proxy-authorization" not in tunnel.headers
    assert [asked.target for asked in server.asked] == ["/a?b=c"] * 2


@pytest.mark.parametrize("path", ["/a%2Fb?c=%20d", "/a?", "/"])
async def test_absolute_form(path: str) -> None:
    """A plain address is sent to the proxy as it is, byte for byte."""
    async with serving(answering(reply(200, b"plain"))) as server, proxying() as proxy, to(proxy) as wire:
        assert await ask(wire, f"http://{HOST}:{server.port}{path}") == (200, b"plain")
    assert [asked.target for asked in proxy.asked] == [f"http://{HOST}:{server.port}{path}"]
    assert [asked.target for asked in server.asked] == [path]


async def test_a_proxy_with_tls(authority: Authority) -> None:
    """A proxy may have TLS itself; its certificate is verified as any other, and the tunnel has its own."""
    trust = Trust.of(authority.file)
    async with (
        serving(answering(reply(200, b"safe")), authority.server(HOST)) as server,
        serving(answering(reply(200, b"plain"))) as plain,
        proxying(authority.server()) as proxy,
    ):
        async with to(proxy, trust) as wire:
            assert await ask(wire, f"https://{HOST}:{server.port}/") == (200, b"safe")
            assert await ask(wire, f"http://{HOST}:{plain.port}/") == (200, b"plain")
        async with to(proxy) as wire:
            with pytest.raises(TlsError, match=f"No safe connection to the proxy {proxy.url}: its certificate was"):
                await ask(wire, f"https://{HOST}:{server.port}/")


async def test_signing_in(authority: Authority) -> None:
    """User and password go to the proxy, with a tunnel and without, and never to the remote."""
    async with (
        serving(answering(reply(200, b"safe")), authority.server(HOST)) as server,
        serving(answering(reply(200, b"plain"))) as plain,
        proxying(user="somebody", password="s3cret: ü") as proxy,
        to(proxy, Trust.of(authority.file), "somebody") as wire,
    ):
        assert await ask(wire, f"https://{HOST}:{server.port}/") == (200, b"safe")
        assert await ask(wire, f"http://{HOST}:{plain.port}/") == (200, b"plain")
    for asked in (*server.asked, *plain.asked):
        assert "proxy-authorization" not in asked.headers


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_wrong_sign_in(scheme: str, authority: Authority) -> None:
    """The proxy's own refusal is none of the provider's: nothing was sent, and the text names the keys."""
    departures: list[bool] = []
    async with proxying(user="somebody", password="other") as proxy, to(proxy, user="somebody") as wire:
        with pytest.raises(NotSentError) as caught:
            await ask(wire, f"{scheme}://{HOST}:4/", "POST", body=b"x", departures=departures)
    assert str(caught.value) == (
        f"The proxy {proxy.url} refuses a connection to {scheme}://{HOST}:4 "
        "(HTTP 407, check network.proxy_user and network.proxy_password)."
    )
    assert departures == ([True, False] if scheme == "http" else [])


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_sign_in_of_another_kind(scheme: str) -> None:
    """NTLM and its like need another proxy before this one; the text names the kinds and nothing else of the reply."""
    async with proxying(user="somebody", kinds="Negotiate, NTLM canary") as proxy, to(proxy) as wire:
        with pytest.raises(NotSentError, match="a sign-in by NTLM or Negotiate, and only Basic is supported") as caught:
            await ask(wire, f"{scheme}://{HOST}:4/")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("says", "text"),
    [
        (
            b"HTTP/1.1 403 Forbidden\r\n\r\n",
            "refuses a connection to {} (HTTP 403, the proxy has to permit this",
        ),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 3\r\n\r\nbad", "refuses a connection to {} (HTTP 502, the proxy cannot"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "refuses a connection to {} (HTTP 302)."),
        (b"SSH-2.0-OpenSSH\r\n", "does not answer as an HTTP proxy."),
        (b"", "closed the connection before it had connected to {}."),
        (b"HTTP/1.1 200 Conn", "closed the connection before it had connected to {}."),
    ],
)
async def test_a_tunnel_that_is_refused(says: bytes, text: str) -> None:
    """Whatever happens before the request has left: the provider has seen nothing, so a submit is repeated."""
    departures: list[bool] = []
    async with proxying(says=says) as proxy, to(proxy) as wire:
        with pytest.raises(NotSentError) as caught:
            await ask(wire, f"https://{HOST}/", "POST", body=b"x", departures=departures)
    assert str(caught.value).startswith(f"The proxy {proxy.url} {text.format(f'https://{HOST}')}")
    assert departures == []


async def test_a_tunnel_to_somebody_else(authority: Authority, tmp_path: Path) -> None:
    """A proxy that answers in place of the remote is found by its certificate, and one that only claims a tunnel."""
    trust = Trust.of(authority.file)
    async with (
        serving(answering(reply()), self_signed(tmp_path)) as other,
        proxying() as proxy,
        to(proxy, trust) as wire,
    ):
        with pytest.raises(TlsError, match=f"to https://{HOST}:{other.port} through the proxy {proxy.url}: its cert"):
            await ask(wire, f"https://{HOST}:{other.port}/", "POST", body=b"x")
        proxy.says = b"HTTP/1.1 200 Here you are\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlies"
        with pytest.raises(NotSentError):
            await ask(wire, f"https://{HOST}:{other.port}/", "POST", body=b"x")
    assert not other.asked


async def test_a_proxy_that_is_silent(authority: Authority) -> None:
    """Waiting for a tunnel is waiting for a connection."""
    release = asyncio.Event()

    async def wait(_asked: ReceivedRequest, _writer: asyncio.StreamWriter) -> None:
        await release.wait()

    hasty = Timeouts(connect_s=0.1, read_s=5.0, overall_s=5.0)
    async with serving(wait) as proxy, to(proxy.origin) as wire:
        opened = wire.open(WireRequest("POST", f"https://{HOST}/"), private_ok=False, timeouts=hasty, stream=False)
        with pytest.raises(NotSentError, match=f"through the proxy {proxy.origin} within the time allowed"):
            async with opened:
                pass
        release.set()


async def test_no_proxy_there(unused_tcp_port: int) -> None:
    """The text names the proxy, and not the remote."""
    async with to(f"http://127.0.0.1:{unused_tcp_port}") as wire:
        with pytest.raises(NotSentError) as caught:
            await ask(wire, f"https://{HOST}/")
    assert str(caught.value) == f"No connection to the proxy http://127.0.0.1:{unused_tcp_port}: Connection refused."
    async with to("http://proxy.invalid:3128") as wire:
        with pytest.raises(NotSentError, match=r"The name of the proxy http://proxy\.invalid:3128 could not be"):
            await ask(wire, f"https://{HOST}/")


@pytest.mark.parametrize(("passed", "kind"), [(0, LostReplyError), (10, LostReplyError), (50, BrokenBodyError)])
async def test_a_proxy_that_dies(passed: int, kind: type[Exception]) -> None:
    """What was sent may have been read; the error names both."""
    async with (
        serving(answering(reply(200, bytes(1000)))) as server,
        proxying(cut_after=passed) as proxy,
        to(proxy) as wire,
    ):
        with pytest.raises(kind) as caught:
            await ask(wire, f"http://{HOST}:{server.port}/", "POST", body=b"x")
    assert f"http://{HOST}:{server.port} (through the proxy {proxy.url})" in str(caught.value)
    assert len(server.asked) == 1


async def test_a_tunnel_that_dies(authority: Authority) -> None:
    """A tunnel that ends after the request has left is a lost reply; within the handshake it is not."""
    async with (
        serving(answering(reply(200, bytes(1000))), authority.server(HOST)) as server,
        proxying(cut_after=20) as proxy,
        to(proxy, Trust.of(authority.file)) as wire,
    ):
        with pytest.raises(NotSentError):
            await ask(wire, f"https://{HOST}:{server.port}/", "POST", body=b"x")
        assert not server.asked

        async def hang_up(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        proxy.cut_after, server.answer = None, hang_up
        with pytest.raises(LostReplyError):
            await ask(wire, f"https://{HOST}:{server.port}/", "POST", body=b"x")
        assert len(server.asked) == 1


# --- what is not asked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("10.0.0.1", "a private address"),
        ("0xA000001", "a private address"),
        ("10.1", "a private address"),
        ("[::ffff:10.0.0.1]", "a private address"),
        ("[64:ff9b::a00:1]", "a private address"),
        ("169.254.169.254", "a link-local address"),
        ("2852039166", "a link-local address"),
        ("10.0.0.1.", "a private address"),
        ("metadata.google.internal", "a metadata service of a cloud"),
        ("METADATA", "a metadata service of a cloud"),
        ("wiki", "a name inside a private network"),
        ("printer.local", "a name inside a private network"),
        ("db.corp.internal.", "a name inside a private network"),
        ("10.0.0.1%2f.example", "not a host name"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_what_no_proxy_is_asked_for(host: str, kind: str, scheme: str) -> None:
    """Addresses that the guard refuses stay refused in every notation, and so do names that tell what they are."""
    async with proxying() as proxy, to(proxy) as wire:
        with pytest.raises(BlockedAddressError, match=f"through the proxy {proxy.url}.* is {kind}"):
            await ask(wire, f"{scheme}://{host}/")
    assert not proxy.connections


async def test_what_an_account_may_reach_through_a_proxy() -> None:
    """allow_private counts as it does without a proxy; names of inner networks need true; metadata services stay."""
    async with serving(answering(reply())) as server, proxying() as proxy, to(proxy) as wire:
        for host, permitted in (("10.0.0.1", (network_of("10.0.0.0/8"),)), ("wiki", True), ("a.local", True)):
            assert (await ask(wire, f"http://{host}:{server.port}/", private_ok=permitted))[0] == 200
        for host, permitted in (("10.0.0.1", (network_of("192.168.0.0/16"),)), ("wiki", (network_of("10.0.0.0/8"),))):
            with pytest.raises(BlockedAddressError):
                await ask(wire, f"http://{host}:{server.port}/", private_ok=permitted)
        for host in ("metadata", "169.254.169.254"):
            with pytest.raises(BlockedAddressError):
                await ask(wire, f"http://{host}:{server.port}/", private_ok=True)
    assert len(proxy.asked) == 3


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_this_machine_is_reached_directly(host: str) -> None:
    """A proxy would take it for its own machine; the guard checks it as ever, the daemon's own listeners too."""
    async with serving(answering(reply())) as server, proxying() as proxy, to(proxy) as wire:
        assert (await ask(wire, f"http://{host}:{server.port}/", private_ok=True))[0] == 200
        with pytest.raises(BlockedAddressError):
            await ask(wire, f"http://{host}:{server.port}/")
    assert not proxy.connections


async def test_a_listener_of_this_daemon(authority: Authority) -> None:
    """It is not reached as a proxy either: a request would come back to us."""
    own = OwnListeners()
    async with proxying() as proxy:
        one = Proxy(proxy.url)
        wire = AiohttpWire(own, connections=ConnectionSettings(proxies=Proxies(one, one)))
        with own.at("127.0.0.1", proxy.port):
            async with wire:
                with pytest.raises(BlockedAddressError, match="Refused to connect to the proxy"):
                    await ask(wire, f"https://{HOST}/")


# --- the address of this machine --------------------------------------------------------------------------------------


async def test_a_source_address() -> None:
    """Connections come from it, to the proxy too."""
    peers: list[str] = []

    async def answer(_asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        writer.write(reply())

    connections = ConnectionSettings(source_address="127.0.0.2")
    async with serving(answer) as server, AiohttpWire(connections=connections) as wire:
        await ask(wire, f"{server.origin}/", private_ok=True)
    assert peers == ["127.0.0.2"]


@pytest.mark.parametrize("source", ["192.0.2.1", "2001:db8::1"])
async def test_a_source_address_of_another_machine(source: str) -> None:
    """The error names the key."""
    connections = ConnectionSettings(source_address=source)
    async with serving(answering(reply())) as server, AiohttpWire(connections=connections) as wire:
        with pytest.raises(NotSentError, match=r"nothing can be sent from network\.source_address"):
            await ask(wire, f"{server.origin}/", private_ok=True)


# --- pools ------------------------------------------------------------------------------------------------------------


async def test_each_proxy_has_connections_of_its_own(authority: Authority) -> None:
    """Another proxy, another sign-in or none: no connection of before serves a request."""
    async with serving(answering(reply())) as server, proxying() as one, proxying() as other, to(one) as wire:
        url = f"http://{HOST}:{server.port}/"
        await ask(wire, url)
        proxy = Proxy(other.url)
        wire.reconfigure(ConnectionSettings(proxies=Proxies(proxy, proxy)))
        await ask(wire, url)  # on the same connection as the next one
        await ask(wire, url)
        signed = Proxy(other.url, "somebody", "else")
        wire.reconfigure(ConnectionSettings(proxies=Proxies(signed, signed)))
        await ask(wire, url)
    assert [proxy.connections for proxy in (one, other)] == [1, 2]
    assert other.asked[-1].headers["proxy-authorization"].startswith("Basic ")


async def test_a_pool_of_a_proxy_serves_nothing_else() -> None:
    """It may connect to the proxy wherever that is; a request without the proxy is guarded as ever, and vice versa."""
    async with serving(answering(reply())) as server, proxying() as proxy, to(proxy) as wire:
        await ask(wire, f"http://{HOST}:{server.port}/")
        with pytest.raises(BlockedAddressError, match="a loopback address"):
            await ask(wire, f"{server.origin}/")
        await ask(wire, f"http://{HOST}:{server.port}/")
    assert proxy.connections == 1
