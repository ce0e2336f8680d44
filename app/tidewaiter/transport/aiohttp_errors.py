"""Turns exceptions of aiohttp into our own errors, by what the remote may have received, without secrets."""

import os
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Final

import aiohttp

from tidewaiter.domain.http_values import field_values
from tidewaiter.transport.address_guard import AddressRefusedError
from tidewaiter.transport.wire import (
    BlockedAddressError,
    BrokenBodyError,
    LostReplyError,
    NotSentError,
    TlsError,
    TransportError,
)

MOST_FIELDS = 500
LONGEST_FIELD = 65_536
"""The most of a reply's head that is read; a Location that is signed may be longer than 8 KiB."""
_KINDS: Final = {"basic": "Basic", "digest": "Digest", "kerberos": "Kerberos", "negotiate": "Negotiate", "ntlm": "NTLM"}
_PARSER_WORDS = re.compile(r"[A-Z][A-Za-z ,/-]{3,60}(?=:|$)")

# Everything that sending a request or reading its reply raises when the outside fails. The messages of these may quote
# addresses with their query and headers with their values, so none is passed on and none stays chained visibly.
OUTSIDE_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)


def before_reply(error: Exception, place: str) -> TransportError:
    """What went wrong before a reply's headers were here.

    Args:
        error: one of :data:`OUTSIDE_ERRORS`.
        place: the remote, as :func:`tidewaiter.transport.request_urls.place_of` names it.
    """
    match error:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return NotSentError(f"Nothing was sent to {place}: the address cannot be asked over HTTP.")
        case aiohttp.ClientConnectorError():
            return _unconnected(error, place)
        case aiohttp.ConnectionTimeoutError():
            return NotSentError(f"No connection to {place} within the time allowed.")
        case aiohttp.ServerDisconnectedError():
            return LostReplyError(f"{place} closed the connection without a reply.")
        case aiohttp.ClientResponseError():
            return LostReplyError(f"{place} sent something that is not an HTTP reply{_unread(error)}.")
        case TimeoutError():
            return LostReplyError(f"{place} did not reply within the time allowed.")
        case _:
            return LostReplyError(f"The connection to {place} broke before its reply: {_words(error)}.")


def at_proxy(error: Exception, place: str, proxy: str, proxy_place: tuple[str | None, int | None]) -> NotSentError:
    """What went wrong at a proxy, or behind it, before the request itself was sent.

    Args:
        error: one of :data:`OUTSIDE_ERRORS`.
        place: the remote.
        proxy: the proxy, named in the same way.
        proxy_place: its host and port.
    """
    match error:
        case aiohttp.ClientHttpProxyError():
            return refused_by_proxy(place, proxy, error.status, error.headers)
        case aiohttp.ClientConnectorError():
            return _unconnected_by_proxy(error, place, proxy, proxy_place)
        case TimeoutError():
            return NotSentError(f"No connection to {place} through the proxy {proxy} within the time allowed.")
        case aiohttp.ServerDisconnectedError():
            return NotSentError(f"The proxy {proxy} closed the connection before it had connected to {place}.")
        case aiohttp.ClientResponseError():
            return NotSentError(f"The proxy {proxy} does not answer as an HTTP proxy.")
        case _:
            return NotSentError(f"The connection to the proxy {proxy} broke before it had connected to {place}.")


def _unconnected_by_proxy(
    error: aiohttp.ClientConnectorError, place: str, proxy: str, proxy_place: tuple[str | None, int | None]
) -> NotSentError:
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            if (error.host, error.port) == proxy_place:
                return TlsError(f"No safe connection to the proxy {proxy}: {_tls_reason(error)}.")
            return TlsError(f"No safe connection to {place} through the proxy {proxy}: {_tls_reason(error)}.")
        case aiohttp.ClientConnectorError(os_error=AddressRefusedError() as refused):
            return BlockedAddressError(f"Refused to connect to the proxy {proxy}: {refused.refusal}.")
        case aiohttp.ClientConnectorDNSError():
            return NotSentError(f"The name of the proxy {proxy} could not be resolved: {_words(error.os_error)}.")
        case aiohttp.ClientProxyConnectionError():
            return NotSentError(f"No connection to the proxy {proxy}: {_connecting(error)}.")
        case _:
            return NotSentError(f"No connection to {place} through the proxy {proxy}: {_connecting(error)}.")


def refused_by_proxy(place: str, proxy: str, status: int, headers: Mapping[str, str] | None) -> NotSentError:
    """A proxy passes nothing on; what it says beside its status is not repeated, because it may be anything.

    ``headers`` may name the kinds of sign-in that it wants.
    """
    match status:
        case 407:
            reason = f"HTTP 407, {_sign_in(headers)}"
        case 403:
            reason = "HTTP 403, the proxy has to permit this host"
        case 502 | 503 | 504:
            reason = f"HTTP {status}, the proxy cannot reach it"
        case _:
            reason = f"HTTP {status}"
    return NotSentError(f"The proxy {proxy} refuses a connection to {place} ({reason}).")


def _sign_in(headers: Mapping[str, str] | None) -> str:
    wanted = ", ".join(field_values(headers or {}, "proxy-authenticate"))
    kinds = {_KINDS[word] for word in re.findall(r"[a-z]+", wanted.lower()) if word in _KINDS}
    if not kinds or "Basic" in kinds:
        return "check network.proxy_user and network.proxy_password"
    return (
        f"it wants a sign-in by {' or '.join(sorted(kinds))}, and only Basic is supported; put a proxy on this machine "
        "before it that signs in, such as cntlm or Px, and name that one in network.proxy"
    )


def _connecting(error: aiohttp.ClientConnectorError) -> str:
    """Why a connection was not made; aiohappyeyeballs tells in its text only that binding failed."""
    if "local address" in str(error.os_error) or "attempting to bind" in str(error.os_error):
        return "nothing can be sent from network.source_address; give an address of this machine, of the same family"
    return _words(error.os_error)


def _unread(error: aiohttp.ClientResponseError) -> str:
    """Why the head of a reply could not be read, in the parser's words as far as they quote nothing of it."""
    message = error.message.partition("\n")[0]
    if message.startswith("Too many headers"):
        return f" that can be read: it has more than {MOST_FIELDS} header fields"
    if message.startswith("Got more than"):
        return f" that can be read: one of its header lines is longer than {LONGEST_FIELD} bytes"
    words = _PARSER_WORDS.match(message)
    return "" if words is None else f": {words[0].rstrip(': ')}"


def _unconnected(error: aiohttp.ClientConnectorError, place: str) -> NotSentError:
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return TlsError(f"No safe connection to {place}: {_tls_reason(error)}.")
        case aiohttp.ClientConnectorError(os_error=AddressRefusedError() as refused):
            return BlockedAddressError(f"Refused to connect to {place}: {refused.refusal}.")
        case aiohttp.ClientConnectorDNSError():
            return NotSentError(f"The name of {place} could not be resolved: {_words(error.os_error)}.")
        case _:
            return NotSentError(f"No connection to {place}: {_connecting(error)}.")


def in_body(error: Exception, place: str) -> BrokenBodyError:
    """What went wrong while a reply's body was read; arguments as for :func:`before_reply`."""
    match error:
        case TimeoutError():
            return BrokenBodyError(f"The reply of {place} stalled.")
        case aiohttp.ClientPayloadError():
            return BrokenBodyError(f"The reply of {place} is incomplete or cannot be decoded.")
        case _:
            return BrokenBodyError(f"The connection to {place} broke within its reply ({type(error).__name__}).")


def _words(error: Exception) -> str:
    # Not the text of the exception: if a body could not be written, aiohttp quotes the whole address in it.
    if isinstance(error, socket.gaierror):
        return error.strerror or "unknown"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else type(error).__name__


def _tls_reason(error: aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError) -> str:
    cause = error.args[1]
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate was refused, {cause.verify_message}"
    if isinstance(cause, ssl.SSLError) and cause.reason:
        return cause.reason.replace("_", " ").lower()
    return "the handshake failed"
