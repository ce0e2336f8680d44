"""How often a caller may do something: a token bucket, a limit on wrong tokens, and the caller's address."""

import ipaddress
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import hdrs, web

from tidewaiter.clock import Clock

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN: Final = "unknown"
"""The address of a caller that has none, as on a UNIX socket."""
_FOR: Final = re.compile(r'(?:^|;)\s*for=(?:"([^"]*)"|([^;"\s]+))', re.IGNORECASE)
_WITH_PORT: Final = re.compile(r"\[([^\]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
_SUBNET: Final = 64


def address_of(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """The address of the caller; that of the last trusted proxy if its header cannot be read.

    If both headers are present and differ, the proxy has passed on one that the caller forged. It is unknown which one,
    so neither counts.
    """
    peer = _parsed(request.remote or "")
    if peer is None:
        return request.remote or UNKNOWN
    if not _is_in(peer, trusted):
        return str(peer)
    forwarded = _members(request, hdrs.X_FORWARDED_FOR)
    standard = [_for_in(member) for member in _members(request, hdrs.FORWARDED)]
    found = {_caller(peer, hops, trusted) for hops in (forwarded, standard) if hops}
    return str(found.pop() if len(found) == 1 else peer)


def rate_limit_key(address: str) -> str:
    """What counts as one caller: an IPv4 address, or the /64 network of an IPv6 one, which one subscriber has."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _SUBNET), strict=False))
    return address


def _caller(peer: Address, hops: Sequence[str], trusted: Sequence[Network]) -> Address:
    nearest = peer
    for hop in reversed(hops):
        address = _parsed(hop)
        if address is None:
            return nearest
        nearest = address
        if not _is_in(address, trusted):
            break
    return nearest


def _members(request: web.BaseRequest, name: str) -> list[str]:
    return [one.strip() for line in request.headers.getall(name, ()) for one in line.split(",") if one.strip()]


def _for_in(member: str) -> str:
    found = _FOR.search(member)
    return "" if found is None else found[1] or found[2] or ""


def _parsed(text: str) -> Address | None:
    with_port = _WITH_PORT.fullmatch(text)
    bare = text if with_port is None else with_port[1] or with_port[2]
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


class RateBucket:
    """Holds up to ``burst`` tokens and gets ``per_s`` new ones per second.

    Args:
        clock: the time.
        per_s: the rate in the long run.
        burst: how many may come at once.
    """

    def __init__(self, clock: Clock, per_s: float, burst: int) -> None:
        self._clock = clock
        self._per_s = per_s
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at = clock.monotonic()

    def take(self) -> float:
        """Take one token. Returns 0, or, if there is none, the seconds until the next one."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_s
        self._tokens -= 1
        return 0.0


BURST: Final = 10
"""Wrong tokens that an address may send at once."""
PER_S: Final = 1 / 6
"""Wrong tokens that it may send per second in the long run."""
TOTAL_BURST: Final = 200
TOTAL_PER_S: Final = 2.0
MOST_ADDRESSES: Final = 4096
"""Addresses that are remembered. Beyond that the one that was quiet for longest is dropped."""


@dataclass(slots=True)
class _LeakyCount:
    """A count of wrong tokens at a time; it decreases as time passes."""

    count: float
    at: float

    def now(self, at: float, per_s: float) -> float:
        return max(0.0, self.count - (at - self.at) * per_s)


class WrongTokenCounter:
    """Counts wrong tokens.

    Args:
        clock: the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._addresses: OrderedDict[str, _LeakyCount] = OrderedDict()
        self._total = _LeakyCount(0.0, clock.monotonic())

    def wait_s(self, address: str) -> float:
        """For how many seconds no token from this address is checked; 0 if it is checked."""
        level = self._addresses.get(address)
        if level is None:
            return 0.0
        now = self._clock.monotonic()
        is_flood = self._total.now(now, TOTAL_PER_S) > TOTAL_BURST - 1
        permitted = 1 if is_flood else BURST
        return max(0.0, level.now(now, PER_S) + 1 - permitted) / PER_S

    def count_wrong(self, address: str) -> None:
        """Count a wrong token from this address."""
        now = self._clock.monotonic()
        level = self._addresses.pop(address, None) or _LeakyCount(0.0, now)
        self._addresses[address] = _LeakyCount(level.now(now, PER_S) + 1, now)
        self._total = _LeakyCount(min(self._total.now(now, TOTAL_PER_S) + 1, TOTAL_BURST), now)
        if len(self._addresses) > MOST_ADDRESSES:
            self._addresses.popitem(last=False)
