"""Verifies AWS Signature Version 4 as a server does: written from the documentation, without botocore."""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote, unquote_to_bytes


def accepts(secret: str, method: str, target: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether AWS would accept a request, ``Host`` included, as it came over the wire.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    given = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    if not given.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
        return False
    parts = dict(part.split("=", 1) for part in given["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", "))
    _, date, region, service, end = parts["Credential"].split("/")
    path, _, query = target.partition("?")
    canonical_path = path if service == "s3" else quote(path, safe="/-_.~")

    def form(text: str) -> str:
        return quote(unquote_to_bytes(text.replace("+", " ")), safe="-_.~")

    pairs = sorted((form(pair.partition("=")[0]), form(pair.partition("=")[2])) for pair in query.split("&") if pair)
    names = parts["SignedHeaders"].split(";")
    canonical = "\n".join(
        (
            method,
            canonical_path,
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{given[name]}" for name in names),
            "",
            parts["SignedHeaders"],
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{date}/{region}/{service}/{end}"
    text = "\n".join(("AWS4-HMAC-SHA256", given["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for piece in (date, region, service, end):
        key = hmac.digest(key, piece.encode(), "sha256")
    required = {"host", *(name for name in given if name.startswith("x-amz-"))}
    return required <= set(names) and hmac.compare_digest(
        hmac.new(key, text.encode(), "sha256").hexdigest(), parts["Signature"]
    )
