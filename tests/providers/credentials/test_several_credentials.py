"""Several credentials on one request, and HTTP Basic for a login."""

import base64

import pytest

from tests.support.spec_samples import NOW, POLL, RESULTS, SUBMIT, faults_of, provider_of
from tidewaiter.domain.http_values import Credentials, Json, Link
from tidewaiter.providers.credentials.login_replies import LoginSession, Token
from tidewaiter.providers.credentials.own_credentials import OwnCredentials
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.providers.values.addresses import origin_of

HEAD = """
name = "demo"
title = "Demo"
base_url = "https://api.example.com/v1"

[account]
mode = { help = "how", enum = ["token", "key"], default = "token" }
user = { help = "the user", default = "exp:ort" }
customer = { help = "whose data", required = false }
password = { help = "the password", secret = true }
developer = { help = "the key of the application", secret = true }
key = { type = "private_key", help = "the key", secret = true, required = false }
"""
TAIL = SUBMIT + POLL + RESULTS
SEVERAL = """
[auth]
type = "several"

[[auth.of]]
type = "header"
name = "DeveloperToken"
value = "${account.developer}"

[[auth.of]]
type = "query"
name = "customer"
value = "c-1"

[[auth.of]]
when = { mode = "token" }
type = "oauth2"
token_url = "/token"
client_id = "x"
client_secret = "${account.password}"

[[auth.of]]
when = { mode = "key" }
type = "bearer"
token = "${account.password}"
"""
LOGIN = """
[auth]
type = "session"

[auth.login]
url = "/login"
token = "token"
basic = { username = "${account.user}", password = "${account.password}" }
"""


def account_of(auth: str, **settings: Json) -> BoundAccount:
    """An account whose credentials a table describes."""
    return provider_of(HEAD + auth + TAIL).bind("shop", {"password": "p-canary", "developer": "d-canary", **settings})


def test_fixed_credentials_beside_each_other() -> None:
    """All whose condition holds are on every request."""
    auth = account_of(SEVERAL, mode="key").auth
    assert auth.session is None
    assert auth.credentials == Credentials(
        {"DeveloperToken": "d-canary", "Authorization": "Bearer p-canary"}, (("customer", "c-1"),)
    )


def test_fixed_credentials_beside_a_token() -> None:
    """They go along with every token, and are not part of the login."""
    session = account_of(SEVERAL).auth.session
    assert isinstance(session, LoginSession)
    assert session.credentials(Token("t", NOW, NOW)) == Credentials(
        {"DeveloperToken": "d-canary", "Authorization": "Bearer t"}, (("customer", "c-1"),)
    )
    login = session.login(NOW, "n")
    assert "customer" not in login.url
    assert "DeveloperToken" not in login.headers


def test_all_of_them_are_removed_from_addresses() -> None:
    """A link that carries one of them is stored without it."""
    account = account_of(SEVERAL)
    own = OwnCredentials.of(account.origins, (account.auth.credentials,), account.auth.session, account.auth.redactor)
    link = Link("https://api.example.com/v1/f?customer=c-1&key=d-canary&page=2")
    assert own.link(link).url == "https://api.example.com/v1/f?page=2"
    assert origin_of(account.base_url) == own.origins.main


def test_basic_for_a_login() -> None:
    """The login has it, and no other request; what it is made to is a secret, too."""
    account = account_of(LOGIN)
    session = account.auth.session
    assert isinstance(session, LoginSession)
    credential = base64.b64encode(b"exp:ort:p-canary").decode()
    assert session.login(NOW, "n").headers["Authorization"] == f"Basic {credential}"
    assert session.credentials(Token("t", NOW, NOW)) == Credentials({"Authorization": "Bearer t"})
    assert credential in account.auth.secrets


def test_basic_for_a_login_on_a_condition() -> None:
    """Without it the login has none."""
    auth = LOGIN.replace("basic = {", 'basic = { when = { mode = "key" },')
    session = account_of(auth).auth.session
    assert isinstance(session, LoginSession)
    assert "Authorization" not in session.login(NOW, "n").headers


@pytest.mark.parametrize("auth", [SEVERAL, LOGIN])
def test_sound_specs(auth: str) -> None:
    """What the next test breaks is whole."""
    assert faults_of(HEAD + auth + TAIL) == []


@pytest.mark.parametrize(
    ("auth", "fault"),
    [
        (SEVERAL.replace('mode = "key"', 'mode = "token"'), "auth: of[2] and of[3] both set the header Authorization"),
        (SEVERAL.replace('when = { mode = "key" }\n', ""), "auth: of[2] and of[3] both set the header Authorization"),
        (SEVERAL.replace('type = "query"', 'type = "header"').replace('"customer"', '"developertoken"'),
            "auth: of[0] and of[1] both set the header Developertoken"),
        (SEVERAL + '[[auth.of]]\ntype = "query"\nname = "customer"\nvalue = "x"\n',
            "auth: of[1] and of[4] both set the field customer of the query"),
        (SEVERAL + '[[auth.of]]\ntype = "jwt"\nkey = "${account.key}"\nclaims = { a = 1 }\n'
            'place = { header = "X" }\n',
            "auth: of[2] and of[4] both have a token that is renewed; only one may"),
        (SEVERAL.replace("${account.developer}", "${account.develper}"),
            "auth.of[0].value: refers to ${account.develper}, but there is no such setting (there are: mode, user, "
            "customer, password, developer, key)"),
        (SEVERAL.replace("${account.developer}", "${account.customer}"),
            "auth.of[0].value: refers to ${account.customer}, which may be missing; here it must not be"),
        (SEVERAL.replace('mode = "key"', 'mode = "keys"'),
            "auth.of[3].when.mode: 'keys' is not among the permitted values (token, key)"),
        (SEVERAL.replace('type = "bearer"', 'type = "none"'), "auth.of[3]: type must be one of 'basic', 'bearer', "
            "'header', 'query', 'body', 'hmac', 'aws4', 'session', 'oauth2', 'jwt'"),
        ('[auth]\ntype = "several"\nof = [{ type = "bearer", token = "x" }]\n',
            "auth: of needs two or more credentials; one alone stands in auth itself"),
        (LOGIN + 'headers = { authorization = "x" }\n',
            "auth.login: basic sets the header Authorization, and headers have one, too: remove one of them"),
        (LOGIN.replace("username =", "user ="), "auth.login.basic.username: is missing"),
        (LOGIN + "auth = false\n",
            "auth.login: base and auth are not for a login, which has a url and secrets of its own"),
        (LOGIN.replace("${account.user}", "${account.customer}"),
            "auth.login.basic.username: refers to ${account.customer}, which may be missing; here it must not be"),
        (LOGIN.replace("basic = {", 'basic = { when = { mod = "key" },'),
            "auth.login.basic.when.mod: there is nothing of that name to look at (there are: mode, user, customer, "
            "password, developer, key)"),
    ],
)  # fmt: skip
def test_each_message(auth: str, fault: str) -> None:
    """One mistake, one line: file, key, reason."""
    assert f"demo.toml: {fault}" in faults_of(HEAD + auth + TAIL)
