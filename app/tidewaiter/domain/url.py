"""URLs of a remote API, made absolute and encoded; and the secret callback URLs that submits send.

A URL that can be sent stays byte for byte, because it may be signed. A callback proves nothing: anyone who knows its
URL can cause one poll of one job. So its token is long, new for every intent to submit, and stored only as a hash.
"""

import hashlib
import re
from base64 import urlsafe_b64encode
from random import Random
from typing import Final
from urllib.parse import quote, unquote, urljoin

import idna

LONGEST_ADDRESS: Final = 65_536
"""Longer addresses are refused; signed addresses with a session token have about 10,000 characters."""

HIDDEN: Final = "[redacted]"
"""Replaces what is not shown."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SENDABLE = re.compile(r"[!-\[\]-~]*")  # printable ASCII without the backslash
_SAFE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("\\", "")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_HTTP = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@")
_PORT = re.compile(r":([0-9]*)$")
_PLAIN_HOST = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\]")
_DOTS = re.compile("[.\u3002\uff0e\uff61]")  # RFC 3490, section 3.1
_LONGEST_SHOWN = 80


class AddressError(ValueError):
    """An address cannot be used; the message is the end of a sentence, without the path and query."""


def resolve(base: str, reference: str) -> str:
    """A reference as an absolute URL that can be sent (RFC 3986, section 5).

    An absolute one stays byte for byte, because it may be signed; the query of a relative one, even an empty one, stays
    as it is. Only what cannot be sent is encoded: a host that is not ASCII by IDNA; other characters outside printable
    ASCII, spaces and backslashes as percent-encoded UTF-8.

    Args:
        base: the absolute http or https URL of the document with the reference.
        reference: as the provider wrote it; surrogates stand for bytes that are not UTF-8.

    Raises:
        AddressError: it is no http or https URL that can be sent.
    """
    text = reference.strip()
    if not text:
        raise AddressError("it is empty")
    if len(text) > LONGEST_ADDRESS:
        raise AddressError(f"it is longer than {LONGEST_ADDRESS} characters")
    if _CONTROL.search(text):
        raise AddressError("it holds a control character")
    return sendable(_absolute(base, text))


def sendable(url: str) -> str:
    """An absolute http or https URL with everything encoded that cannot be sent as it is; raises ``AddressError``."""
    parts = _HTTP.fullmatch(url)
    if parts is None:
        raise AddressError(_no_http(url))
    scheme, authority, rest = parts.groups()
    return f"{scheme}://{sendable_authority(authority)}{_encoded(rest)}"


def request_target(url: str) -> str:
    """The path and query of an absolute URL, unchanged: the request target (RFC 9112, 3.2.1)."""
    parts = _HTTP.fullmatch(url)
    target = "" if parts is None else parts[3].partition("#")[0]
    return target if target.startswith("/") else f"/{target}"


def shown_handle(handle: str) -> str:
    """A handle as it is shown to people: an address without user, query and fragment, because it may be signed.

    From any other handle only the part that looks like a query is removed.
    """
    shown = _USER.sub(rf"\1{HIDDEN}@", handle)
    end = min((at for at in (shown.find("?"), shown.find("#") if "://" in shown else -1) if at >= 0), default=-1)
    return shown if end < 0 or end == len(shown) - 1 else f"{shown[: end + 1]}{HIDDEN}"


def ascii_host(host: str) -> str:
    """A host name in ASCII; other labels are written as A-labels.

    Raises:
        AddressError: it cannot be a host name.

    Source: RFC 5891, section 4; RFC 3986, section 3.2.2 (a host may be percent-encoded UTF-8).
    """
    if _PLAIN_HOST.fullmatch(host):
        return host
    try:
        name = unquote(host, errors="strict")
        if name.isascii():
            return host
        labels = [label if label.isascii() else idna.encode(label, uts46=True).decode() for label in _DOTS.split(name)]
    except UnicodeError as error:  # an IDNAError is one
        raise AddressError(f"its host {_shown(host)} is no host name (RFC 5891): {error}") from None
    written = ".".join(labels)
    if "" in labels[:-1]:  # the last is empty where the name ends with a dot
        raise AddressError(f"its host {_shown(host)} has two dots in a row, or begins with one")
    if not _PLAIN_HOST.fullmatch(written):
        raise AddressError(f"its host {_shown(host)} holds a character that a host name cannot have")
    return written


def _absolute(base: str, text: str) -> str:
    if text[:8].lower().startswith(("http://", "https://")):
        return text
    if _SCHEME.match(text):
        raise AddressError(_no_http(text))
    parts = _HTTP.fullmatch(base)
    if parts is None:
        raise AddressError("it is relative, and there is no base address")
    scheme, authority, rest = parts.groups()
    if text.startswith("//"):
        return f"{scheme}:{text}"
    if text.startswith("/"):
        return f"{scheme}://{authority}{text}"
    asked = rest.partition("#")[0]
    if text.startswith("#"):
        return f"{scheme}://{authority}{asked}{text}"
    path = asked.partition("?")[0] or "/"
    if text.startswith("?"):
        return f"{scheme}://{authority}{path}{text}"
    # urljoin resolves the dots of a path, but drops an empty query.
    end = min(text.find(mark) % (len(text) + 1) for mark in "?#")
    return f"{scheme}://{authority}{urljoin(path, text[:end])}{text[end:]}"


def _no_http(text: str) -> str:
    scheme = _SCHEME.match(text)
    if scheme is None:
        return "it is no absolute address"
    if scheme[1].lower() in ("http", "https"):
        return "it names no host"
    return f"its scheme is {_shown(scheme[1])}, not http or https"


def sendable_authority(authority: str) -> str:
    """The part of an address between ``//`` and the path, with the host in ASCII; raises ``AddressError``."""
    user, at, place = authority.rpartition("@")
    port = _PORT.search(place)
    host = place if port is None else place[: port.start()]
    if not host:
        raise AddressError("it names no host")
    if port is not None and port[1] and not 0 < int(port[1][:8]) < 65_536:
        raise AddressError("its port is no number from 1 to 65535")
    return f"{_encoded(user)}{at}{ascii_host(host)}{'' if port is None else port[0]}"


def _encoded(text: str) -> str:
    try:
        return text if _SENDABLE.fullmatch(text) else quote(text, safe=_SAFE, errors="surrogateescape")
    except UnicodeError:
        raise AddressError("it holds a lone surrogate, which is no character") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")


# --- callback URLs ----------------------------------------------------------------------------------------------------


CALLBACK_PATH = "/callbacks/"
_CALLBACK_TOKEN_BYTES = 32
_CALLBACK_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def new_callback_token(rand: Random) -> str:
    """A token of 256 bits, in base64url (RFC 4648, section 5) without padding."""
    return urlsafe_b64encode(rand.randbytes(_CALLBACK_TOKEN_BYTES)).rstrip(b"=").decode()


def callback_url_of(public_url: str, token: str) -> str:
    """The callback URL that a submit sends; ``public_url`` has no slash at its end."""
    return f"{public_url}{CALLBACK_PATH}{token}"


def callback_hash_of(token: str) -> str | None:
    """The SHA-256 of a token in hex, which is stored in its place; ``None`` if the text cannot be a token.

    The lookup of a hash needs no comparison in constant time: its duration can at most reveal a part of the hash, and
    a token cannot be computed from its hash.
    """
    return hashlib.sha256(token.encode()).hexdigest() if _CALLBACK_TOKEN.fullmatch(token) else None
