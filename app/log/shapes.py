"""Finds what looks like a credential, known or not: in URLs, in header lines, in JSON."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Final

from app.patterns import compile_bytes

REDACTED: Final = "[redacted]"
_HIDDEN: Final = REDACTED.encode()

# Names that mean a credential wherever a value follows.
_ALWAYS: Final = (
    r"signature|x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|x-goog-credential|"
    r"awsaccesskeyid|access_token|refresh_token|id_token|api_?key|client_secret|client_assertion|password"
)
# Names so common that they mean one only in a query.
_IN_QUERY: Final = r"sig|key|token"
_HEADERS: Final = r"(?:proxy-)?authorization|(?:set-)?cookie|(?:x-)?(?:[a-z]+-)*(?:token|api-?key)"

# A value ends at an encoded ampersand, too.
_QUERY_VALUE: Final = r"""(?:[^&\s"<>#%]|%+[^2&\s"<>#%]|%+2[^6&\s"<>#%])+"""
_PROSE: Final = re.compile(rb"(?:token|authentication)\b", re.IGNORECASE)


def _after_name(found: Sequence[bytes]) -> bytes:
    return found[1] + _HIDDEN


def _without_header(found: Sequence[bytes]) -> bytes:
    """A parser's message about an unexpected token is no header."""
    return found[0] if found[2] else found[1] + _HIDDEN


def _without_bearer(found: Sequence[bytes]) -> bytes:
    return found[0] if _PROSE.match(found[2]) else found[1] + _HIDDEN


def _without_basic(found: Sequence[bytes]) -> bytes:
    """``Basic`` followed by credentials, which unlike prose are the Base64 of a text with a colon (RFC 7617)."""
    try:
        is_credential = b":" in base64.b64decode(found[2], validate=True)
    except binascii.Error:
        is_credential = False
    return found[1] + _HIDDEN if is_credential else found[0]


# The order matters: quoted values and header lines are replaced before queries are searched in them.
_SHAPES: Final[tuple[tuple[str, Callable[[Sequence[bytes]], bytes]], ...]] = (
    (r"""\b([a-z][a-z0-9+.-]{0,20}://)[^/?#\s"'<>]*@""", lambda found: found[1] + _HIDDEN + b"@"),
    (
        rf"""(["'](?:{_ALWAYS}|token|secret)["']\s*:\s*)(?:"(?:[^"\\]|\\.)*"?|'[^']*'?)""",
        lambda found: found[1] + b'"' + _HIDDEN + b'"',
    ),
    (rf"""((?:^|[^a-z0-9_-])(unexpected\s+)?(?:{_HEADERS})["']?\s*:\s*["']?)[^"'\r\n]+""", _without_header),
    (rf"((?:^|[^a-z0-9_.-])(?:{_ALWAYS})(?:=|%3D)){_QUERY_VALUE}", _after_name),
    (rf"((?:[?&;#]|%3F|%26)(?:{_ALWAYS}|{_IN_QUERY})(?:=|%3D)){_QUERY_VALUE}", _after_name),
    (r"\b(bearer\s+)([\w.~+/=-]+)", _without_bearer),
    (r"(/callbacks/)[\w-]{8,}", _after_name),  # a provider may quote the address it was given
    (r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+", lambda _found: _HIDDEN),  # a JSON Web Token, RFC 7519
    (r"\b(basic\s+)([A-Za-z0-9+/]{4,}={0,2})", _without_basic),
)
_COMPILED: Final = tuple((compile_bytes(source), replacement) for source, replacement in _SHAPES)
# Most fields are names, states, numbers and sentences: this one expression rules them out.
_SUSPECT: Final = compile_bytes(
    rf"://|{_ALWAYS}|token|secret|cookie|authorization|api-?key|[?&;#](?:{_IN_QUERY})(?:=|%3D)|%3F|%26"
    r"|bearer\s|/callbacks/|eyJ|basic\s"
)
_URL_QUERY: Final = compile_bytes(r"""(https?:(?:\\?/){2}[^\s"'<>?]+)\?[^\s"'<>]*""")


def without_shapes(data: bytes) -> bytes:
    """UTF-8 text without what looks like a credential."""
    if _SUSPECT.found_in(data):
        for shape, replacement in _COMPILED:
            data = shape.replaced(data, replacement)
    return data


def without_queries(data: bytes) -> bytes:
    """UTF-8 text without the query of any URL: a quoted URL may be signed in a way that we do not know."""
    return _URL_QUERY.replaced(data, lambda found: found[1] + b"?" + _HIDDEN)
