"""Logins without IO: requests, replies, token lifetimes, and the signs of an expired token."""

import base64
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.providers.credentials.login_tables import BASE, CLIENT, LOGIN, PASSWORD, account_of, session_of
from tests.support.spec_samples import NOW, reply_of
from tidewaiter.domain.http_values import Credentials, WireReply
from tidewaiter.domain.outcome import Retry, Throttled, Unauthorized
from tidewaiter.providers.credentials.login_replies import LoginSession, Token
from tidewaiter.providers.errors import SettingsError

SIGNED = """
[account.key]
type = "private_key"
help = "the private key"
secret = true

[account.algorithm]
help = "how it signs"
default = "ES384"

[auth]
type = "oauth2"
token_url = "/token"
client_id = "reader"

[auth.assertion]
key = "${account.key}"
key_id = "${account.key_id}"
algorithm = "ES384"
"""


def form_of(body: bytes | None) -> dict[str, str]:
    """The fields of a form, each once."""
    return {name: value for name, (value,) in parse_qs((body or b"").decode(), keep_blank_values=True).items()}


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    """A private key as its file holds it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_a_login() -> None:
    """A request like any other, on a connection of its own; what has no value is left out."""
    request = session_of().login(NOW, "n")
    assert (request.method, request.url, request.fresh) == ("POST", f"{BASE}/login?lang=en", True)
    assert form_of(request.body) == {"user": "export", "password": PASSWORD}
    assert request.headers == {"content-type": "application/x-www-form-urlencoded"}


def test_a_login_on_another_host() -> None:
    """A setting of type url goes in as it is, and whatever follows is percent-encoded."""
    login = LOGIN.replace('"/login"', '"${account.login_server}/t/${account.tenant}/login"')
    assert session_of(login).login(NOW, "n").url == "https://login.example.com/eu/t/a%2Fb/login?lang=en"
    bare = LOGIN.replace('"/login"', '"${account.login_server}"').replace('query = { lang = "en" }\n', "")
    assert session_of(bare).login(NOW, "n").url == "https://login.example.com/eu"


def test_an_account_with_a_login_has_no_credentials_of_its_own() -> None:
    """Before the login there is nothing to send along, and nothing of the login shows."""
    account = account_of(LOGIN)
    assert account.auth.credentials == Credentials()
    assert account.auth.secrets == frozenset({PASSWORD})
    assert PASSWORD not in repr(account)


def test_a_client_with_a_secret() -> None:
    """By HTTP Basic both are form-encoded first (RFC 6749, 2.3.1); an optional scope that is not there is left out."""
    account = account_of(CLIENT)
    assert isinstance(account.auth.session, LoginSession)
    request = account.auth.session.login(NOW, "n")
    assert (request.method, request.url) == ("POST", "https://login.example.com/eu/a%2Fb/token")
    credential = base64.b64encode(b"cli%3Aent:p%26ss+w%C3%B6rd").decode()
    assert request.headers["Authorization"] == f"Basic {credential}"
    assert form_of(request.body) == {"grant_type": "client_credentials", "resource": "a/b", "level": "3"}
    assert account.auth.secrets == frozenset({PASSWORD, credential})


def test_a_client_with_a_secret_in_the_form() -> None:
    """Where the provider wants it there."""
    request = session_of(CLIENT + 'send = "form"\n', scope="a b").login(NOW, "n")
    assert "Authorization" not in request.headers
    assert form_of(request.body) == {
        "grant_type": "client_credentials",
        "scope": "a b",
        "resource": "a/b",
        "level": "3",
        "client_id": "cli:ent",
        "client_secret": PASSWORD,
    }


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_signed_assertion(form: str) -> None:
    """The key may be PEM, line breaks and all, or a JSON Web Key; the provider can verify what was signed with it."""
    key = ec.generate_private_key(ec.SECP384R1())
    text = pem(key) if form == "pem" else jwt.algorithms.ECAlgorithm.to_jwk(key)
    session = session_of(SIGNED, key=text, key_id="k-1")
    request = session.login(NOW, "nonce-1")
    fields = form_of(request.body)
    assertion = fields.pop("client_assertion")
    assert fields == {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    claims = jwt.decode(assertion, key.public_key(), ["ES384"], audience=f"{BASE}/token", options={"verify_exp": False})
    assert claims == {
        "iss": "reader",
        "sub": "reader",
        "aud": f"{BASE}/token",
        "jti": "nonce-1",
        "exp": int(NOW) + 240,
    }
    assert jwt.get_unverified_header(assertion) == {"alg": "ES384", "typ": "JWT", "kid": "k-1"}


def test_assertions_differ() -> None:
    """Each is signed anew, for its own moment; without a key id there is none in it."""
    session = session_of(SIGNED, key=pem(ec.generate_private_key(ec.SECP384R1())))
    first, second = (form_of(session.login(NOW + n, f"n{n}").body)["client_assertion"] for n in (0, 1))
    assert first != second
    assert "kid" not in jwt.get_unverified_header(first)


def test_the_audience_may_be_told() -> None:
    """Where the provider is known by another name than its token URL."""
    session = session_of(SIGNED + 'audience = "urn:x"\n', key=pem(ec.generate_private_key(ec.SECP384R1())))
    claims = jwt.decode(form_of(session.login(NOW, "n").body)["client_assertion"], options={"verify_signature": False})
    assert claims["aud"] == "urn:x"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("made-up", "account shop: key: is no private key for ES384"),
        ("{}", "account shop: key: is no JSON Web Key for ES384"),
        ("rsa", "account shop: key: is no private key for ES384"),
    ],
)
def test_a_key_that_cannot_sign(key: str, reason: str) -> None:
    """It is found when the account is bound, at the setting that holds it, and nothing of it is quoted."""
    text = pem(rsa.generate_private_key(65537, 2048)) if key == "rsa" else key
    with pytest.raises(SettingsError) as raised:
        account_of(SIGNED, key=text)
    assert str(raised.value) == reason


def test_an_algorithm_that_is_a_setting() -> None:
    """Then it is checked with the key."""
    auth = SIGNED.replace('algorithm = "ES384"', 'algorithm = "${account.algorithm}"')
    key = pem(ec.generate_private_key(ec.SECP384R1()))
    assert session_of(auth, key=key).login(NOW, "n").body
    with pytest.raises(SettingsError, match="account shop: key: 'HS256' is none of the algorithms RS256, RS384"):
        account_of(auth, key=key, algorithm="HS256")


# --- what comes back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (reply_of(200, {"token": " t-1 "}), "t-1"),
        (reply_of(201, {"token": 5}), "5"),
        (reply_of(204, b"", x_token="t-2"), "t-2"),
        (reply_of(200, b"aaa.bbb.ccc"), "aaa.bbb.ccc"),
    ],
)
def test_where_a_token_stands(reply: WireReply, value: str) -> None:
    """In JSON, in a header, or as the body itself."""
    token = session_of().read_login(reply, NOW)
    assert token == Token(value, NOW + 900, NOW + 840)
    assert value not in repr(token)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (reply_of(401), Unauthorized("the login failed: HTTP 401")),
        (
            reply_of(403, {"error": {"message": f"{PASSWORD} is wrong"}}),
            Unauthorized("the login failed: HTTP 403: [redacted] is wrong"),
        ),
        (reply_of(400, b"who?"), Unauthorized("the login failed: HTTP 400: who?")),
        (reply_of(404), Unauthorized("the login failed: HTTP 404")),
        (reply_of(429, b"", retry_after="7"), Throttled("the login failed: HTTP 429", 7.0)),
        (reply_of(503), Throttled("the login failed: HTTP 503")),
        (reply_of(408), Retry("the login failed: HTTP 408")),
        (reply_of(502, b"<html>bad gateway"), Retry("the login failed: HTTP 502: <html>bad gateway")),
        (reply_of(302, b"", location="https://elsewhere.example.com"), Retry("the login failed: HTTP 302")),
        (reply_of(200, {"accessToken": "s3cret"}), Unauthorized("the login failed: HTTP 200, without a token")),
        (reply_of(200, {"token": "two words"}), Unauthorized("the login failed: HTTP 200, without a token")),
        (reply_of(200, {"token": True}), Unauthorized("the login failed: HTTP 200, without a token")),
        (reply_of(200, {"token": "t" * 16_385}), Unauthorized("the login failed: HTTP 200, without a token")),
        (
            reply_of(200, {"error": {"message": "no such user"}}),
            Unauthorized("the login failed: HTTP 200: no such user, without a token"),
        ),
        (reply_of(200), Retry("the login failed: HTTP 200, without a token")),
        (reply_of(200, b"<html>soon s3cret"), Retry("the login failed: HTTP 200, without a token")),
        (reply_of(200, b'{"tok'), Retry("the login failed: HTTP 200, without a token")),
    ],
)
def test_a_login_that_fails(reply: WireReply, outcome: object) -> None:
    """A refusal is the account's; what a proxy may have said is not; and a 2xx is never quoted."""
    assert session_of().read_login(reply, NOW) == outcome


def test_rules_of_a_login() -> None:
    """They speak first, a status of the provider's own choosing included."""
    rules = """
rules = [
    { json = "success == `false`", then = "refused" },
    { status = 400, text = "slow down", then = "throttled" },
    { status = 401, text = "moment", then = "retry" },
]
"""
    session = session_of(LOGIN + rules)
    outcomes = [
        session.read_login(reply, NOW)
        for reply in (
            reply_of(200, {"success": False, "token": "t"}),
            reply_of(400, b"slow down"),
            reply_of(401, b"a moment"),
            reply_of(401, b"no"),
        )
    ]
    assert [type(one) for one in outcomes] == [Unauthorized, Throttled, Retry, Unauthorized]


def test_the_errors_of_a_token_endpoint() -> None:
    """What RFC 6749 calls them, whatever the provider's other errors look like."""
    reply = reply_of(400, {"error": "invalid_client", "error_description": "unknown key"})
    assert session_of(CLIENT).read_login(reply, NOW) == Unauthorized("the login failed: HTTP 400: unknown key")
    reply = reply_of(400, {"error": "invalid_scope"})
    assert session_of(CLIENT).read_login(reply, NOW) == Unauthorized("the login failed: HTTP 400: invalid_scope")


def test_the_reply_of_a_token_endpoint() -> None:
    """Token and life stand where RFC 6749 says."""
    token = session_of(CLIENT).read_login(reply_of(200, {"access_token": "t", "expires_in": 300}), NOW)
    assert token == Token("t", NOW + 300, NOW + 240)
