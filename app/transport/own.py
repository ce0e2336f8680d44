"""The daemon's own listeners, by address and port: no provider may lead the daemon to them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, TypeAlias

_Address: TypeAlias = IPv4Address | IPv6Address
_NOBODYS: Final = {4: "192.0.2.1", 6: "2001:db8::1"}  # RFC 5737, RFC 3849: no machine has these
_ANY_PORT: Final = 9


class OwnListeners:
    """The sockets on which this daemon listens, as they are bound; the guard asks about every address.

    Access from outside this machine, such as a proxy or a forwarded port, is not known here.
    """

    def __init__(self) -> None:
        self._bound: list[tuple[str, int]] = []

    @contextmanager
    def listening(self, bound: socket.socket | None) -> Iterator[None]:
        """Add a socket within the block; ``None`` where there is no such listener."""
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
    return not _can_bind(address.version, _NOBODYS[address.version]) or _is_its_own_source(address)


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
