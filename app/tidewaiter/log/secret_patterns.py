"""Finds what must not be shown in a text: known secrets at any place, and what has the form of a credential."""

import base64
import binascii
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tidewaiter.log.decoding import Span
from tidewaiter.patterns import compile_bytes

_FEW: Final = 8
_LONGEST: Final = 4096
"""No searched string has more bytes."""
_MOST_LOST: Final = 5
"""Characters at either end of a secret that decoding may join with the text beside it."""


class KnownSecrets:
    """Finds byte strings by their first bytes.

    Args:
        key_length: how many bytes; shorter strings are never found.
    """

    def __init__(self, key_length: int) -> None:
        self._key_length = key_length
        # Values are replaced as a whole: other threads may be reading them.
        self._forms: dict[bytes, tuple[bytes, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._forms)

    def add(self, form: bytes) -> None:
        """Find this string from now on."""
        if len(form) < self._key_length:
            return
        key = form[: self._key_length]
        forms = self._forms.get(key, ())
        if form not in forms:
            self._forms[key] = tuple(sorted((*forms, form)))

    def remove(self, form: bytes) -> None:
        """Stop finding this string."""
        key = form[: self._key_length]
        left = tuple(one for one in self._forms.get(key, ()) if one != form)
        if left:
            self._forms[key] = left
        else:
            self._forms.pop(key, None)

    def spans(self, data: bytes, *, cut: bool) -> Iterator[Span]:
        """Where the strings are in the data; if it was cut, also the beginning of a string at its end."""
        length, forms = self._key_length, self._forms
        for at in [at for at in range(len(data) - length + 1) if data[at : at + length] in forms]:
            size = _length_at(forms.get(data[at : at + length], ()), data, at, cut=cut)
            if size:
                yield at, at + size


def _length_at(forms: tuple[bytes, ...], data: bytes, at: int, *, cut: bool) -> int:
    """The length of the longest of the sorted forms at this place of the data; 0 if there is none."""
    text = data[at : at + max(map(len, forms), default=0)] if len(forms) < _FEW else data[at : at + _LONGEST]
    if cut and at + len(text) == len(data):
        after = bisect_left(forms, text)
        if after < len(forms) and forms[after].startswith(text):
            return len(text)
    # A form that is a prefix of the text sorts before the text, and everything between them has the same prefix.
    while (before := bisect_right(forms, text)) > 0:
        nearest = forms[before - 1]
        if text.startswith(nearest):
            return len(nearest)
        text = text[: _in_common(nearest, text)]
    return 0


def _in_common(one: bytes, other: bytes) -> int:
    """The length of the common prefix of two strings."""
    sizes = range(1, min(len(one), len(other)) + 1)
    return bisect_left(sizes, 1, key=lambda size: one[:size] != other[:size])


def shortened_forms(form: bytes, shortest: int) -> Iterator[bytes]:
    """A form, and what is left of it when decoding joins some characters of either end with other text."""
    for lost in range(_MOST_LOST + 1):
        if len(form) - lost >= shortest:
            yield form[lost:]
            yield form[: len(form) - lost]


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
_CREDENTIALS: Final[tuple[tuple[str, Callable[[Sequence[bytes]], bytes]], ...]] = (
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
_COMPILED: Final = tuple((compile_bytes(source), replacement) for source, replacement in _CREDENTIALS)
# Most fields are names, states, numbers and sentences: this one expression rules them out.
_SUSPECT: Final = compile_bytes(
    rf"://|{_ALWAYS}|token|secret|cookie|authorization|api-?key|[?&;#](?:{_IN_QUERY})(?:=|%3D)|%3F|%26"
    r"|bearer\s|/callbacks/|eyJ|basic\s"
)
_URL_QUERY: Final = compile_bytes(r"""(https?:(?:\\?/){2}[^\s"'<>?]+)\?[^\s"'<>]*""")


def without_credentials(data: bytes) -> bytes:
    """UTF-8 text without what looks like a credential."""
    if _SUSPECT.found_in(data):
        for shape, replacement in _COMPILED:
            data = shape.replaced(data, replacement)
    return data


def without_queries(data: bytes) -> bytes:
    """UTF-8 text without the query of any URL: a quoted URL may be signed in a way that we do not know."""
    return _URL_QUERY.replaced(data, lambda found: found[1] + b"?" + _HIDDEN)
