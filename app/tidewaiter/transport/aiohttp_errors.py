"""Turns exceptions of aiohttp into our own errors, by what the remote may have received, without secrets."""

import os
import re
import socket
import ssl

import aiohttp

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
            return NotSentError(f"No connection to {place}: {_words(error.os_error)}.")


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
