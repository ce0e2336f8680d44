"""The guard at the socket: no packet leaves for an address that is not on the public internet.

It stands in two places, because aiohttp asks a resolver only for names. :class:`GuardedResolver` refuses a name of
which any address is blocked, before the first of them is tried. :func:`guarded_socket` makes the socket of every
single attempt and sees the address that it will connect to, so IP literals, a cached lookup, or whatever else finds a
way around the resolver end there. What is not a plain numeric address is refused too: asyncio would look it up again.
"""

import errno
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import AddrInfoType
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

# https://www.iana.org/assignments/iana-ipv4-special-registry
_BLOCKED_V4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "an address of this host"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "an address behind a carrier's NAT"),
        ("127.0.0.0/8", "a loopback address"),
        ("168.63.129.16/32", "the virtual host of a cloud"),  # Azure's, though its block is public
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "an address for documentation"),
        ("192.88.99.0/24", "a relay of 6to4"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "an address for benchmarks"),
        ("198.51.100.0/24", "an address for documentation"),
        ("203.0.113.0/24", "an address for documentation"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)
# https://www.iana.org/assignments/iana-ipv6-special-registry; only 2000::/3 is public at all.
_PUBLIC_V6 = IPv6Network("2000::/3")
_BLOCKED_V6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "an address for documentation"),
        ("2002::/16", "an address of 6to4"),
        ("3fff::/20", "an address for documentation"),
        ("::/128", "an address of this host"),
        ("::1/128", "a loopback address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("ff00::/8", "a multicast address"),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefusedError(OSError):
    """The guard refused an address.

    An ``OSError``, because aiohttp carries those unharmed through its attempts and loses others when it tries several
    addresses at a time.
    """

    def __init__(self, address: str, kind: str) -> None:
        super().__init__(errno.EACCES, f"{address} is {kind}")
        self.address = address
        self.kind = kind


def blocked_kind(address: str) -> str | None:
    """What makes a numeric address one that is not reached without permission; ``None`` where it is public."""
    if "%" in address:
        return "an address of one link"
    try:
        parsed = ip_address(address)
    except ValueError:
        return "not a numeric address"
    return _kind_v4(parsed) if isinstance(parsed, IPv4Address) else _kind_v6(parsed)


def _kind_v4(address: IPv4Address) -> str | None:
    return next((kind for network, kind in _BLOCKED_V4 if address in network), None)


def _kind_v6(address: IPv6Address) -> str | None:
    if address.ipv4_mapped is not None:
        return _kind_v4(address.ipv4_mapped)
    if address in _NAT64:
        return _kind_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    for network, kind in _BLOCKED_V6:
        if address in network:
            return kind
    return None if address in _PUBLIC_V6 else "a reserved address"


def _check(address: str) -> None:
    kind = blocked_kind(address)
    if kind is not None:
        raise AddressRefusedError(address, kind)


class GuardedResolver(ThreadedResolver):
    """The system's resolver, refusing a name of which any address is blocked."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """As the base class does, and raises ``AddressRefusedError``."""
        results = await super().resolve(host, port, family)
        for result in results:
            _check(result["host"])
        return results


def guarded_socket(addr_info: AddrInfoType) -> socket.socket:
    """The socket of one attempt to connect, made only when its address is public."""
    family, kind, protocol, _, address = addr_info
    _check(str(address[0]))
    return socket.socket(family, kind, protocol)
