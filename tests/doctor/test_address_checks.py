"""Checks of an address on real sockets: names, the guard, ports, and every TLS failure."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.byte_servers import Server, answering, reply, serving
from tests.support.certificates import Authority, self_signed
from tidewaiter.clock import SystemClock
from tidewaiter.doctor.address_checks import addresses_result, check_endpoint
from tidewaiter.doctor.findings import CheckStatus, Finding, Notes
from tidewaiter.doctor.network_endpoint import NetworkEndpoint, certificate_result
from tidewaiter.domain.networks import PermittedNetworks, network_of

CLOCK = SystemClock()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that is trusted, as an operator has it trusted."""
    made = Authority.made(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server without TLS."""
    async with serving(answering(reply())) as server:
        yield server


async def looked_at(url: str, *, private_ok: bool = True) -> dict[str, Finding]:
    """What is found of an address, by check."""
    notes = Notes("shop", CLOCK)
    endpoint = NetworkEndpoint.of(url)
    await check_endpoint(
        notes, endpoint, CLOCK, private_ok=private_ok, key="accounts.shop.settings", permit="set allow_private = true"
    )
    return {one.check: one for one in notes.findings}


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("https://a.example/x", "a.example", 443, True),
        ("HTTP://a.example", "a.example", 80, False),
        ("http://[::1]:8080/x?y", "::1", 8080, False),
    ],
)
def test_endpoints(url: str, host: str, port: int, tls: bool) -> None:
    """Host, port and TLS come out of the address, with the ports that the schemes have."""
    assert NetworkEndpoint.of(url) == NetworkEndpoint(host, port, tls)


def test_endpoints_in_words() -> None:
    """An IPv6 address is told from its port."""
    assert str(NetworkEndpoint("::1", 80, tls=False)) == "[::1]:80"
    assert str(NetworkEndpoint("a.example", 80, tls=False)) == "a.example:80"


async def test_a_name_without_an_address() -> None:
    """A name that does not resolve is told with its key; nothing else is tried."""
    found = await looked_at("https://nowhere.invalid")
    assert list(found) == ["dns"]
    assert found["dns"].status is CheckStatus.FAILURE
    assert found["dns"].message.startswith("nowhere.invalid has no address: ")
    assert "accounts.shop.settings" in found["dns"].remedy


async def test_a_name_that_dns_cannot_have() -> None:
    """A typing error in an address is the operator's fault, not the program's."""
    found = await looked_at("https://shop..example")
    assert (
        found["dns"].message == "shop..example has no address: it has an empty label, or one of more than 63 characters"
    )


async def test_a_name(server: Server) -> None:
    """A name is told with its addresses; an address that stands for itself is not told as a name."""
    found = await looked_at(f"http://localhost:{server.port}")
    assert "127.0.0.1" in found["dns"].message
    assert found["tls"].status is CheckStatus.OK
    assert list(await looked_at(server.origin)) == ["tls"]


async def test_the_guard(server: Server) -> None:
    """A private address without permission is told with what permits it, and not connected to."""
    found = await looked_at(server.origin, private_ok=False)
    assert list(found) == ["dns"]
    assert "127.0.0.1, a loopback address" in found["dns"].message
    assert found["dns"].remedy == "set allow_private = true, if it is meant to be there"
    assert server.connections == 0


def test_one_blocked_address_is_enough() -> None:
    """Of several addresses each must be public, as the wire has it."""
    addresses = ["198.100.1.1", "10.0.0.1"]
    assert addresses_result("a", addresses, private_ok=False, permit="").status is CheckStatus.FAILURE
    assert addresses_result("a", addresses, private_ok=True, permit="").status is CheckStatus.OK
    assert addresses_result("a", addresses[:1], private_ok=False, permit="").message == "a has the address 198.100.1.1"


@pytest.mark.parametrize(
    ("address", "private_ok", "remedy"),
    [
        ("10.0.0.1", False, "set allow_private = true, if it is meant to be there"),
        ("10.0.0.1", (), "set allow_private = true, if it is meant to be there"),
        ("10.0.0.1", (network_of("10.1.0.0/16"),), "name its network in allow_private, if it is meant to be there"),
        ("169.254.169.254", True, "name its network in allow_private, if it is meant to be there"),
        ("64:ff9b::a00:1", False, "set allow_private = true, if it is meant to be there"),
        ("fe80::1%eth0", True, "check that DNS gives its public address"),
    ],
)
def test_what_permits_it(address: str, private_ok: PermittedNetworks, remedy: str) -> None:
    """The suggested fix helps, given what the account permits already."""
    verdict = addresses_result("a", [address], private_ok=private_ok, permit="set allow_private = true")
    assert (verdict.status, verdict.remedy) == (CheckStatus.FAILURE, remedy)


def test_a_named_network() -> None:
    """What the wire would reach is no failure, whatever form its address has."""
    addresses, private_ok = ["10.0.0.1", "::ffff:10.0.0.2"], (network_of("10.0.0.0/8"),)
    assert addresses_result("a", addresses, private_ok=private_ok, permit="").status is CheckStatus.OK


async def test_without_tls(server: Server) -> None:
    """A server without TLS is reached, and it is said that it has none."""
    found = await looked_at(server.origin)
    assert found["tls"].status is CheckStatus.OK
    assert found["tls"].message == f"127.0.0.1:{server.port} accepts connections, without TLS"


async def test_a_dead_port() -> None:
    """A port on which nothing listens is told as refused."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        found = await looked_at(f"http://127.0.0.1:{bound.getsockname()[1]}")
    assert found["tls"].status is CheckStatus.FAILURE
    assert found["tls"].message.endswith("accepts no connection: Connection refused")


async def test_a_good_certificate(authority: Authority) -> None:
    """One that holds is told with its days."""
    async with serving(answering(reply()), authority.server(days=90.5)) as server:
        found = await looked_at(server.origin)
    assert found["tls"].status is CheckStatus.OK
    assert found["tls"].message == "TLSv1.3; the certificate is valid for 90 more days"


async def test_a_certificate_that_ends_soon(authority: Authority) -> None:
    """One that holds for a few days only is a warning."""
    async with serving(answering(reply()), authority.server(days=1.5)) as server:
        found = await looked_at(server.origin)
    assert found["tls"].status is CheckStatus.WARNING
    assert found["tls"].message.endswith("for 1 more day")


@pytest.mark.parametrize(("days", "status"), [(13, CheckStatus.WARNING), (14, CheckStatus.OK)])
def test_how_soon_is_soon(days: int, status: CheckStatus) -> None:
    """Two weeks are the bound."""
    assert certificate_result("Nov 21 00:00:00 2026 GMT", 1_795_219_200.0 - days * 86_400, "TLSv1.3").status is status


@pytest.mark.parametrize(
    ("since", "days", "address", "message"),
    [
        (-90, -1, "127.0.0.1", "its certificate has expired"),
        (1, 90, "127.0.0.1", "its certificate is not valid yet"),
        (-1, 90, "192.0.2.7", "its certificate is not for 127.0.0.1"),
    ],
)
async def test_bad_certificates(since: float, days: float, address: str, message: str, authority: Authority) -> None:
    """Each fault of a certificate by a known authority is named precisely, with its own fix."""
    async with serving(answering(reply()), authority.server(address, since=since, days=days)) as server:
        found = await looked_at(server.origin)
    assert found["tls"].status is CheckStatus.FAILURE
    assert found["tls"].message == message
    assert found["tls"].remedy


async def test_an_unknown_authority(tmp_path: Path) -> None:
    """A certificate by somebody who is not trusted here is told, with how to trust them."""
    for tls in (Authority.made(tmp_path).server(), self_signed(tmp_path)):
        async with serving(answering(reply()), tls) as server:
            found = await looked_at(server.origin)
        assert found["tls"].status is CheckStatus.FAILURE
        assert found["tls"].message.startswith("its certificate is from an unknown authority (")
        assert "network.ca_file" in found["tls"].remedy


async def test_tls_where_there_is_none() -> None:
    """A server that speaks plain HTTP on the port is no fault of a certificate."""

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(400))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        found = await looked_at(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert found["tls"].status is CheckStatus.FAILURE
    assert found["tls"].message.startswith("the TLS handshake failed: ")
