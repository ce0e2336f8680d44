"""Which addresses are public; neither a name nor a literal address passes the guard."""

import asyncio
import socket

import pytest
from aiohttp.resolver import ThreadedResolver

from tidewaiter.transport.address_guard import AddressRefusedError, Guard, GuardedResolver, blocked_kind


@pytest.mark.fault(57)
@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104  # an address to refuse, not to bind
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1111%lo",
        "fec0::1",
        "ff02::1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "",
    ],
)
def test_what_is_not_public_is_blocked(address: str) -> None:
    """Private, local, reserved and embedded forms, and everything that is no numeric address."""
    assert blocked_kind(address) is not None


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "93.184.216.34",
        "100.63.255.255",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "::ffff:93.184.216.34",
        "64:ff9b::93.184.216.34",
    ],
)
def test_public_addresses_pass(address: str) -> None:
    """The guard does not block the internet, nor its IPv4 half as an IPv6-only host sees it."""
    assert blocked_kind(address) is None


@pytest.mark.fault(57)
async def test_a_name_with_one_blocked_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that also answers with a private address is refused whole: no luck of the draw decides."""

    async def two_answers(*_args: object, **_kwargs: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.5", 443)),
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two_answers)
    with pytest.raises(AddressRefusedError, match=r"10\.0\.0\.5 is a private address"):
        await GuardedResolver(ThreadedResolver(), Guard()).resolve("files.example", 443, socket.AF_UNSPEC)


def test_no_socket_is_made_for_a_blocked_address() -> None:
    """Whatever way an address takes to the connector, its socket is where it ends."""
    with pytest.raises(AddressRefusedError):
        Guard().socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))
    with pytest.raises(AddressRefusedError):
        Guard().socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::ffff:127.0.0.1", 80, 0, 0)))
    with Guard().socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))) as made:
        assert made.family == socket.AF_INET
