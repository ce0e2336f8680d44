"""Tokens that an account signs itself, and assertions that are a grant: without IO."""

import base64
import hashlib
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, PublicFormat

from tests.providers.signing_specs import BEARER, EC_KEY, HEAD, JWT, TAIL, account_of, pem, verified
from tests.support.spec_samples import NOW, faults_of, provider_of, reply_of
from tidewaiter.domain.http_values import Credentials, Json, WireRequest
from tidewaiter.domain.outcome import Retry, Unauthorized
from tidewaiter.providers.credentials.login_replies import LoginSession, SignedSession, Token
from tidewaiter.providers.errors import SettingsError
from tidewaiter.providers.examples.spec_examples import run_examples, uncovered_rules
from tidewaiter.providers.key_test import key_test_of


def signed_session(auth: str = JWT, **settings: Json) -> SignedSession:
    """The session of an account that signs its own tokens."""
    session = account_of(auth, **settings).auth.session
    assert isinstance(session, SignedSession)
    return session


def login_of(auth: str = BEARER, **settings: Json) -> WireRequest:
    """The login of an account at the time ``NOW``."""
    session = account_of(auth, **settings).auth.session
    assert isinstance(session, LoginSession)
    return session.login(NOW, "nonce-1")


def form_of(request: WireRequest) -> dict[str, str]:
    """The fields of a form, each once."""
    return {name: value for name, (value,) in parse_qs((request.body or b"").decode()).items()}


# --- as the token of requests -----------------------------------------------------------------------------------------


def test_a_token_of_ones_own() -> None:
    """It has the claims of the spec, the fingerprint of the public key, and times; what has no value is left out."""
    session = signed_session()
    token = session.token(NOW, "n")
    public = EC_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fingerprint = base64.b64encode(hashlib.sha256(public).digest()).decode()
    assert verified(token.value) == {
        "iss": f"ORG.EXPORT.SHA256:{fingerprint}",
        "aud": "appstoreconnect-v1",
        "scope": ["GET /v1/apps"],
        "iat": int(NOW),
        "exp": int(NOW) + 1200,
    }
    assert jwt.get_unverified_header(token.value) == {"alg": "ES256", "typ": "JWT", "kid": "k-1"}
    assert (token.expires_at, token.renew_at) == (NOW + 1200, NOW + 1140)
    assert session.credentials(token) == Credentials({"Authorization": f"Bearer {token.value}"})
    assert token.value not in repr(token)


def test_a_short_token_is_not_signed_for_every_request() -> None:
    """It is signed anew in the last fifth of its life."""
    token = signed_session(JWT.replace("1200", "20")).token(NOW, "n")
    assert token.renew_at == NOW + 16


def test_the_place_of_a_signed_token() -> None:
    """As that of any token."""
    session = signed_session(JWT.replace("key_id", 'place = { header = "X-Jwt", prefix = "v1 " }\nkey_id'))
    token = session.token(NOW, "n")
    assert session.credentials(token) == Credentials({"X-Jwt": f"v1 {token.value}"})


def test_a_signed_token_can_be_refused() -> None:
    """A reply of the provider says so; one of another host does not."""
    session = signed_session()
    assert session.rejects_token(reply_of(401, b"", "https://api.example.com/v1/x"))
    assert not session.rejects_token(reply_of(401, b"", "https://files.example.com/x"))
    assert session.refused(reply_of(401, {"error": "no"})) == Unauthorized(
        "a new token was refused as well: HTTP 401: no"
    )


def test_the_key_test_needs_no_login() -> None:
    """The doctor can try the key by the status request."""
    test = key_test_of(account_of(JWT))
    assert test is not None
    assert test.request.method == "GET"


@pytest.mark.parametrize("auth", [JWT, BEARER])
def test_a_key_for_another_algorithm(auth: str) -> None:
    """It is found when the account is bound; nothing of the key is quoted."""
    with pytest.raises(SettingsError) as raised:
        account_of(auth, key=pem(rsa.generate_private_key(65537, 2048)))
    assert str(raised.value) == "account shop: key: is no private key for ES256"


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_with_a_passphrase(form: PrivateFormat) -> None:
    """It is said what to do: nobody can type it."""
    encrypted = EC_KEY.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"made-up")).decode()
    with pytest.raises(SettingsError, match="account shop: key: is encrypted: store it without a passphrase"):
        account_of(JWT, key=encrypted)


# --- as a grant -------------------------------------------------------------------------------------------------------


def test_an_assertion_as_a_grant() -> None:
    """The form of RFC 7523, section 2.1; the subject is who the spec says, and not the client."""
    request = login_of()
    fields = form_of(request)
    assertion = fields.pop("assertion")
    assert fields == {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
    assert verified(assertion) == {
        "iss": "EXPORT",
        "scope": "read",
        "aud": "https://login.example.com/token",
        "jti": "nonce-1",
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }
    assert "Authorization" not in request.headers


def test_a_client_beside_an_assertion() -> None:
    """Where the token endpoint wants to know the client, too."""
    in_form = login_of(BEARER.replace("[auth.assertion]", 'client_id = "x"\n[auth.assertion]'))
    assert form_of(in_form)["client_id"] == "x"
    secret = 'client_id = "x"\nclient_secret = "${account.password}"\n[auth.assertion]'
    by_basic = login_of(BEARER.replace("[auth.assertion]", secret))
    assert by_basic.headers["Authorization"] == f"Basic {base64.b64encode(b'x:canary-password').decode()}"


def test_what_must_not_be_shown_of_an_assertion() -> None:
    """The whole of it, and the signature alone, are named with the request that holds them."""
    request = login_of()
    assertion = form_of(request)["assertion"]
    assert request.secrets == {assertion, assertion.rpartition(".")[2]}


def test_claims_of_a_client_assertion() -> None:
    """They stand beside the usual ones, or in their place."""
    auth = """
[auth]
type = "oauth2"
token_url = "/token"
client_id = "reader"
assertion = { key = "${account.key}", algorithm = "ES256", claims = { sub = "${account.user}", tenant = 5 } }
"""
    claims = verified(form_of(login_of(auth))["client_assertion"])
    assert claims == {
        "iss": "reader",
        "sub": "EXPORT",
        "aud": "https://api.example.com/v1/token",
        "tenant": 5,
        "jti": "nonce-1",
        "exp": int(NOW) + 240,
    }


@pytest.mark.parametrize("expires_in", [b"-5", b"0", b'"soon"', b'"NaN"', b"true", b"[]", b"null", b"9" * 400])
def test_a_token_endpoint_that_lies_about_the_end(expires_in: bytes) -> None:
    """What is no number of seconds counts as absent, and the spec's lifetime applies."""
    session = account_of(BEARER.replace('grant = "', 'lifetime_s = 900\ngrant = "')).auth.session
    assert isinstance(session, LoginSession)
    body = b'{"access_token": "t", "expires_in": %s}' % expires_in
    assert session.read_login(reply_of(200, body), NOW) == Token("t", NOW + 900, NOW + 840)


@pytest.mark.parametrize("expires_in", [b"NaN", b"Infinity", b"1e400"])
def test_a_token_endpoint_that_sends_no_json(expires_in: bytes) -> None:
    """A reply that cannot be read gives no token, and says nothing about the account."""
    session = account_of(BEARER).auth.session
    assert isinstance(session, LoginSession)
    body = b'{"access_token": "t", "expires_in": %s}' % expires_in
    assert session.read_login(reply_of(200, body), NOW) == Retry("the login failed: HTTP 200, without a token")


# --- what a spec may not say ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "fault"),
    [
        (JWT.replace('aud = "', 'exp = 5\naud = "'),
            "auth.claims: may not have exp: lifetime_s says how long a token is valid"),
        (JWT.replace("1200", "5"), "auth.lifetime_s: input should be greater than or equal to 10"),
        (JWT.replace("1200", "86400"), "auth.lifetime_s: input should be less than or equal to 3600"),
        (JWT.replace("${account.user}", "${account.usr}"), "auth.claims.iss: refers to ${account.usr}, but there is no "
            "such setting (there are: token_server, user, note, key, password)"),
        (JWT.replace("${account.user}", "${job.id}"),
            "auth.claims.iss: refers to ${job.id}, but there is no job here, only the account"),
        (JWT.replace('key = "${account.key}"', 'key = "${account.password}"'),
            "auth.key: must be ${account.NAME}, a setting of type private_key, and nothing else"),
        (JWT.replace('"ES256"', '"HS256"'), "auth.algorithm: must be one of RS256, RS384, RS512, PS256, PS384, PS512, "
            "ES256, ES384, ES512, EdDSA"),
        (JWT[: JWT.index("[auth.claims]")], "auth.claims: is missing"),
        (JWT.replace('key_id = "k-1"', 'key_id = "${key.sha256}"'),
            "auth.key_id: refers to ${key.sha256}, which only claims may"),
        (BEARER[: BEARER.index("[auth.assertion]")],
            'auth: grant = "jwt_bearer" needs assertion, the signed token that is sent'),
        (BEARER.replace('iss = "${account.user}", ', ""),
            "auth: assertion.claims needs iss, who signs; no client_id takes its place for jwt_bearer"),
        (BEARER.replace("scope =", 'aud = "x", scope ='),
            "auth.assertion: claims may not have aud: the key audience says it"),
        (BEARER.replace("scope =", 'jti = "x", scope ='),
            "auth.assertion: claims may not have jti: each assertion gets a number of its own"),
        (BEARER.replace("scope =", "iat = 1, exp = 2, scope ="),
            "auth.assertion.claims: may not have exp and iat: lifetime_s says how long a token is valid"),
        (BEARER.replace("jwt_bearer", "password"),
            "auth.grant: must be 'client_credentials', 'jwt_bearer' or 'refresh_token'"),
        (BEARER.replace("[auth.assertion]", 'client_secret = "${account.token_server}"\n[auth.assertion]'),
            "auth: client_secret needs client_id"),
        (BEARER.replace("[auth.assertion]", 'send = "form"\n[auth.assertion]'),
            "auth: send is for the client_secret, and there is none"),
        (BEARER.replace('grant = "jwt_bearer"\n', ""), "auth: needs client_id"),
    ],
)  # fmt: skip
def test_each_message(auth: str, fault: str) -> None:
    """One mistake, one line: file, key, reason, and what to write."""
    assert f"demo.toml: {fault}" in faults_of(HEAD + auth + TAIL)


# --- examples ---------------------------------------------------------------------------------------------------------


EXAMPLE = """
[[examples]]
name = "the token"
step = "login"
account = { key = '''%s''' }
claims = { iss = "%s", exp = 1700003600 }
"""


def _problems(auth: str, example: str) -> str:
    results = run_examples(provider_of(HEAD + auth + TAIL + example))
    return "\n".join(problem for one in results for problem in one.problems)


def test_an_example_compares_claims() -> None:
    """Those that it names, whatever else is signed; the signature itself differs each time."""
    assert _problems(BEARER, EXAMPLE % (pem(EC_KEY), "EXPORT")) == ""
    assert "claims.iss\n    expected: IMPORT\n    got:      EXPORT" in _problems(
        BEARER, EXAMPLE % (pem(EC_KEY), "IMPORT")
    )


def test_an_example_of_a_token_of_ones_own() -> None:
    """The same key of an example; there is no request to compare."""
    example = EXAMPLE.replace("1700003600", "1700001200") % (pem(EC_KEY), "x")
    assert "claims.iss\n    expected: x" in _problems(JWT, example)
    asked = example + 'reply = { status = 200 }\noutcome = { is = "Token" }\n'
    assert "there is no login: compare only its claims" in _problems(JWT, asked)
    assert "auth.claims" in uncovered_rules(provider_of(HEAD + JWT + TAIL))
    assert "auth.claims" not in uncovered_rules(provider_of(HEAD + JWT + TAIL + example))


def test_claims_need_a_login() -> None:
    """Only that step signs."""
    example = '\n[[examples]]\nname = "x"\noperation = "report"\nstep = "submit"\nclaims = { a = 1 }\n'
    assert "claims are those of the token that a login signs, so the step must be login" in str(
        faults_of(HEAD + JWT + TAIL + example)
    )
