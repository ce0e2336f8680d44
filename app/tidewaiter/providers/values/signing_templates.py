"""Templates of signatures: ``${...}`` for parts of a request that is complete, the time, a nonce and settings."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Final, TypeAlias

from tidewaiter.domain.http_values import Json, WireRequest
from tidewaiter.domain.request_signing import SigningMoment
from tidewaiter.domain.url import request_target
from tidewaiter.providers.values.template import TemplateError
from tidewaiter.providers.values.texts import as_text

SIGNATURE: Final = "${signature}"
_REFERENCE: Final = re.compile(r"\$\{([^{}]*)\}")
_ACCOUNT: Final = "account."
_OR: Final = "|"


@dataclass(frozen=True, slots=True)
class SigningContext:
    """What a template can refer to: the request as it is so far, when it is signed, and the signature if it is made."""

    request: WireRequest
    moment: SigningMoment
    signature: str = ""


Value: TypeAlias = Callable[[SigningContext], str]


def _path(url: str) -> str:
    return request_target(url).partition("?")[0]


def _query(url: str) -> str:
    return request_target(url).partition("?")[2]


def _sorted_query(url: str) -> str:
    query = _query(url)
    return "&".join(sorted(query.split("&"))) if query else ""


def _host(url: str) -> str:
    place = url.partition("://")[2]
    host = re.split(r"[/?#]", place, maxsplit=1)[0].lower()
    default = ":443" if url.lower().startswith("https:") else ":80"
    return host.removesuffix(default)


def _content_type(request: WireRequest) -> str:
    return next((value for name, value in request.headers.items() if name.lower() == "content-type"), "")


def _body(request: WireRequest) -> bytes:
    return request.body or b""


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _iso(now: float) -> str:
    return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


VALUES: Final[Mapping[str, tuple[Value, str]]] = {
    "request.method": (lambda of: of.request.method, "the method, in capital letters"),
    "request.url": (lambda of: of.request.url.partition("#")[0], "the whole address"),
    "request.host": (lambda of: _host(of.request.url), "host, with the port if it is not the usual one"),
    "request.path": (lambda of: _path(of.request.url), "the path as it is sent, percent-encoded"),
    "request.query": (lambda of: _query(of.request.url), "the query as it is sent, without `?`"),
    "request.sorted_query": (lambda of: _sorted_query(of.request.url), "its pairs in alphabetical order"),
    "request.target": (lambda of: request_target(of.request.url), "path and query, with `?` if there is one"),
    "request.content_type": (lambda of: _content_type(of.request), "the header field Content-Type"),
    "request.body": (lambda of: _body(of.request).decode("utf-8", "surrogateescape"), "the body, byte for byte"),
    "request.body_sha256": (
        lambda of: hashlib.sha256(_body(of.request)).hexdigest(),
        "its SHA-256 in hexadecimal, also of an empty one",
    ),
    "request.body_sha256_base64": (
        lambda of: _base64(hashlib.sha256(_body(of.request)).digest()),
        "the same in Base64",
    ),
    "request.body_md5_base64": (
        lambda of: _base64(hashlib.md5(_body(of.request), usedforsecurity=False).digest()),
        "its MD5 in Base64, as in Content-MD5",
    ),
    "time.epoch": (lambda of: str(int(of.moment.now)), "seconds since 1970"),
    "time.epoch_ms": (lambda of: str(round(of.moment.now * 1000)), "milliseconds since 1970"),
    "time.iso": (lambda of: _iso(of.moment.now), "`2026-11-29T12:00:00Z`"),
    "time.http": (lambda of: formatdate(int(of.moment.now), usegmt=True), "`Sun, 29 Nov 2026 12:00:00 GMT`"),
    "nonce": (lambda of: of.moment.nonce, "32 hexadecimal digits, new for each request"),
    "signature": (lambda of: of.signature, "the signature; only in `headers` and `query`"),
}
"""Every reference but those to settings, and what it is."""


def check_signing_template(text: str) -> None:
    """Raise ``TemplateError`` if a reference is not closed, or refers to nothing."""
    pieces = _REFERENCE.split(text)
    if any("${" in piece for piece in pieces[::2]):
        raise TemplateError("has a ${ without its }")
    for inner in pieces[1::2]:
        for one in _alternatives(inner):
            if not one.startswith(_ACCOUNT) and one not in VALUES:
                known = ", ".join(VALUES)
                raise TemplateError(f"refers to ${{{one}}}, which does not exist (use account.NAME, {known})")


def refers_to_signature(text: str) -> bool:
    """Whether a template refers to the signature."""
    return any("signature" in _alternatives(inner) for inner in _REFERENCE.findall(text))


def account_references(text: str) -> Iterator[str]:
    """The references to settings in a template, each as a template of its own."""
    for inner in _REFERENCE.findall(text):
        if any(one.startswith(_ACCOUNT) for one in _alternatives(inner)):
            yield f"${{{inner}}}"


def compile_signing_template(text: str, settings: Mapping[str, Json]) -> Value:
    """The function that fills a template; a setting without a value is an empty text."""
    pieces = _REFERENCE.split(text)
    parts = [_value(piece, settings) if number % 2 else _fixed(piece) for number, piece in enumerate(pieces) if piece]
    return lambda of: "".join([part(of) for part in parts])


def _value(inner: str, settings: Mapping[str, Json]) -> Value:
    for one in _alternatives(inner):
        if not one.startswith(_ACCOUNT):
            return VALUES[one][0]
        text = as_text(settings.get(one.removeprefix(_ACCOUNT)))
        if text is not None:
            return _fixed(text)
    return _fixed("")


def _fixed(text: str) -> Value:
    return lambda _of: text


def _alternatives(inner: str) -> list[str]:
    return [one.strip() for one in inner.split(_OR)]
