"""Which addresses outside the public internet an account may reach: all but some, none, or those of named networks."""

from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from typing import Final, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network
PermittedNetworks: TypeAlias = bool | tuple[Network, ...]
"""``True``: every private address except those of cloud metadata. ``False`` or no networks: no private address.
Networks: their addresses; those of cloud metadata only if a network contains nothing else."""

_METADATA: Final = tuple(
    ip_network(one)
    for one in (
        "169.254.0.0/16",  # link-local: nearly every cloud's
        "168.63.129.16/32",  # Azure's virtual host
        "100.100.100.200/32",  # Alibaba Cloud's
        "192.0.0.192/32",  # Oracle Cloud's
        "fe80::/10",  # link-local
        "fd00:ec2::/32",  # Amazon's, with its other services of one instance
        "fd20:ce::254/128",  # Google Cloud's
        "fd00:42::42/128",  # Scaleway's
        "fd00:a9fe:a9fe::/64",  # Akamai's
        "fd00:c1::a9fe:a9fe/128",  # Oracle Cloud's
    )
)
"""Networks where a cloud gives its machines their credentials, and link-local networks."""

WITH_IPV4_INSIDE: Final = tuple(
    IPv6Network(one) for one in ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
"""IPv6 networks whose addresses contain an IPv4 address, which decides about them: mapped and compatible (RFC 4291),
NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056) and Teredo (RFC 4380)."""


def network_of(text: str) -> Network:
    """The network in a text, in CIDR notation (RFC 4632), such as ``10.0.0.0/8`` or ``fd00::/8``.

    Raises:
        ValueError: the text is no network; the message says how to write one.
    """
    try:
        interface = ip_interface(text)
    except ValueError:
        # Without the text: it may be a secret that belongs to another key.
        raise ValueError("an entry is not a network; write one such as 10.0.0.0/8, 127.0.0.1/32 or fd00::/8") from None
    network, address = interface.network, interface.ip
    if "%" in text:
        raise ValueError(f"{text!r} has a zone: a zone cannot be used; remove it")
    if "/" not in text:
        raise ValueError(f"{text!r} is an address, not a network; write {network}")
    if network.network_address != address:
        raise ValueError(
            f"{text!r} has bits set behind its prefix; write {network}, or {ip_network(str(address))} for the address"
        )
    if isinstance(network, IPv6Network) and network != IPv6Network("::1/128"):
        inside = next((one for one in WITH_IPV4_INSIDE if network.subnet_of(one)), None)
        if inside is not None:
            raise ValueError(
                f"{text!r} lies in {inside}, whose addresses contain an IPv4 address; write the IPv4 network"
            )
    return network


def permitted_networks(allowed: bool | tuple[str, ...]) -> PermittedNetworks:
    """The networks that ``allow_private`` permits; texts are as for :func:`network_of`."""
    return allowed if isinstance(allowed, bool) else tuple(map(network_of, allowed))


def may_reach(address: Network, private: PermittedNetworks) -> bool:
    """Whether a private address, as a network of one address, may be reached."""
    around = metadata_around(address)
    if isinstance(private, bool):
        return private and around is None
    return any(_within(address, one) and (around is None or _within(one, around)) for one in private)


def metadata_around(network: Network) -> Network | None:
    """The metadata or link-local range that contains a network; usually ``None``."""
    return next((one for one in _METADATA if _within(network, one)), None)


def _within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)
