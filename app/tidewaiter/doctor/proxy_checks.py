"""Checks of what is reached through an HTTP proxy: the proxy, its tunnel, and the certificate at the other end."""

import asyncio
import re
import ssl
from contextlib import suppress
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.doctor.findings import CheckResult, failure, ok
from tidewaiter.doctor.network_endpoint import NetworkEndpoint, certificate_result, tls_result, words_of
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.transport.address_guard import AddressRefusedError, Guard
from tidewaiter.transport.aiohttp_errors import refused_by_proxy
from tidewaiter.transport.connection_settings import ConnectionSettings
from tidewaiter.transport.proxies import Proxy

_PATIENCE_S: Final = 20.0
_HANDSHAKE_S: Final = 10.0
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
_SIGN_IN: Final = re.compile(rb"(?im)^proxy-authenticate:(.*)$")
_OF_THE_PROXY: Final = "check network.proxy and no_proxy, and that the proxy is up and permits this host"


async def check_through_proxy(
    endpoint: NetworkEndpoint,
    proxy: Proxy,
    connections: ConnectionSettings,
    clock: Clock,
    *,
    private_ok: PermittedNetworks,
    key: str,
) -> CheckResult:
    """Whether an endpoint can be reached through a proxy, which looks its name up."""
    try:
        Guard(private_ok).check_behind_proxy(endpoint.host, endpoint.port)
    except AddressRefusedError as error:
        refusal = error.refusal
        remedy = "name it in network.no_proxy if it is meant to be there; allow_private has to permit it as well"
        return failure(f"{refusal.address} is {refusal.kind}, and no proxy is asked for it", remedy)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await _tunnel(endpoint, proxy, connections, clock)
    except ssl.SSLError as error:
        return tls_result(error, endpoint.host, key)
    except (TimeoutError, ConnectionAbortedError):
        return failure(f"{endpoint} does not answer through the proxy {proxy.url}", _OF_THE_PROXY)
    except (OSError, EOFError, asyncio.LimitOverrunError) as error:
        return failure(f"the proxy {proxy.url} does not answer: {words_of(error)}", _OF_THE_PROXY)


async def _tunnel(
    endpoint: NetworkEndpoint, proxy: Proxy, connections: ConnectionSettings, clock: Clock
) -> CheckResult:
    host, port = proxy.place
    context = connections.trust.context
    reader, writer = await asyncio.open_connection(
        host, port, ssl=context if proxy.is_tls else None, local_addr=connections.local_address
    )
    try:
        if not endpoint.tls:
            return ok(f"the proxy {proxy.url} accepts connections; {endpoint} is asked through it, without TLS")
        fields = [f"{name}: {value}" for name, value in {"Host": str(endpoint), **proxy.headers}.items()]
        writer.write("\r\n".join([f"CONNECT {endpoint} HTTP/1.1", *fields, "", ""]).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        status = _STATUS_LINE.match(head)
        if status is None:
            return failure(f"the proxy {proxy.url} does not answer as an HTTP proxy", _OF_THE_PROXY)
        if status[1] != b"200":
            wanted = ", ".join(one.decode("latin-1") for one in _SIGN_IN.findall(head))
            asked = {"proxy-authenticate": wanted}
            refusal = refused_by_proxy(f"https://{endpoint}", proxy.url, int(status[1]), asked)
            return failure(str(refusal).rstrip("."), _OF_THE_PROXY)
        await writer.start_tls(context, server_hostname=endpoint.host, ssl_handshake_timeout=_HANDSHAKE_S)
        connected: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = connected.getpeercert() or {}
        found = certificate_result(str(certificate["notAfter"]), clock.now(), connected.version() or "TLS")
        return CheckResult(found.status, f"{found.message}; through the proxy {proxy.url}", found.remedy)
    finally:
        with suppress(OSError):
            writer.transport.abort()
