"""Checks of an address: its name, its addresses, and a connection with a valid certificate."""

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from app.clock import Clock
from app.doctor.finding import Notes, Status, Verdict, failure, ok, warning
from app.domain.networks import Private
from app.transport.guard import Guard

_DAY_S: Final = 86_400.0
_FEW_DAYS: Final = 14
_CONNECT_S: Final = 15.0
_HANDSHAKE_S: Final = 10.0  # of these
_PORTS: Final = {"http": 80, "https": 443}

# https://docs.openssl.org/3.0/man1/openssl-verification-options: the codes of X509_verify_cert_error_string.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_UNKNOWN_AUTHORITY: Final = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME: Final = frozenset({62, 64})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The host and port of an address, and whether it uses TLS."""

    host: str
    port: int
    tls: bool

    @classmethod
    def of(cls, url: str) -> Self:
        """The endpoint of an http or https address."""
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        return cls(parts.hostname or "", parts.port or _PORTS[scheme], scheme == "https")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


async def look_at_endpoint(
    notes: Notes, endpoint: Endpoint, clock: Clock, *, private_ok: Private, key: str, permit: str = ""
) -> bool:
    """Note whether an endpoint can be reached and its certificate is valid; returns whether it is usable.

    Args:
        notes: take the results.
        endpoint: what is checked.
        clock: for the expiry of certificates.
        private_ok: which private addresses it may have.
        key: the configuration key of the address.
        permit: how the configuration can permit a private address, if it can.
    """
    addresses = await look_at_name(notes, endpoint, private_ok=private_ok, key=key, permit=permit)
    if not addresses:
        return False
    return notes.add("tls", await _connected(endpoint, addresses, clock, key)) is not Status.FAILURE


async def look_at_name(
    notes: Notes, endpoint: Endpoint, *, private_ok: Private, key: str, permit: str = ""
) -> Sequence[str]:
    """Note whether a name has addresses that may be reached; returns them, or none. Arguments as above."""
    try:
        addresses = await resolve(endpoint)
    except OSError as error:
        told = f"{endpoint.host} has no address: {error.strerror or 'unknown'}"
        notes.add("dns", failure(told, f"see that {key} is right, and DNS works"))
        return ()
    verdict = addresses_verdict(endpoint.host, addresses, private_ok=private_ok, permit=permit)
    if verdict.status is Status.OK and addresses == [endpoint.host]:
        return addresses  # already an address: there is no name to report
    return () if notes.add("dns", verdict) is Status.FAILURE else addresses


async def resolve(endpoint: Endpoint) -> list[str]:
    """The numeric addresses of an endpoint's host, each once; raises ``OSError`` if there are none."""
    found = await asyncio.get_running_loop().getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def addresses_verdict(host: str, addresses: Sequence[str], *, private_ok: Private, permit: str) -> Verdict:
    """Whether each of a host's addresses may be reached."""
    guard = Guard(private_ok)
    refused = next((told for one in addresses if (told := guard.refusal(one, 0)) is not None), None)
    if refused is None:
        return ok(f"{host} has the address {', '.join(addresses)}")
    if not permit or refused.permit is None:
        mend = "see that DNS gives its public address"
    elif not private_ok and refused.permit == "allow_private = true":
        mend = f"{permit}, if it is meant to be there"
    else:
        mend = "name its network in allow_private, if it is meant to be there"
    return failure(f"{host} has the address {refused.address}, {refused.kind}, to which nothing is sent", mend)


async def _connected(endpoint: Endpoint, addresses: Sequence[str], clock: Clock, key: str) -> Verdict:
    """Connect to the first address that takes a connection."""
    error: OSError = OSError("no address")
    for address in addresses:
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await _shaken_hands(endpoint, address, clock)
        except ssl.SSLError as refused:
            return tls_verdict(refused, endpoint.host, key)
        except ConnectionAbortedError:
            told = f"{endpoint} does not answer the TLS handshake"
            return failure(told, f"see that {key} is https where it should be, and that the server works")
        except OSError as failed:  # TimeoutError is one, too
            error = failed
    if isinstance(error, TimeoutError):
        told = f"{endpoint} takes no connection within {_CONNECT_S:g} s"
    else:
        told = f"{endpoint} takes no connection: {os.strerror(error.errno) if error.errno else error}"
    return failure(told, f"see that {key} is right, the server is up, and no firewall stands between")


async def _shaken_hands(endpoint: Endpoint, address: str, clock: Clock) -> Verdict:
    context = _trust() if endpoint.tls else None
    name = endpoint.host if endpoint.tls else None
    handshake_s = _HANDSHAKE_S if endpoint.tls else None
    _, writer = await asyncio.open_connection(
        address, endpoint.port, ssl=context, server_hostname=name, ssl_handshake_timeout=handshake_s
    )
    try:
        if context is None:
            return ok(f"{endpoint} takes connections, without TLS")
        shaken: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = shaken.getpeercert() or {}
        return certificate_verdict(str(certificate["notAfter"]), clock.now(), shaken.version() or "TLS")
    finally:
        writer.transport.abort()


def _trust() -> ssl.SSLContext:
    """The authorities that the daemon trusts: those of the system and of ``SSL_CERT_FILE``."""
    trust = ssl.create_default_context()
    trust.minimum_version = ssl.TLSVersion.TLSv1_2
    return trust


def certificate_verdict(not_after: str, now: float, version: str) -> Verdict:
    """For how long a valid certificate stays valid; ``now`` is epoch seconds."""
    days = int((ssl.cert_time_to_seconds(not_after) - now) // _DAY_S)
    told = f"{version}; the certificate is valid for {days:,} more day{'s' * (days != 1)}"
    if days < _FEW_DAYS:
        return warning(told, "see that the server's operator renews it in time")
    return ok(told)


def tls_verdict(error: ssl.SSLError, host: str, key: str) -> Verdict:
    """What is wrong with the certificate or the protocol, after a handshake that failed."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = (error.reason or "unknown").replace("_", " ").lower()
        mend = f"see that {key} is https where it should be, and that the server speaks TLS 1.2 or newer"
        return failure(f"the TLS handshake failed: {reason}", mend)
    code = error.verify_code
    if code == _EXPIRED:
        return failure("its certificate has expired", "the server's operator must renew it")
    if code == _NOT_YET_VALID:
        return failure("its certificate is not valid yet", "check this machine's clock, then the server's")
    if code in _OTHER_NAME:
        mend = f"write the name of the certificate into {key}, or get a certificate for this name"
        return failure(f"its certificate is not for {host}", mend)
    if code in _UNKNOWN_AUTHORITY:
        mend = "if that is right, add it to the authorities of this machine, or to a file that SSL_CERT_FILE names"
        return failure(f"its certificate is from an unknown authority ({error.verify_message})", mend)
    return failure(f"its certificate was refused: {error.verify_message}", "the server's operator must repair it")
