"""Accounts that log in as a table of a spec says."""

from tests.support.spec_samples import POLL, RESULTS, SUBMIT, provider_of
from tidewaiter.domain.http_values import Json
from tidewaiter.providers.credentials.login_replies import LoginSession
from tidewaiter.providers.provider import BoundAccount

BASE = "https://api.example.com/v1"
PASSWORD = "p&ss wörd"
HEAD = """
name = "demo"
title = "Demo"
base_url = "https://api.example.com/v1"
error = "error.message"

[account]
login_server = { type = "url", help = "where tokens are given", default = "https://login.example.com/eu" }
tenant = { help = "the tenant", default = "a/b" }
user = { help = "the user", default = "export" }
password = { help = "the password", secret = true }
key_id = { help = "which key", required = false }
scope = { help = "what for", required = false }
"""
LOGIN = """
[auth]
type = "session"
lifetime_s = 900
renew_ahead_s = 60

[auth.login]
url = "/login"
query = { lang = "en" }
form = { user = "${account.user}", password = "${account.password}", hint = "${account.key_id}" }
token = ["token", { header = "X-Token" }, { text = '^\\w+\\.\\w+\\.\\w+$' }]
expires_at = ["expires", { header = "X-Expires" }]
expires_in = "expires_in"
jwt = true
"""
CLIENT = """
[auth]
type = "oauth2"
token_url = "${account.login_server}/${account.tenant}/token"
client_id = "cli:ent"
client_secret = "${account.password}"
scope = "${account.scope}"
form = { resource = "${account.tenant}", hint = "${account.key_id}", level = 3 }
"""


def account_of(auth: str, **settings: Json) -> BoundAccount:
    """An account that signs in as a table says."""
    return provider_of(HEAD + auth + SUBMIT + POLL + RESULTS).bind("shop", {"password": PASSWORD, **settings})


def session_of(auth: str = LOGIN, **settings: Json) -> LoginSession:
    """Its session."""
    session = account_of(auth, **settings).auth.session
    assert isinstance(session, LoginSession)
    return session
