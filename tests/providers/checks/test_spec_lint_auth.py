"""The messages about logins, OAuth 2.0, keys in bodies and the probe."""

import pytest

from tests.support.spec_samples import POLL, RESULTS, SUBMIT, faults_of

HEAD = """
name = "demo"
title = "Demo"
base_url = "https://api.example.com/v1"

[account]
server = { type = "url", help = "the server", default = "https://login.example.com" }
user = { help = "the user" }
note = { help = "a note", required = false }
password = { help = "the password", secret = true }
key = { type = "private_key", help = "the key", secret = true }
"""
TAIL = SUBMIT + POLL + RESULTS
SESSION = '[auth]\ntype = "session"\n'
LOGIN = SESSION + '[auth.login]\nurl = "/login"\ntoken = "token"\n'
CLIENT = '[auth]\ntype = "oauth2"\ntoken_url = "/token"\nclient_id = "x"\n'
SECRET = CLIENT + 'client_secret = "${account.password}"\n'
SIGNED = CLIENT + 'assertion = { key = "${account.key}" }\n'


def _faults(auth: str) -> list[str]:
    return faults_of(HEAD + auth + TAIL)


@pytest.mark.parametrize(
    "auth",
    [
        LOGIN,
        LOGIN.replace('"/login"', '"${account.server}/login"') + 'form = { p = "${account.password}" }\n',
        SECRET + 'send = "form"\nscope = "${account.note}"\n',
        SIGNED,
        '[auth]\ntype = "body"\nname = "key"\nvalue = "${account.password}"\n',
        '[probe]\nurl = "/me"\nquery = { u = "${account.user}" }\n',
    ],
)
def test_sound_ways_to_sign_in(auth: str) -> None:
    """What the other tests break is whole."""
    assert _faults(auth) == []


@pytest.mark.parametrize(
    ("auth", "fault"),
    [
        pytest.param(SESSION, "auth.login: is missing", id="no login"),
        pytest.param(SESSION + '[auth.login]\nurl = "/login"\n', "auth.login.token: is missing", id="no token"),
        pytest.param(LOGIN + "token_at = 1\n", "auth.login.token_at: unknown key (there are: auth, base, basic, "
            "expires_at, expires_in, form, headers, json, jwt, keep, method, multipart, query, reply, rules, text, "
            "token, url)", id="key of a login"),
        pytest.param(LOGIN.replace('"/login"', '"login"'),
            "auth.login.url: must begin with / or with ${account.NAME}, a setting of type url", id="url"),
        pytest.param(LOGIN.replace('"/login"', '"https://login.example.com"'),
            "auth.login.url: must begin with / or with ${account.NAME}, a setting of type url", id="fixed url"),
        pytest.param(LOGIN.replace('"/login"', '"${account.user}/login"'),
            "auth.login.url: begins with ${account.user}, which must be a setting of type url", id="url of text"),
        pytest.param(LOGIN.replace('"/login"', '"/${account.note}"'),
            "auth.login.url: refers to ${account.note}, which may be missing; here it must not be", id="optional"),
        pytest.param(LOGIN.replace('"/login"', '"/${job.id}"'),
            "auth.login.url: refers to ${job.id}, but there is no job here, only the account", id="job in a login"),
        pytest.param(LOGIN + 'form = { p = "${account.pasword}" }\n',
            "auth.login.form.p: refers to ${account.pasword}, but there is no such setting (there are: server, user, "
            "note, password, key)", id="unknown setting"),
        pytest.param(LOGIN + 'rules = [{ status = 400, then = "failed" }]\n',
            "auth.login.rules[0].then: must be 'refused', 'throttled' or 'retry'", id="meaning for a login"),
        pytest.param(LOGIN + 'method = "DELETE"\n', "auth.login.method: must be 'GET', 'POST' or 'PUT'", id="method"),
        pytest.param(LOGIN + 'method = "GET"\nform = {}\n', "auth.login: a GET request has no body", id="GET"),
        pytest.param(SESSION + 'place = {}\nlogin = { url = "/login", token = "t" }\n',
            "auth.place: needs either header or query", id="no place"),
        pytest.param(SESSION + 'place = { header = "A", query = "b" }\nlogin = { url = "/login", token = "t" }\n',
            "auth.place: needs either header or query", id="two places"),
        pytest.param(SESSION + 'place = { query = "b", prefix = "c" }\nlogin = { url = "/login", token = "t" }\n',
            "auth.place: prefix belongs to header", id="prefix in a query"),
        pytest.param(LOGIN + '[[auth.renew]]\nthen = "retry"\n',
            "auth.renew[0].then: unknown key (there are: header, json, status, text)", id="key of a condition"),
        pytest.param(SESSION + 'renew = []\nlogin = { url = "/login", token = "t" }\n',
            "auth.renew: must not be empty", id="no condition"),
        pytest.param(SESSION + 'lifetime_s = 0\nlogin = { url = "/login", token = "t" }\n',
            "auth.lifetime_s: input should be greater than 0", id="lifetime"),
        pytest.param(CLIENT, "auth: needs either client_secret or assertion", id="no proof"),
        pytest.param(SECRET + 'assertion = { key = "${account.key}" }\n',
            "auth: needs either client_secret or assertion", id="two proofs"),
        pytest.param(SIGNED + 'send = "form"\n',
            "auth: send is for the client_secret, and there is none", id="send without a secret"),
        pytest.param(SECRET.replace('"/token"', '"token"'),
            "auth.token_url: must begin with / or with ${account.NAME}, a setting of type url", id="token_url"),
        pytest.param(SECRET.replace('"/token"', '"${account.user}"'),
            "auth.token_url: begins with ${account.user}, which must be a setting of type url", id="token_url of text"),
        pytest.param(SECRET.replace("account.password", "account.note"),
            "auth.client_secret: refers to ${account.note}, which may be missing; here it must not be", id="no secret"),
        pytest.param(SECRET + 'scope = "${handle}"\n',
            "auth.scope: refers to ${handle}, but there is no job here, only the account", id="job in a scope"),
        pytest.param(SIGNED.replace("account.key", "account.password"),
            "auth.assertion.key: must be ${account.NAME}, a setting of type private_key, and nothing else",
            id="key that is none"),
        pytest.param(SIGNED.replace('"${account.key}"', '"-----BEGIN"'),
            "auth.assertion.key: must be ${account.NAME}, a setting of type private_key, and nothing else",
            id="key in the spec"),
        pytest.param(SIGNED.replace(" }", ', algorithm = "HS256" }'),
            "auth.assertion.algorithm: must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, "
            "EdDSA", id="algorithm"),
        pytest.param(SIGNED.replace(" }", ', audience = "${account.x}" }'),
            "auth.assertion.audience: refers to ${account.x}, but there is no such setting (there are: server, user, "
            "note, password, key)", id="audience"),
        pytest.param('[auth]\ntype = "body"\nname = "key"\n', "auth.value: is missing", id="key in a body"),
        pytest.param('[probe]\nurl = "me"\n', "probe.url: must begin with /, with ${handle} or "
            "${kept.NAME}, or in a list with ${item.NAME}", id="url of a probe"),
        pytest.param('[probe]\nurl = "${handle}"\n',
            "probe.url: refers to ${handle}, but there is no job here, only the account", id="handle in a probe"),
        pytest.param('[probe]\nurl = "/me"\nheaders = { A = "${account.password}" }\n',
            "probe.headers.A: refers to ${account.password}, a secret, which only auth may, because it is kept from "
            "other origins", id="secret in a probe"),
        pytest.param('[probe]\nurl = "/me"\nrules = [{ then = "ok" }]\n',
            "probe.rules[0].then: must be 'healthy', 'unauthorized' or 'failed'", id="meaning for a probe"),
    ],
)  # fmt: skip
def test_each_message(auth: str, fault: str) -> None:
    """One mistake, one line: file, key as it stands in the file, reason."""
    assert _faults(auth) == [f"demo.toml: {fault}"]


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ('{ type = "private_key", help = "x" }', "account.a: a private_key needs secret = true"),
        (
            '{ type = "private_key", help = "x", secret = true, pattern = "x" }',
            "account.a: enum, pattern, excludes, max_length, counted and contains are for strings",
        ),
        (
            '{ type = "private_key", help = "x", secret = true, default = "x" }',
            "account.a: a secret is a string or a private_key, without default and enum",
        ),
    ],
)
def test_settings_that_are_private_keys(setting: str, fault: str) -> None:
    """They are always secret."""
    assert faults_of(HEAD + f"a = {setting}\n" + TAIL) == [f"demo.toml: {fault}"]


@pytest.mark.parametrize(
    ("example", "fault"),
    [
        (
            'step = "login"\noperation = "report"\nrequest = { url = "x" }',
            "needs an operation, unless its step is login, renew or probe, which belong to none",
        ),
        (
            'step = "poll"\nrequest = { url = "x" }',
            "needs an operation, unless its step is login, renew or probe, which belong to none",
        ),
    ],
)
def test_examples_of_logins(example: str, fault: str) -> None:
    """They belong to the account."""
    text = LOGIN + TAIL + f'[[examples]]\nname = "e"\n{example}\n'
    assert faults_of(HEAD + text) == [f"demo.toml: examples[0]: {fault}"]
