"""The guard at the socket: nothing is sent to a private address without permission, or to the daemon's own listeners.

It checks in two places, because aiohttp asks a resolver only for names. :class:`GuardedResolver` refuses a name if any
of its addresses is refused, before the first of them is tried. :meth:`Guard.socket` makes the socket of every attempt
and sees the address that it will connect to. So an IP literal, a cached lookup, or anything else that bypasses the
resolver is refused there. So is an address that is not numeric: asyncio would look it up again.

An IPv6 address that stands for an IPv4 address is judged by that one, wherever it is translated. The daemon's own
listeners are known as bound sockets, by address and port.
"""

import errno
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from tidewaiter.domain.networks import PermittedNetworks, may_reach, metadata_around
from tidewaiter.transport.proxies import numeric_address

_DOCUMENTATION: Final = {4: "192.0.2.1", 6: "2001:db8::1"}  # RFC 5737, RFC 3849: no machine has these
_ANY_PORT: Final = 9
_NO_NAME: Final = "it has an empty label, or one of more than 63 characters"
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
        ("3fff::/20", "an address for documentation"),
        ("::/128", "an address of this host"),
        ("::1/128", "a loopback address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("ff00::/8", "a multicast address"),
    )
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")  # RFC 4291, section 2.5.5.2
_COMPATIBLE: Final = IPv6Network("::/96")  # RFC 4291, section 2.5.5.1
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052, section 2.1
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")  # RFC 8215
_6TO4: Final = IPv6Network("2002::/16")  # RFC 3056
_TEREDO: Final = IPv6Network("2001::/32")  # RFC 4380, section 4
_OF_NO_HOST: Final = IPv4Network("0.0.0.0/8")
_HOST_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
# RFC 6762, RFC 8375, and ICANN's resolution 2024.07.29.06.
_INNER_DOMAINS: Final = ("local", "internal", "home.arpa", "localhost")
_METADATA_NAMES: Final = frozenset({"metadata.google.internal", "metadata.goog", "metadata", "instance-data",
                                    "instance-data.ec2.internal"})  # fmt: skip
_Address: TypeAlias = IPv4Address | IPv6Address


class AddressRefusedError(OSError):
    """The guard refused an address.

    An ``OSError``, because aiohttp keeps those when it tries several addresses at a time, and loses other errors.
    """

    def __init__(self, refusal: "Refusal") -> None:
        super().__init__(errno.EACCES, f"{refusal.address} is {refusal.kind}")
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an address is refused: ``kind`` says what it is, ``permit`` which setting would permit it."""

    address: str
    kind: str
    permit: str | None

    def __str__(self) -> str:
        permitted = "no setting permits it" if self.permit is None else f"{self.permit} permits it"
        return f"{self.address} is {self.kind}; {permitted}"


class OwnListeners:
    """The sockets on which this daemon listens, as they are bound; the guard checks every address against them.

    Access from outside this machine, such as a proxy or a forwarded port, is not known here.
    """

    def __init__(self) -> None:
        self._bound: list[tuple[str, int]] = []

    @contextmanager
    def listening(self, bound: socket.socket | None) -> Iterator[None]:
        """Add a socket within the block; ``None`` if there is no such listener."""
        if bound is None:
            yield
            return
        host, port = bound.getsockname()[:2]
        with self.at(host, port):
            yield

    @contextmanager
    def at(self, host: str, port: int) -> Iterator[None]:
        """Add a listener within the block; ``host`` is an address or a name."""
        self._bound.append((host, port))
        try:
            yield
        finally:
            self._bound.remove((host, port))

    def has(self, address: _Address, port: int) -> bool:
        """Whether a connection to this address and port would reach one of them."""
        hosts = [host for host, bound in self._bound if bound == port]
        return any(_reaches(address, host) for host in hosts)


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides which addresses may be reached.

    ``private_ok`` says which addresses outside the public internet are. ``own`` are the daemon's listeners, which are
    never reached.
    """

    private_ok: PermittedNetworks = False
    own: OwnListeners = field(default_factory=OwnListeners)

    def refusal(self, address: str, port: int) -> Refusal | None:
        """Why an address, in the form of a socket's address, is refused; ``None`` if it is permitted."""
        if "%" in address:
            return Refusal(address, "an address of one link", None)
        try:
            parsed = ip_address(address)
        except ValueError:
            return Refusal(address, "not a numeric address", None)
        return next((refusal for one in _meant_by(parsed) if (refusal := self._of_one(address, one, port))), None)

    def _of_one(self, address: str, meant: _Address, port: int) -> Refusal | None:
        if self.own.has(meant, port):
            return Refusal(address, "a listener of this daemon", None)
        kind = _kind_of(meant)
        if kind is None:
            return None
        network = ip_network(meant)
        is_metadata = metadata_around(network) is not None
        if may_reach(network, self.private_ok):
            return None
        return Refusal(address, kind, f'allow_private = ["{network}"]' if is_metadata else "allow_private = true")

    def check(self, address: str, port: int) -> None:
        """Raise ``AddressRefusedError`` if an address is refused."""
        refusal = self.refusal(address, port)
        if refusal is not None:
            raise AddressRefusedError(refusal)

    def check_behind_proxy(self, host: str, port: int) -> None:
        """Raise ``AddressRefusedError`` if a proxy must not be asked for a host.

        The proxy looks the name up, so only what the name itself tells can be checked: an address in any notation, and
        names that exist only inside a network.
        """
        name = host.rstrip(".").lower()
        address = numeric_address(name)
        if address is not None:
            self.check(address, port)
        elif not _HOST_NAME.fullmatch(name):
            raise AddressRefusedError(Refusal(name, "not a host name", None))
        elif name in _METADATA_NAMES:
            raise AddressRefusedError(Refusal(name, "a metadata service of a cloud", None))
        elif self.private_ok is not True and _is_inner(name):
            raise AddressRefusedError(Refusal(name, "a name inside a private network", "allow_private = true"))

    def socket(self, addr_info: AddrInfoType) -> socket.socket:
        """The socket of one attempt to connect, made only if its address may be reached."""
        family, kind, protocol, _, address = addr_info
        host = str(address[0])
        # The last part of an IPv6 socket's address is its zone.
        self.check(f"{host}%{address[3]}" if len(address) > 3 and address[3] else host, int(address[1]))
        return socket.socket(family, kind, protocol)


class GuardedResolver(AbstractResolver):
    """Another resolver, but a name is refused if any of its addresses is.

    Args:
        resolver: looks names up; it stays open.
        guard: checks the addresses.
    """

    def __init__(self, resolver: AbstractResolver, guard: Guard) -> None:
        self._resolver = resolver
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name; raises ``AddressRefusedError``, or another ``OSError`` if there are none."""
        try:
            results = await self._resolver.resolve(host, port, family)
        except UnicodeError:  # the C library's encoding refuses it, before DNS is asked
            raise no_dns_name() from None
        for result in results:
            self._guard.check(result["host"], port)
        return results

    async def close(self) -> None:
        """Do nothing: others use the resolver too."""


def no_dns_name() -> OSError:
    """The error of a name for which a lookup raises ``UnicodeError``."""
    return socket.gaierror(socket.EAI_NONAME, _NO_NAME)


def blocked_kind(address: str) -> str | None:
    """Why a numeric address is not reached without permission; ``None`` if it is public."""
    refusal = Guard().refusal(address, 0)
    return None if refusal is None else refusal.kind


def _is_inner(name: str) -> bool:
    """Whether a name has a meaning only inside a network; without a dot a proxy completes it with its own domain."""
    return "." not in name or any(name.endswith(f".{one}") for one in _INNER_DOMAINS)


def _kind_of(address: _Address) -> str | None:
    """What an address is that is not public; ``None`` for one that is."""
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _BLOCKED_V4 if address in network), None)
    for network, kind in _BLOCKED_V6:
        if address in network:
            return kind
    return None if address in _PUBLIC_V6 else "a reserved address"


def _meant_by(address: _Address) -> tuple[_Address, ...]:
    """The IPv4 addresses that an IPv6 address stands for, all of which must be permitted; else the address itself."""
    if isinstance(address, IPv4Address):
        return (address,)
    bits = int(address)
    low = IPv4Address(bits & 0xFFFFFFFF)
    if address in _MAPPED or address in _NAT64 or (address in _COMPATIBLE and bits > 1):
        return (low,)
    if address in _6TO4:
        return (IPv4Address(bits >> 80 & 0xFFFFFFFF),)
    if address in _TEREDO:
        return (IPv4Address(bits >> 64 & 0xFFFFFFFF), IPv4Address(int(low) ^ 0xFFFFFFFF))
    if address in _LOCAL_NAT64:
        read = (low, *_inside_shorter(bits))
        # An operator's prefix has any length from 48 to 96 bits, so zeros are most likely its padding.
        return tuple(one for one in read if one not in _OF_NO_HOST) or (low,)
    return (address,)


def _inside_shorter(bits: int) -> Iterator[IPv4Address]:
    """The IPv4 address behind a prefix of 48, 56 and 64 bits; bits 64 to 71 are left out (RFC 6052, section 2.2)."""
    without = (bits >> 64 << 56) | (bits & (1 << 56) - 1)  # 120 bits
    for prefix in (48, 56, 64):
        yield IPv4Address(without >> (120 - prefix - 32) & 0xFFFFFFFF)


def _reaches(address: _Address, host: str) -> bool:
    listening = None
    with suppress(ValueError):
        listening = ip_address(host)
    if isinstance(listening, IPv6Address):
        listening = listening.ipv4_mapped or listening
    if listening is None or listening.is_unspecified or address.is_unspecified:
        # A name may stand for any address of this machine, and the kernel takes 0.0.0.0 and :: for this machine.
        return _is_of_this_machine(address)
    return address == listening


def _is_of_this_machine(address: _Address) -> bool:
    """Whether an interface of this machine has the address: a socket can be bound to such an address only."""
    if address.is_loopback or address.is_unspecified:
        return True
    if not _can_bind(address.version, str(address)):
        return False
    # If the kernel permits to bind to any address (ip_nonlocal_bind), the route decides.
    return not _can_bind(address.version, _DOCUMENTATION[address.version]) or _is_its_own_source(address)


def _can_bind(version: int, address: str) -> bool:
    try:
        with _datagrams(version) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _is_its_own_source(address: _Address) -> bool:
    """Whether what is sent to an address would be sent from it; connecting a UDP socket sends nothing."""
    try:
        with _datagrams(address.version) as probe:
            probe.connect((str(address), _ANY_PORT))
            return bool(ip_address(probe.getsockname()[0]) == address)
    except OSError:
        return False


def _datagrams(version: int) -> socket.socket:
    return socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
