"""Signs requests with an HMAC, as the spec describes it."""

import base64
import binascii
import hmac
import re
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, unquote_plus

from tidewaiter.domain.http_values import Json, WireRequest
from tidewaiter.domain.request_signing import SignedRequest, SigningMoment
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.spec.signing_spec import HmacAuth
from tidewaiter.providers.values.signing_templates import (
    SigningContext,
    Value,
    compile_signing_template,
    refers_to_signature,
)

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")
_MOST_RECENT: Final = 256


class UnusableSecretError(Exception):
    """A secret cannot be used as it is written; the message completes a sentence about it."""


@dataclass(frozen=True, slots=True)
class _Added:
    """Headers and pairs of the query that are added together."""

    headers: Mapping[str, Value]
    query: Mapping[str, Value]

    def pairs(self, of: SigningContext) -> list[tuple[str, str]]:
        """What is added to the query."""
        return [(name, value(of)) for name, value in self.query.items()]

    def to(self, request: WireRequest, of: SigningContext, pairs: Sequence[tuple[str, str]]) -> WireRequest:
        """The request with these pairs, and with the headers in place of others with their names."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in self._names()}
        # A line break would start another header.
        headers |= {name: _CONTROLS.sub(" ", value(of)) for name, value in self.headers.items()}
        return replace(request, url=_with_pairs(request.url, pairs), headers=headers)

    def _names(self) -> frozenset[str]:
        return frozenset(name.lower() for name in self.headers)


class HmacSigner:
    """Signs with one secret. See :class:`tidewaiter.domain.request_signing.RequestSigner`.

    Args:
        spec: the table of the spec.
        key: its place in the spec.
        secret: as the setting has it.
        settings: the account's values.
        redactor: learns every signature before it is sent.

    Raises:
        UnusableSecretError: the secret is not encoded as the spec says.
    """

    uses_machine: Final = False

    def __init__(self, spec: HmacAuth, key: str, secret: str, settings: Mapping[str, Json], redactor: Redactor) -> None:
        self.key: Final = key
        self.query_names: Final = frozenset(spec.query)
        self.header_names: Final = frozenset(name.lower() for name in spec.headers)
        self.signed_at: float | None = None
        self.recent_pairs: Final = deque[tuple[str, str]](maxlen=_MOST_RECENT)
        self._secret = _decoded(secret, spec.key_encoding)
        self._algorithm = spec.algorithm
        self._encoding = spec.signature_encoding
        self._text = compile_signing_template(spec.string_to_sign, settings)
        self._first = _added(spec, settings, signed=False)
        self._last = _added(spec, settings, signed=True)
        self._redactor = redactor
        self.secrets: Final = frozenset[str]() if spec.key_encoding == "text" else _derived(self._secret)

    def sign(self, request: WireRequest, moment: SigningMoment) -> SignedRequest:
        """The request with the signature of its final form."""
        bare = replace(request, url=_without_names(request.url, self.query_names))
        of = SigningContext(bare, moment)
        first = self._first.to(bare, of, pairs := self._first.pairs(of))
        text = self._text(SigningContext(first, moment))
        signature = self._signature(text)
        self._redactor.add_signature(signature)
        self.signed_at = moment.now
        of = SigningContext(first, moment, signature)
        last = self._last.pairs(of)
        self.recent_pairs.extend((*pairs, *last))
        return SignedRequest(self._last.to(first, of, last), text)

    def _signature(self, text: str) -> str:
        digest = hmac.digest(self._secret, text.encode("utf-8", "surrogateescape"), self._algorithm)
        match self._encoding:
            case "hex":
                return digest.hex()
            case "base64":
                return base64.b64encode(digest).decode("ascii")
            case "base64url":
                return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


def _added(spec: HmacAuth, settings: Mapping[str, Json], *, signed: bool) -> _Added:
    def chosen(table: Mapping[str, str]) -> dict[str, Value]:
        return {
            name: compile_signing_template(text, settings)
            for name, text in table.items()
            if refers_to_signature(text) is signed
        }

    return _Added(chosen(spec.headers), chosen(spec.query))


def _decoded(secret: str, encoding: str) -> bytes:
    try:
        match encoding:
            case "hex":
                return bytes.fromhex(secret)
            case "base64":
                text = secret.strip().translate(str.maketrans("-_", "+/")).rstrip("=")
                return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
            case _:
                return secret.encode()
    except (ValueError, binascii.Error):
        kind = {"hex": "hexadecimal digits", "base64": "Base64"}[encoding]
        raise UnusableSecretError(f"is not written in {kind}, as the provider's secrets are: copy it again") from None


def _derived(secret: bytes) -> frozenset[str]:
    """The forms of a decoded secret that another program could print."""
    try:
        return frozenset({secret.hex(), secret.decode()})
    except UnicodeDecodeError:
        return frozenset({secret.hex()})


def _without_names(url: str, names: Collection[str]) -> str:
    """``url`` without the pairs of its query that have these names, and without a fragment; the rest is unchanged."""
    address, _, _ = url.partition("#")
    before, mark, query = address.partition("?")
    if not names or not query:
        return address
    pairs = query.split("&")
    kept = [pair for pair in pairs if unquote_plus(pair.partition("=")[0]) not in names]
    return address if len(kept) == len(pairs) else f"{before}{mark if kept else ''}{'&'.join(kept)}"


def _with_pairs(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    """``url``, which has no fragment, with these pairs at the end of its query, percent-encoded."""
    if not pairs:
        return url
    more = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)
    joint = "" if url.endswith("?") else "&" if "?" in url else "?"
    return f"{url}{joint}{more}"


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="")
