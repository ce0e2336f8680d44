"""Callbacks: the secret address that a submit may name, and what is kept of it.

A callback proves nothing: anyone who knows the address can make one job be polled now. So the token in it is long, new
for every intent to submit, and stored only as its hash.
"""

import hashlib
import re
from base64 import urlsafe_b64encode
from random import Random

PATH = "/callbacks/"
_TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def new_token(rand: Random) -> str:
    """A token of 256 bits, in base64url (RFC 4648, section 5) without padding."""
    return urlsafe_b64encode(rand.randbytes(_TOKEN_BYTES)).rstrip(b"=").decode()


def url_of(public_url: str, token: str) -> str:
    """The callback URL that a submit names; ``public_url`` has no slash at its end."""
    return f"{public_url}{PATH}{token}"


def hash_of(token: str) -> str | None:
    """What is stored in place of a token, its SHA-256 in hex; ``None`` where the text cannot be a token.

    The lookup of a hash needs no comparison in constant time: its duration can reveal a part of the hash at most, and
    no token can be computed from a hash.
    """
    return hashlib.sha256(token.encode()).hexdigest() if _TOKEN.fullmatch(token) else None
