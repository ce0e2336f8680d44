"""AWS Signature Version 4. Only an account that signs so imports this: botocore is an extra.

botocore makes the signature. The time, the hash of the body and the canonical query are ours: botocore takes the time
from the machine, and expects a query that it has written itself.
"""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote_plus, urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.request_signing import MachineKeys, SignedRequest, SigningMoment
from tidewaiter.log.redactor import Redactor

_TIMESTAMP: Final = "%Y%m%dT%H%M%SZ"
_BODY: Final = "tidewaiter_body"
_UNRESERVED: Final = "-_.~"
_PRESIGNED: Final = frozenset({"x-amz-signature", "awsaccesskeyid"})
_OWN_HEADERS: Final = frozenset({"authorization", "x-amz-date", "x-amz-security-token"})
_S3_HEADERS: Final = frozenset({"x-amz-content-sha256"})


class Aws4Signer:
    """Signs for one service in one region. See :class:`tidewaiter.domain.request_signing.RequestSigner`.

    Args:
        key: the place of the table in the spec.
        region: such as ``eu-west-1``.
        service: as it is called in signatures.
        keys: those of the account; ``None`` for the machine's own.
        redactor: learns every signature before it is sent.
    """

    query_names: Final = frozenset[str]()
    recent_pairs: Final = ()

    def __init__(self, key: str, region: str, service: str, keys: MachineKeys | None, redactor: Redactor) -> None:
        self.key: Final = key
        self.uses_machine: Final = keys is None
        self.signed_at: float | None = None
        self._is_s3 = service.startswith("s3")
        self.header_names: Final = _OWN_HEADERS | (_S3_HEADERS if self._is_s3 else frozenset())
        self._region = region
        self._service = service
        self._keys = keys
        self._redactor = redactor

    def sign(self, request: WireRequest, moment: SigningMoment) -> SignedRequest:
        """The request with an ``Authorization``; one with a presigned URL stays as it is."""
        keys = self._keys or moment.machine
        if keys is None:
            raise ValueError("the machine's keys are missing")
        if _is_presigned(request.url):
            return SignedRequest(request)
        if self.uses_machine:
            for secret in filter(None, (keys.secret_key, keys.session_token)):
                self._redactor.add_signature(secret)
        kept = {name: value for name, value in request.headers.items() if name.lower() not in self.header_names}
        signed = AWSRequest(request.method, request.url, kept)
        signed.context.update(
            {
                "timestamp": datetime.fromtimestamp(int(moment.now), UTC).strftime(_TIMESTAMP),
                _BODY: request.body or b"",
            }
        )
        credentials = ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.session_token)
        auth = (_S3Signature if self._is_s3 else _Signature)(credentials, self._service, self._region)
        text, signature = auth.add_to(signed)
        self._redactor.add_signature(signature)
        self.signed_at = moment.now
        return SignedRequest(replace(request, headers=dict(signed.headers.items())), text)


def _is_presigned(url: str) -> bool:
    """Whether the query of an address has a signature already: a second one would be refused."""
    pairs = url.partition("#")[0].partition("?")[2].split("&")
    return any(unquote_plus(pair.partition("=")[0]).lower() in _PRESIGNED for pair in pairs)


class _Signature(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """What botocore signs, at a given time and for the bytes that are sent."""

    def add_to(self, request: Any) -> tuple[str, str]:
        """Sign a request whose context has the time; returns the text that was signed, and the signature."""
        self._modify_request_before_signing(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        signature = self.signature(text, request)
        self._inject_signature_to_request(request, signature)
        return str(text), str(signature)

    def payload(self, request: Any) -> str:
        """The hash of the body."""
        return hashlib.sha256(request.context[_BODY]).hexdigest()

    def canonical_query_string(self, request: Any) -> str:
        """The query as AWS reads it, whatever way it is written: a plus is a space."""
        query = urlsplit(request.url).query
        pairs = [pair.partition("=") for pair in query.split("&") if pair]
        return "&".join(
            f"{name}={value}" for name, value in sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
        )


class _S3Signature(_Signature, S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """The same for S3, where a path is encoded once and nothing in it is removed."""

    def _normalize_url_path(self, path: str) -> str:
        return quote(path or "/", safe="/~%")


def _encoded(text: str) -> str:
    return quote(_bytes(text), safe=_UNRESERVED)


def _bytes(text: str) -> bytes:
    return unquote_plus(text, errors="surrogateescape").encode("utf-8", "surrogateescape")
