"""URLs signed in the query like S3's signature version 2, and the results of checking them."""

import base64
import hmac
import re
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import parse_qs, quote

ACCESS_KEY_ID: Final = "AKIAIOSFODNN7EXAMPLE"  # the one that Amazon's own documentation uses
_BUCKET: Final = "carma-filetransfer"
_EXPIRES: Final = re.compile("[0-9]{1,10}")


class Verdict(Enum):
    """The result of checking a signed URL."""

    GOOD = "good"
    UNSIGNED = "unsigned"
    EXPIRED = "expired"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs and checks with one key.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html (query string form). As with
    S3, the method is part of the signed text: a URL for GET does not permit HEAD.
    """

    key: bytes

    def query(self, method: str, path: str, expires: int) -> str:
        """The query string, without its question mark, that permits ``path`` until ``expires`` (epoch seconds)."""
        said = f"{method}\n\n\n{expires}\n/{_BUCKET}{path}"
        signature = base64.b64encode(hmac.digest(self.key, said.encode(), "sha1")).decode()
        return f"Expires={expires}&AWSAccessKeyId={ACCESS_KEY_ID}&Signature={quote(signature, safe='')}"

    def check(self, method: str, path_qs: str, now: float) -> Verdict:
        """Check a request by its path and query as they were sent; re-encoded bytes do not match."""
        path, _, query = path_qs.partition("?")
        expires = expiry_of(path_qs)
        if expires is None or not {"AWSAccessKeyId", "Signature"} <= parse_qs(query).keys():
            return Verdict.UNSIGNED
        if expires < now:
            return Verdict.EXPIRED
        return Verdict.GOOD if query == self.query(method, path, expires) else Verdict.MISMATCH


def expiry_of(path_qs: str) -> int | None:
    """When a signed URL expires, in epoch seconds, or ``None`` if it does not say."""
    expires = parse_qs(path_qs.partition("?")[2]).get("Expires", [""])[0]
    return int(expires) if _EXPIRES.fullmatch(expires) else None
