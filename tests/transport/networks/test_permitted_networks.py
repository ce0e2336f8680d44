"""Permitted networks, end to end: a resolver of the test, and real servers on several loopback addresses."""

import asyncio
import socket
from contextlib import suppress
from ipaddress import ip_network

import pytest
from aiohttp.abc import ResolveResult

from tests.support.byte_servers import ReceivedRequest, serving
from tests.transport.networks.named_servers import QUICK, Names, doors, got, networks, refused
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.transport.address_guard import Guard
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.wire import NotSentError

# --- what is named is permitted, and nothing else ---------------------------------------------------------------------


async def test_a_network_permits_its_addresses_and_no_others(wire: AiohttpWire) -> None:
    """Two addresses of this machine, of which the account names one."""
    async with doors("127.0.0.1", "127.0.0.2") as site:
        one = networks("127.0.0.2/32", "10.0.0.0/8")
        assert await got(wire, f"http://127.0.0.2:{site.port}/", one) == b"127.0.0.2"
        told = await refused(wire, f"http://127.0.0.1:{site.port}/", one)
    assert told.endswith("127.0.0.1 is a loopback address; allow_private = true permits it.")
    assert site.seen == {"127.0.0.1": 0, "127.0.0.2": 1}


async def test_no_network_is_no_permission(wire: AiohttpWire) -> None:
    """An empty list is as ``false``."""
    async with doors("127.0.0.1") as site:
        await refused(wire, f"http://127.0.0.1:{site.port}/", ())
        assert await got(wire, f"http://127.0.0.1:{site.port}/", True) == b"127.0.0.1"
    assert site.seen == {"127.0.0.1": 1}


@pytest.mark.parametrize("fresh", [False, True])
async def test_a_connection_serves_only_its_own_networks(wire: AiohttpWire, names: Names, fresh: bool) -> None:
    """Neither a kept-alive connection nor a looked-up name of one account serves another; the order is no matter."""
    names.answers["files.example"] = [["127.0.0.2"]]
    async with doors("127.0.0.2") as site:
        url = f"http://files.example:{site.port}/"
        both = networks("127.0.0.2/32", "10.0.0.0/8")
        assert await got(wire, url, both, fresh=fresh) == b"127.0.0.2"
        for other in (False, (), networks("127.0.0.1/32"), networks("10.0.0.0/8")):
            await refused(wire, url, other)
        assert await got(wire, url, networks("10.0.0.0/8", "127.0.0.2/32"), fresh=fresh) == b"127.0.0.2"
    assert site.seen == {"127.0.0.2": 2 if fresh else 1}


async def test_the_pools_have_an_end(wire: AiohttpWire) -> None:
    """A configuration that is reloaded again and again leaves no pools behind; one that is in use stays whole."""
    go_on = asyncio.Event()

    async def in_two(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        if asked.target == "/held":
            await go_on.wait()
        writer.write(b"b")

    async with serving(in_two) as server:
        held = WireRequest("GET", f"{server.origin}/held")
        used = wire.open(held, private_ok=networks("127.0.0.1/32"), timeouts=QUICK, stream=False)
        async with used as answered:
            for number in range(50):
                await got(wire, f"{server.origin}/", networks("127.0.0.1/32", f"10.{number}.0.0/16"))
            go_on.set()
            assert await answered.read(100) == (b"ab", False)
        assert len(wire._pools) <= 20


# --- names ------------------------------------------------------------------------------------------------------------


async def test_a_name_that_is_bound_anew(wire: AiohttpWire, names: Names) -> None:
    """Each lookup is judged: a name that was permitted is refused once it leads elsewhere, and the other way round."""
    names.answers["files.example"] = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.2"]]
    async with doors("127.0.0.1", "127.0.0.2") as site:
        url, one = f"http://files.example:{site.port}/", networks("127.0.0.2/32")
        for number in range(3):
            # Each has a pool of its own, so that nothing is looked up once for all of them.
            mine = (*one, ip_network(f"10.{number}.0.0/16"))
            if number == 1:
                assert "127.0.0.1 is a loopback address" in await refused(wire, url, mine)
            else:
                assert await got(wire, url, mine) == b"127.0.0.2"
    assert names.asked == ["files.example"] * 3
    assert site.seen["127.0.0.1"] == 0


async def test_an_answer_that_changes_between_check_and_connection(names: Names) -> None:
    """What the resolver's check lets pass is checked again at the socket, which is what connects."""

    class Changing(Names):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            (result,) = await super().resolve(host, port, family)
            return [Turning(result)]  # type: ignore[list-item]  # a dictionary, as far as anybody can tell

    class Turning(dict[str, object]):
        """Resolves to one address at the first lookup, and to another one afterwards."""

        looks = 0

        def __getitem__(self, key: str) -> object:
            if key == "host":
                self.looks += 1
                return "93.184.216.34" if self.looks == 1 else "127.0.0.1"
            return super().__getitem__(key)

    resolver = Changing({"files.example": [["127.0.0.1"]]})
    async with doors("127.0.0.1") as site, AiohttpWire(resolver=resolver) as wire:
        told = await refused(wire, f"http://files.example:{site.port}/", False)
    assert "127.0.0.1 is a loopback address" in told
    assert site.seen == {"127.0.0.1": 0}


@pytest.mark.parametrize("addresses", [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "::1"]])
async def test_a_name_with_mixed_answers(wire: AiohttpWire, names: Names, addresses: list[str]) -> None:
    """One address that is not permitted is enough, wherever it stands: no luck of the draw decides."""
    names.answers["files.example"] = [addresses]
    async with doors("127.0.0.1", "127.0.0.2") as site:
        await refused(wire, f"http://files.example:{site.port}/", networks("127.0.0.2/32"))
    assert sum(site.seen.values()) == 0


async def test_a_public_and_a_private_answer(wire: AiohttpWire, names: Names) -> None:
    """The public address is not tried either."""
    names.answers["files.example"] = [["93.184.216.34", "10.0.0.1"]]
    assert "10.0.0.1 is a private address" in await refused(wire, "http://files.example/", False)


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "localhost."]
)
@pytest.mark.parametrize("private_ok", [False, networks("127.0.0.2/32")])
async def test_other_spellings_with_the_systems_resolver(host: str, private_ok: PermittedNetworks) -> None:
    """Decimal, octal, hexadecimal and short forms, and a dot at the end: the address decides, not how it is written."""
    async with doors("127.0.0.1", "127.0.0.2") as site, AiohttpWire() as wire:
        with pytest.raises(NotSentError):
            await got(wire, f"http://{host}:{site.port}/", private_ok)
        with suppress(NotSentError):  # not every system's resolver reads every form
            assert await got(wire, f"http://{host}:{site.port}/", networks("127.0.0.1/32", "::1/128")) == b"127.0.0.1"
    assert site.seen["127.0.0.2"] == 0


# --- forms of IPv6 ----------------------------------------------------------------------------------------------------

FORMS = [
    "::ffff:{0}",
    "::{0}",
    "64:ff9b::{0}",
    "64:ff9b:1::{0}",
    "64:ff9b:1:abcd::{0}",
    "64:ff9b:1:{1}:{2}::",
    "2002:{1}:{2}::1",
    "2001:0:{1}:{2}::f7f7:f7f7",
    "2001:0:808:808::{3}",
]


def in_form(form: str, address: str) -> str:
    """An IPv4 address in a form of IPv6; of NAT64 behind a prefix of 48 bits, bits 64 to 71 stay empty."""
    parts = [int(part) for part in address.split(".")]
    high, low = parts[0] << 8 | parts[1], parts[2] << 8 | parts[3]
    if form.startswith("64:ff9b:1:{1}"):
        return f"64:ff9b:1:{high:x}:{low >> 8:x}:{(low & 255) << 8:x}::"
    turned = ".".join(str(part ^ 255) for part in parts)
    return form.format(address, f"{high:x}", f"{low:x}", turned)


@pytest.mark.parametrize("form", FORMS)
async def test_forms_are_judged_by_the_address_in_them(wire: AiohttpWire, names: Names, form: str) -> None:
    """As a literal and as the answer of a name; loopback, private and metadata, with no permission or another one."""
    for address, private_ok in (
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("10.1.2.3", networks("10.2.0.0/16", "fd00::/8")),
        ("169.254.169.254", True),
        ("100.100.100.200", True),
    ):
        written = in_form(form, address)
        names.answers["files.example"] = [[written]]
        for host in ("files.example", f"[{written}]"):
            told = await refused(wire, f"http://{host}:9/", private_ok)
            assert " is " in told


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_what_is_permitted_or_public(form: str) -> None:
    """The network of the address within permits it, and what is public stays public."""
    guard = Guard(networks("10.0.0.0/8"))
    assert guard.refusal(in_form(form, "10.1.2.3"), 80) is None
    assert guard.refusal(in_form(form, "93.184.216.34"), 80) is None
    assert guard.refusal(in_form(form, "192.168.0.1"), 80) is not None


async def test_a_mapped_address_of_a_permitted_network(wire: AiohttpWire, names: Names) -> None:
    """The connection is made, for the kernel reads it as the IPv4 address that it stands for."""
    names.answers["files.example"] = [["::ffff:127.0.0.2"]]
    async with doors("127.0.0.2") as site:
        assert await got(wire, f"http://files.example:{site.port}/", networks("127.0.0.2/32")) == b"127.0.0.2"


@pytest.mark.parametrize("address", ["fe80::1%eth0", "::1%lo", "fd00::1%1"])
def test_zones_are_refused(address: str) -> None:
    """An address of one link is reached with no permission, not even where its network is named."""
    everything = Guard(networks("fe80::/10", "::/0"))
    assert everything.refusal(address, 80) is not None
    assert everything.refusal("fe80::1", 80) is None
    with pytest.raises(OSError, match="an address of one link"):
        everything.socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 80, 0, 3)))


# --- true -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fe80::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:42::42",
        "fd00:a9fe:a9fe::1",
        "fd00:c1::a9fe:a9fe",
    ],
)
def test_metadata_is_named_or_refused(address: str) -> None:
    """Neither ``true`` nor a wide network permits it, only one that names nothing else."""
    for wide in (True, networks("0.0.0.0/0", "::/0"), networks("100.64.0.0/10", "fd00::/8")):
        refusal = Guard(wide).refusal(address, 80)
        assert refusal is not None
        assert refusal.permit == f'allow_private = ["{ip_network(address)}"]'
    assert Guard((ip_network(address),)).refusal(address, 80) is None


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1"]
)
def test_true_permits_the_rest(address: str) -> None:
    """Private and loopback addresses of both kinds."""
    assert Guard(True).refusal(address, 80) is None
