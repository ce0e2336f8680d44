"""A file host like S3: signed URLs, ranges, strong ETags; it refuses and records credentials of other hosts."""

import base64
import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import formatdate
from enum import Enum
from math import ceil
from typing import ClassVar, Final
from urllib.parse import parse_qs, quote, unquote

from tidewaiter.clock import Clock
from tidewaiter.emulators.controls import FaultKind, FaultRule
from tidewaiter.emulators.emulated_replies import BodySlice, BodySource, GeneratedBody, Reply, as_body, text_reply
from tidewaiter.emulators.server import EmulatedCall, EmulatedRoute, EmulatedServer, RecordedRequest

ACCESS_KEY_ID: Final = "AKIAIOSFODNN7EXAMPLE"  # the one that Amazon's own documentation uses
_BUCKET: Final = "carma-filetransfer"
_EXPIRES: Final = re.compile("[0-9]{1,10}")


class SignatureCheck(Enum):
    """The result of checking a signed URL."""

    GOOD = "good"
    UNSIGNED = "unsigned"
    EXPIRED = "expired"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class UrlSigner:
    """Signs and checks with one key.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html (query string form). As with
    S3, the method is part of the signed text: a URL for GET does not permit HEAD.
    """

    key: bytes

    def query(self, method: str, path: str, expires: int) -> str:
        """The query string, without its question mark, that permits ``path`` until ``expires`` (epoch seconds)."""
        text = f"{method}\n\n\n{expires}\n/{_BUCKET}{path}"
        signature = base64.b64encode(hmac.digest(self.key, text.encode(), "sha1")).decode()
        return f"Expires={expires}&AWSAccessKeyId={ACCESS_KEY_ID}&Signature={quote(signature, safe='')}"

    def check(self, method: str, path_qs: str, now: float) -> SignatureCheck:
        """Check a request by its path and query as they were sent; re-encoded bytes do not match."""
        path, _, query = path_qs.partition("?")
        expires = expiry_of(path_qs)
        if expires is None or not {"AWSAccessKeyId", "Signature"} <= parse_qs(query).keys():
            return SignatureCheck.UNSIGNED
        if expires < now:
            return SignatureCheck.EXPIRED
        return SignatureCheck.GOOD if query == self.query(method, path, expires) else SignatureCheck.MISMATCH


def expiry_of(path_qs: str) -> int | None:
    """When a signed URL expires, in epoch seconds, or ``None`` if it does not say."""
    expires = parse_qs(path_qs.partition("?")[2]).get("Expires", [""])[0]
    return int(expires) if _EXPIRES.fullmatch(expires) else None


_CREDENTIAL_HEADERS: Final = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-carma-authentication-token",
        "x-api-key",
        "x-access-token",
        "x-auth-token",
        "api-key",
    }
)
_CREDENTIAL_KEYS: Final = frozenset({"access_token", "api_key", "apikey", "key", "token", "username", "password"})
_RANGE: Final = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")
_CODES: Final = {400: "InvalidArgument", 401: "AccessDenied", 403: "AccessDenied", 404: "NoSuchKey"}
_OUTAGES: Final = {500: "InternalError", 503: "SlowDown"}


@dataclass(frozen=True, slots=True)
class Violation:
    """An API's credential that reached this host; ``carrier`` says where it was, never its value."""

    at: float
    path: str
    carrier: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file and the time of its upload (epoch seconds)."""

    source: BodySource
    content_type: str
    put_at: float
    etag: str


class FileHost(EmulatedServer):
    """Serves uploaded files to callers with a signed URL.

    ``secrets`` are values that must never arrive here, in any part of a request. ``refusals`` counts S3's error codes.
    The only route is ``file``.
    """

    software: ClassVar[str] = "AmazonS3"

    def __init__(
        self,
        *,
        clock: Clock,
        secrets: Collection[str] = (),
        faults: Sequence[FaultRule] = (),
        signing_key: bytes = b"tidewaiter emulator",
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, faults=faults, port=port)
        self.files: dict[str, StoredFile] = {}
        self.refusals: Counter[str] = Counter()
        self._secrets = frozenset(secrets)
        self._signer = UrlSigner(signing_key)

    @property
    def violations(self) -> list[Violation]:
        """Every credential that arrived, whatever the reply was."""
        return [
            Violation(request.at, request.path_qs.partition("?")[0], carrier)
            for request in self.requests
            for carrier in self._leaks(request)
        ]

    def put(self, key: str, source: BodySource, content_type: str = "application/json") -> StoredFile:
        """Store a file under a key such as ``result/5004/1_result.json``, replacing one with that key."""
        stored = StoredFile(source, content_type, self.clock.now(), _etag(source))
        self.files[key] = stored
        return stored

    def signed_url(self, key: str, ttl_s: float, *, method: str = "GET") -> str:
        """The URL that permits one method on ``key`` for ``ttl_s`` seconds; a negative value makes an expired one."""
        path = f"/{quote(key)}"
        return f"{self.origin}{path}?{self._signer.query(method, path, ceil(self.clock.now() + ttl_s))}"

    def routes(self) -> Iterable[EmulatedRoute]:
        """GET and HEAD of a file."""
        return [EmulatedRoute("file", method, "/{key:.+}", self._file) for method in ("GET", "HEAD")]

    def refusal(self, status: int, message: str) -> Reply:
        """An error in the form of S3."""
        return self._error(status, _CODES.get(status, "SlowDown"), message)

    def outage(self, status: int) -> Reply:
        """S3 replies in XML even in an outage."""
        return self._error(status, _OUTAGES.get(status, "ServiceUnavailable"), "Please reduce your request rate.")

    def _leaks(self, request: RecordedRequest) -> list[str]:
        headers = [
            f"header {name}"
            for name, value in request.headers.items()
            if name.lower() in _CREDENTIAL_HEADERS or any(secret in value for secret in self._secrets)
        ]
        keys = [f"query {key}" for key in request.query if key.lower() in _CREDENTIAL_KEYS]
        url = unquote(request.path_qs)
        body = request.body.decode(errors="replace")
        values = [
            carrier
            for carrier, text in (("url", url), ("url", request.path_qs), ("body", body))
            if any(secret in text for secret in self._secrets)
        ]
        return [*headers, *keys, *values]

    def _file(self, call: EmulatedCall) -> Reply:
        request, kind = call.request, call.fault.kind
        if self._leaks(request):
            return self.refusal(400, "Only one auth mechanism allowed")
        verdict = self._signer.check(request.method, request.path_qs, request.at)
        if kind is FaultKind.LINK_EXPIRED or verdict is SignatureCheck.EXPIRED:
            return self._expired(request)
        if verdict is SignatureCheck.UNSIGNED:
            return self.refusal(403, "Access Denied")
        if verdict is SignatureCheck.MISMATCH:
            message = "The request signature we calculated does not match the signature you provided."
            return self._error(403, "SignatureDoesNotMatch", message)
        key = call.arguments["key"]
        if kind is FaultKind.GONE:
            self.files.pop(key, None)
        stored = self.files.get(key)
        if stored is None:
            return self.refusal(404, "The specified key does not exist.")
        if kind is FaultKind.CHANGED:
            stored = self.put(key, _altered(stored.source), stored.content_type)
        return self._whole(stored) if kind is FaultKind.IGNORE_RANGE else self._requested_part(stored, request)

    def _whole(self, stored: StoredFile) -> Reply:
        headers = {
            "Accept-Ranges": "bytes",
            "ETag": stored.etag,
            "Last-Modified": formatdate(stored.put_at, usegmt=True),
        }
        return Reply(200, as_body(stored.source), stored.content_type, headers)

    def _requested_part(self, stored: StoredFile, request: RecordedRequest) -> Reply:
        whole = self._whole(stored)
        found = _RANGE.fullmatch(request.headers.get("Range", ""))
        if found is None or request.headers.get("If-Range", stored.etag) != stored.etag:
            return whole  # S3 serves the whole file for ranges that it does not support
        size = whole.body.size
        first, last, suffix = found.groups()
        start = int(first) if suffix is None else max(0, size - int(suffix))
        stop = size if not last else min(size, int(last) + 1)
        if last and int(last) < int(first):
            return whole
        if start >= stop:
            error = self._error(416, "InvalidRange", "The requested range is not satisfiable")
            return replace(error, headers={**error.headers, "Content-Range": f"bytes */{size}"})
        headers = {**whole.headers, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        return replace(whole, status=206, body=BodySlice(whole.body, start, stop), headers=headers)

    def _expired(self, request: RecordedRequest) -> Reply:
        expires = expiry_of(request.path_qs) or 0
        extra = f"<Expires>{_iso(expires)}</Expires><ServerTime>{_iso(request.at)}</ServerTime>"
        return self._error(403, "AccessDenied", "Request has expired", extra)

    def _error(self, status: int, code: str, message: str, extra: str = "") -> Reply:
        self.refusals[code] += 1
        request_id = f"{self.refusals.total():016X}"
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>{message}</Message>{extra}<RequestId>{request_id}</RequestId></Error>"
        )
        return replace(text_reply(xml, "application/xml", status), headers={"x-amz-request-id": request_id})


def _etag(source: BodySource) -> str:
    if isinstance(source, bytes):
        return f'"{hashlib.md5(source, usedforsecurity=False).hexdigest()}"'
    return f'"{hashlib.sha256(repr(source).encode()).hexdigest()[:32]}"'  # the real one would read the whole body


def _altered(source: BodySource) -> BodySource:
    """Another content: bytes get one more line end, so the size changes too; a generated body keeps its size."""
    return source + b"\n" if isinstance(source, bytes) else GeneratedBody(source.size, source.seed + 1)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
