"""The grant `refresh_token`: what a spec may say, the request, and the refresh token of the reply."""

import base64
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.spec_samples import NOW, POLL, RESULTS, SUBMIT, faults_of, provider_of, reply_of
from tidewaiter.domain.http_values import WireReply
from tidewaiter.providers.credentials.login_replies import LoginSession, RefreshGrant, Token

HEAD = """
name = "demo"
title = "Demo"
base_url = "https://api.example.com/v1"

[account.password]
help = "the client's secret"
secret = true

[account.login]
help = "what a person's login gave"
secret = true

[account.plain]
help = "no secret"
required = false
"""
PUBLIC = """
[auth]
type = "oauth2"
grant = "refresh_token"
token_url = "/token"
client_id = "public"
refresh_token = "${account.login}"
rotates = true
"""
SECRET = PUBLIC + 'client_secret = "${account.password}"\n'


def _session(auth: str, **settings: str) -> tuple[LoginSession, RefreshGrant]:
    provider = provider_of(HEAD + auth + SUBMIT + POLL + RESULTS)
    session = provider.bind("shop", {"password": "p&ss wörd", "login": "rt/0", **settings}).auth.session
    assert isinstance(session, LoginSession)
    assert session.refresh is not None
    return session, session.refresh


def _form(body: bytes | None) -> dict[str, str]:
    return dict(parse_qsl((body or b"").decode()))


def _pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_a_public_client() -> None:
    """It proves nothing, and only names itself."""
    session, grant = _session(PUBLIC)
    request = session.login(NOW, "n")
    assert (request.method, request.url) == ("POST", "https://api.example.com/v1/token")
    assert _form(request.body) == {"grant_type": "refresh_token", "refresh_token": "rt/0", "client_id": "public"}
    assert "Authorization" not in request.headers
    assert (grant.setting, grant.configured, grant.rotates, grant.reuse) == ("login", "rt/0", True, False)
    assert "rt/0" not in repr(session)


def test_another_refresh_token() -> None:
    """A stored token takes the place of the configured one, and the client proves itself as before."""
    _, grant = _session(SECRET + 'scope = "reports"\n')
    request = grant.login(NOW, "n", "rt 1")
    assert _form(request.body) == {"grant_type": "refresh_token", "refresh_token": "rt 1", "scope": "reports"}
    assert request.headers["Authorization"].startswith("Basic ")
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).startswith(b"public:")


def test_the_secret_in_the_form() -> None:
    """As some token endpoints want it."""
    _, grant = _session(SECRET + 'send = "form"\n')
    assert _form(grant.login(NOW, "n", "rt-1").body)["client_secret"] == "p&ss wörd"


def test_a_signed_assertion() -> None:
    """Every renewal has a new signature."""
    key = '[account.key]\ntype = "private_key"\nhelp = "the key"\nsecret = true\n'
    signed = PUBLIC + 'assertion = { key = "${account.key}", algorithm = "ES256" }\n'
    _, grant = _session(key + signed, key=_pem())
    first, second = (_form(grant.login(NOW, nonce, "rt-1").body) for nonce in "ab")
    assert first["refresh_token"] == "rt-1"
    assert first["client_assertion"] != second["client_assertion"]


@pytest.mark.parametrize(
    ("reply", "token"),
    [
        (reply_of(200, {"access_token": "at", "refresh_token": "rt-1"}), "rt-1"),
        (reply_of(200, {"access_token": "at", "refresh_token": " rt-1\n"}), "rt-1"),
        (reply_of(200, {"refresh_token": "rt-1"}), "rt-1"),
        (reply_of(200, {"access_token": "at"}), None),
        (reply_of(200, {"access_token": "at", "refresh_token": None}), None),
        (reply_of(200, {"access_token": "at", "refresh_token": ""}), None),
        (reply_of(200, {"access_token": "at", "refresh_token": ["rt-1"]}), None),
        (reply_of(200, {"access_token": "at", "refresh_token": "rt\n1"}), None),
        (reply_of(200, {"access_token": "at", "refresh_token": "r" * 20_000}), None),
        (reply_of(400, {"error": "invalid_grant", "refresh_token": "rt-1"}), None),
        (reply_of(200, b"<html>"), None),
    ],
)
def test_the_next_refresh_token(reply: WireReply, token: str | None) -> None:
    """Only of a successful reply, and only one that can be sent again."""
    assert RefreshGrant.next_token(reply) == token


def test_the_access_token() -> None:
    """It is read as that of any other grant."""
    session, _ = _session(PUBLIC)
    read = session.read_login(reply_of(200, {"access_token": "at", "expires_in": 600, "refresh_token": "rt-1"}), NOW)
    assert isinstance(read, Token)
    assert (read.value, read.expires_at) == ("at", NOW + 600)


@pytest.mark.parametrize(
    ("auth", "fault"),
    [
        pytest.param(PUBLIC.replace("rotates = true", ""),
            'auth: grant = "refresh_token" needs rotates: true if a reply may have a new refresh token that replaces '
            "the old one, false if the old one is good for ever", id="rotates"),
        pytest.param(PUBLIC.replace('refresh_token = "${account.login}"', ""),
            'auth: grant = "refresh_token" needs refresh_token = "${account.NAME}"', id="no token"),
        pytest.param(PUBLIC.replace("account.login", "account.plain"),
            "auth.refresh_token: must be ${account.NAME}, a setting with secret = true, and nothing else", id="plain"),
        pytest.param(PUBLIC.replace('"${account.login}"', '"rt-0"'),
            "auth.refresh_token: must be ${account.NAME}, a setting with secret = true, and nothing else", id="text"),
        pytest.param(PUBLIC.replace("rotates = true", "rotates = false\nreuse = true"),
            "auth: reuse is for rotates = true: without a new refresh token there is no old one", id="reuse"),
        pytest.param(PUBLIC.replace('grant = "refresh_token"\n', ""),
            "auth: needs either client_secret or assertion", id="no grant"),
        pytest.param(SECRET.replace('grant = "refresh_token"\n', ""),
            'auth: refresh_token is for grant = "refresh_token"', id="token of another grant"),
        pytest.param(PUBLIC + 'send = "form"\n',
            "auth: send is for the client_secret, and there is none", id="send"),
        pytest.param(PUBLIC.replace('"refresh_token"', '"password"', 1),
            "auth.grant: must be 'client_credentials', 'jwt_bearer' or 'refresh_token'", id="grant"),
    ],
)  # fmt: skip
def test_what_a_spec_may_not_say(auth: str, fault: str) -> None:
    """One mistake, one line: file, key, reason."""
    found = faults_of(HEAD + auth + SUBMIT + POLL + RESULTS)
    assert f"demo.toml: {fault}" in found
    assert found[0] == f"demo.toml: {fault}"
