"""Checks of addresses: a name, its addresses, its certificate; and whether a public address leads to a Tidewaiter."""

import asyncio
import json
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.doctor.findings import CheckResult, CheckStatus, Notes, failure, info, ok, warning
from tidewaiter.doctor.network_endpoint import NetworkEndpoint, certificate_result, tls_result, words_of
from tidewaiter.doctor.proxy_checks import check_through_proxy
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.domain.url import CALLBACK_PATH
from tidewaiter.transport.address_guard import Guard, no_dns_name
from tidewaiter.transport.connection_settings import ConnectionSettings
from tidewaiter.transport.wire import Timeouts, TransportError, Wire

_CONNECT_S: Final = 15.0
_HANDSHAKE_S: Final = 10.0  # part of _CONNECT_S
_TIMEOUTS: Final = Timeouts(connect_s=10.0, overall_s=20.0)
_MOST_READ: Final = 1024
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # its address on this machine
_FREE_THE_PORT: Final = "set another port in http.listen, or end that program"
_OURS: Final = "tidewaiter"


async def check_endpoint(
    notes: Notes,
    endpoint: NetworkEndpoint,
    clock: Clock,
    *,
    private_ok: PermittedNetworks,
    key: str,
    permit: str = "",
    connections: ConnectionSettings | None = None,
) -> bool:
    """Note whether an endpoint can be reached and its certificate is valid; returns whether it is usable.

    Args:
        notes: collects the results.
        endpoint: what is checked.
        clock: for the expiry of certificates.
        private_ok: which private addresses it may have.
        key: the configuration key of the address.
        permit: how the configuration can permit a private address, if it can.
        connections: how the daemon makes connections.
    """
    connections = connections or ConnectionSettings()
    proxy = connections.proxies.through("https" if endpoint.tls else "http", endpoint.host)
    if proxy is not None:
        found = await check_through_proxy(endpoint, proxy, connections, clock, private_ok=private_ok, key=key)
        return notes.add("tls", found) is not CheckStatus.FAILURE
    addresses = await check_name(notes, endpoint, private_ok=private_ok, key=key, permit=permit)
    if not addresses:
        return False
    return notes.add("tls", await _connect(endpoint, addresses, clock, key, connections)) is not CheckStatus.FAILURE


async def check_name(
    notes: Notes, endpoint: NetworkEndpoint, *, private_ok: PermittedNetworks, key: str, permit: str = ""
) -> Sequence[str]:
    """Note whether a name has addresses that may be reached; returns them, or none. Arguments as above."""
    try:
        addresses = await resolve(endpoint)
    except OSError as error:
        message = f"{endpoint.host} has no address: {error.strerror or 'unknown'}"
        notes.add("dns", failure(message, f"check that {key} is right, and DNS works"))
        return ()
    verdict = addresses_result(endpoint.host, addresses, private_ok=private_ok, permit=permit)
    if verdict.status is CheckStatus.OK and addresses == [endpoint.host]:
        return addresses  # already an address: there is no name to report
    return () if notes.add("dns", verdict) is CheckStatus.FAILURE else addresses


async def resolve(endpoint: NetworkEndpoint) -> list[str]:
    """The numeric addresses of an endpoint's host, each once; raises ``OSError`` if there are none."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise no_dns_name() from None
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def addresses_result(host: str, addresses: Sequence[str], *, private_ok: PermittedNetworks, permit: str) -> CheckResult:
    """Whether each of a host's addresses may be reached."""
    guard = Guard(private_ok)
    refused = next((found for one in addresses if (found := guard.refusal(one, 0)) is not None), None)
    if refused is None:
        return ok(f"{host} has the address {', '.join(addresses)}")
    if not permit or refused.permit is None:
        remedy = "check that DNS gives its public address"
    elif not private_ok and refused.permit == "allow_private = true":
        remedy = f"{permit}, if it is meant to be there"
    else:
        remedy = "name its network in allow_private, if it is meant to be there"
    return failure(f"{host} has the address {refused.address}, {refused.kind}, to which nothing is sent", remedy)


async def _connect(
    endpoint: NetworkEndpoint, addresses: Sequence[str], clock: Clock, key: str, connections: ConnectionSettings
) -> CheckResult:
    """Connect to the first address that accepts a connection."""
    error: OSError = OSError("no address")
    for address in addresses:
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await _handshake(endpoint, address, clock, connections)
        except ssl.SSLError as refused:
            return tls_result(refused, endpoint.host, key)
        except ConnectionAbortedError:
            message = f"{endpoint} does not answer the TLS handshake"
            return failure(message, f"check that {key} is https where it should be, and that the server works")
        except OSError as failed:  # TimeoutError is one, too
            error = failed
    if isinstance(error, TimeoutError):
        message = f"{endpoint} accepts no connection within {_CONNECT_S:g} s"
    else:
        message = f"{endpoint} accepts no connection: {words_of(error)}"
    return failure(message, f"check that {key} is right, the server is up, and no firewall blocks it")


async def _handshake(
    endpoint: NetworkEndpoint, address: str, clock: Clock, connections: ConnectionSettings
) -> CheckResult:
    context = connections.trust.context if endpoint.tls else None
    name = endpoint.host if endpoint.tls else None
    handshake_s = _HANDSHAKE_S if endpoint.tls else None
    _, writer = await asyncio.open_connection(
        address,
        endpoint.port,
        ssl=context,
        server_hostname=name,
        ssl_handshake_timeout=handshake_s,
        local_addr=connections.local_address,
    )
    try:
        if context is None:
            return ok(f"{endpoint} accepts connections, without TLS")
        connected: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = connected.getpeercert() or {}
        return certificate_result(str(certificate["notAfter"]), clock.now(), connected.version() or "TLS")
    finally:
        writer.transport.abort()


@dataclass(frozen=True, slots=True)
class PublicReply:
    """The reply of a public address."""

    status: int
    server: str
    is_empty: bool


async def check_http(notes: Notes, listen: tuple[str, int], wire: Wire) -> bool:
    """Note what answers on the daemon's HTTP address; returns whether anything does."""
    host, port = listen
    own = NetworkEndpoint(_ANY.get(host, host), port, tls=False)
    if not await _listens(host, port):
        notes.add("http", info(f"nothing listens on {own} now: start the daemon to check it"))
        return False
    request = WireRequest("GET", f"http://{own}/healthz", fresh=True)
    try:
        async with wire.open(request, private_ok=True, timeouts=_TIMEOUTS, stream=False) as reply:
            body, _ = await reply.read(_MOST_READ)
    except TransportError as error:
        notes.add("http", failure(f"{own} is held by another program: {str(error).rstrip('.')}", _FREE_THE_PORT))
    else:
        notes.add("http", health_result(body, str(own)))
    return True


async def check_callbacks(
    notes: Notes,
    public_url: str,
    listen: tuple[str, int],
    wire: Wire,
    clock: Clock,
    *,
    connections: ConnectionSettings | None = None,
) -> None:
    """Note whether a request to the public address arrives at a Tidewaiter; it cannot make a job due."""
    if not await check_public_url(notes, "callbacks", public_url, listen, clock, connections=connections):
        return
    try:
        answer = await _ask(f"{public_url}{CALLBACK_PATH}", wire)
    except TransportError as error:
        notes.add("callbacks", warning(str(error).rstrip("."), _remedy(listen)))
    else:
        notes.add("callbacks", callback_result(answer, public_url, listen))


async def check_public_url(
    notes: Notes,
    table: str,
    public_url: str,
    listen: tuple[str, int],
    clock: Clock,
    *,
    connections: ConnectionSettings | None = None,
) -> bool:
    """Note whether a public address of ours can be reached, if the daemon listens; returns whether it can.

    Args:
        notes: collects the results.
        table: the configuration table with both addresses.
        public_url: the address that others use.
        listen: where the daemon listens.
        clock: for the expiry of certificates.
        connections: how the daemon makes connections.
    """
    # Inside one's own network the public name may resolve to a private address.
    endpoint, key = NetworkEndpoint.of(public_url), f"{table}.public_url"
    if await _listens(*listen):
        return await check_endpoint(notes, endpoint, clock, private_ok=True, key=key, connections=connections)
    if connections is None or connections.proxies.through("https" if endpoint.tls else "http", endpoint.host) is None:
        await check_name(notes, endpoint, private_ok=True, key=key)
    notes.add(table, info(f"nothing listens on {table}.listen now: start the daemon to check {public_url}"))
    return False


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUTS.connect_s):
            _, writer = await asyncio.open_connection(_ANY.get(host, host), port)
    except OSError:
        return False
    writer.transport.abort()
    return True


async def _ask(url: str, wire: Wire) -> PublicReply:
    request = WireRequest("POST", url, body=b"", fresh=True)
    async with wire.open(request, private_ok=True, timeouts=_TIMEOUTS, stream=False) as reply:
        body, _ = await reply.read(_MOST_READ)
        return PublicReply(reply.status, reply.headers.get("server", ""), not body)


def health_result(body: bytes, own: str) -> CheckResult:
    """Whether the reply of the daemon's own address is a Tidewaiter's, and its status."""
    try:
        health = json.loads(body)
    except ValueError:
        health = None
    if not isinstance(health, dict) or not {"status", "phase"} <= health.keys():
        return failure(f"{own} is held by another program", _FREE_THE_PORT)
    if health["status"] != "ok":
        return failure(f"{own} answers: {health['status']}", "read the log of the daemon, and start it again")
    return ok(f"{own} answers: {health['phase']}")


def callback_result(answer: PublicReply, public_url: str, listen: tuple[str, int]) -> CheckResult:
    """Whether the reply of the public address is a Tidewaiter's, which does not know such a callback."""
    if answer.status == 404 and answer.server == _OURS:
        return ok(f"a request to {public_url} arrives at a Tidewaiter")
    if answer.status == 404 and answer.is_empty:
        return ok(f"a request to {public_url} is answered as a Tidewaiter does, through {answer.server or 'a proxy'}")
    by = f" by {answer.server}" if answer.server else ""
    return warning(f"{public_url} answers HTTP {answer.status}{by}, and not as a Tidewaiter does", _remedy(listen))


def _remedy(listen: tuple[str, int]) -> str:
    host, port = listen
    return f"let the proxy forward POST {CALLBACK_PATH}... to {NetworkEndpoint(host, port, tls=False)}"
