"""Specs of accounts that sign tokens, their keys, and the claims of what they sign."""

from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.spec_samples import POLL, RESULTS, SUBMIT, provider_of
from tidewaiter.domain.http_values import Json
from tidewaiter.providers.provider import BoundAccount

HEAD = """
name = "demo"
title = "Demo"
base_url = "https://api.example.com/v1"
error = "error"

[account]
token_server = { type = "url", help = "where tokens are given", default = "https://login.example.com" }
user = { help = "who signs", default = "EXPORT" }
note = { help = "a note", required = false }
key = { type = "private_key", help = "the private key", secret = true }
password = { help = "a secret", secret = true, example = "made-up" }
"""
TAIL = SUBMIT + POLL + RESULTS
JWT = """
[auth]
type = "jwt"
key = "${account.key}"
algorithm = "ES256"
key_id = "k-1"
lifetime_s = 1200

[auth.claims]
iss = "ORG.${account.user}.SHA256:${key.sha256}"
aud = "appstoreconnect-v1"
scope = ["GET /v1/apps", "${account.note}"]
note = "${account.note}"
"""
BEARER = """
[auth]
type = "oauth2"
grant = "jwt_bearer"
token_url = "${account.token_server}/token"

[auth.assertion]
key = "${account.key}"
algorithm = "ES256"
lifetime_s = 3600
claims = { iss = "${account.user}", scope = "read", sub = "${account.note}" }
"""


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    """A private key as its file holds it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


EC_KEY = ec.generate_private_key(ec.SECP256R1())


def account_of(auth: str, **settings: Json) -> BoundAccount:
    """An account that signs as a table says."""
    return provider_of(HEAD + auth + TAIL).bind("shop", {"key": pem(EC_KEY), "password": "canary-password", **settings})


def verified(token: str) -> Mapping[str, Any]:
    """The claims of a token whose signature is good; its times are not checked."""
    claims: Mapping[str, Any] = jwt.decode(
        token,
        EC_KEY.public_key(),
        ["ES256"],
        options={"verify_exp": False, "verify_iat": False, "verify_aud": False},
    )
    return claims
