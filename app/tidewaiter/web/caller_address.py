"""The address of a caller, also behind trusted proxies."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from aiohttp import hdrs, web

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
