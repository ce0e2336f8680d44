"""Signatures of the Standard Webhooks convention: HMAC-SHA256 over id, time and body."""

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Final

SIGNING_KEY_PREFIX: Final = "whsec_"


_SHORTEST: Final = 24


_LONGEST: Final = 64


def keys_of(secret: str) -> tuple[bytes, ...]:
    """The keys in a text of one secret, or of several with spaces between them while a key is replaced.

    Raises:
        ValueError: one of them is not a key; the message does not repeat it.
    """
    keys = tuple(_key_of(one) for one in secret.split())
    if not keys:
        raise ValueError("is empty")
    return keys


def _key_of(secret: str) -> bytes:
    if not secret.startswith(SIGNING_KEY_PREFIX):
        raise ValueError(f"must begin with {SIGNING_KEY_PREFIX}, followed by 24 to 64 random bytes in base64")
    encoded = secret.removeprefix(SIGNING_KEY_PREFIX)
    try:
        # Some tools leave the padding out.
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"must be base64 after {SIGNING_KEY_PREFIX}, as `openssl rand -base64 32` writes it") from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"has {len(key)} bytes after {SIGNING_KEY_PREFIX} and needs {_SHORTEST} to {_LONGEST}")
    return key


def signed_headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The three headers that prove a body, with a signature by each key.

    Args:
        keys: one, or the new and the old one.
        message_id: the same in every attempt; holds no full stop.
        timestamp: epoch seconds of this attempt.
        body: exactly what is sent.
    """
    content = b".".join((message_id.encode(), str(timestamp).encode(), body))
    proofs = (b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{proof}" for proof in proofs),
    }
