"""Origins and named credentials in a spec: where requests go, what they carry, and what lint says."""

import base64

import pytest

from tests.support.spec_samples import NOW, POLL, RESULTS, SUBMIT, faults_of, job_with, provider_of, reply_of
from tidewaiter.domain.http_values import Credentials, Json, Link
from tidewaiter.domain.outcome import Retry, Unauthorized
from tidewaiter.domain.own_origins import DeclaredOrigin
from tidewaiter.providers.errors import SettingsError
from tidewaiter.providers.provider import BoundAccount

HEAD = """
name = "demo"
title = "Demo"
base_url = "https://api.example.com/v1"
error = "error"

[account]
files = { type = "url", help = "where the files are", default = "https://files.example.com" }
name = { help = "a name", default = "n" }
note = { help = "a note", required = false }
token = { help = "the token", secret = true }
key = { help = "another key", secret = true }

[auth]
type = "bearer"
token = "${account.token}"
"""
ORIGINS = """
[origins.files]
url = "${account.files}"

[origins.store]
url = "https://*.store.example.com"
auth = "store"

[origins.public]
url = "https://public.example.com/data"
auth = false

[auths.store]
type = "several"
of = [{ type = "basic", username = "u", password = "${account.key}" }, { type = "query", name = "k", value = "1" }]
"""
STEPS = SUBMIT + POLL + RESULTS
ELSEWHERE = SUBMIT + POLL.replace('url = "/', 'base = "public"\nauth = false\nurl = "/') + RESULTS


def account_of(text: str = ORIGINS + STEPS, **settings: Json) -> BoundAccount:
    """An account with more origins."""
    return provider_of(HEAD + text).bind("shop", {"token": "t-canary", "key": "k-canary", **settings})


def test_the_origins_of_an_account() -> None:
    """Each with its credentials; a setting may name one."""
    account = account_of(files="https://eu.example.com:8443")
    assert account.origins.main == "https://api.example.com:443"
    assert account.origins.declared == (
        DeclaredOrigin("https://eu.example.com:8443"),
        DeclaredOrigin("https://*.store.example.com:443", "store"),
        DeclaredOrigin("https://public.example.com:443", False),
    )


def test_named_credentials() -> None:
    """They are compiled like any others, and are as secret."""
    account = account_of()
    basic = base64.b64encode(b"u:k-canary").decode()
    assert account.auth.named == {"store": Credentials({"Authorization": f"Basic {basic}"}, (("k", "1"),))}
    assert account.auth.credentials == Credentials({"Authorization": "Bearer t-canary"})
    assert basic in account.auth.secrets
    assert "canary" not in repr(account)


def test_a_request_to_another_origin() -> None:
    """Its URL follows that of the origin, and it says which credentials it gets."""
    operation = account_of(ORIGINS + ELSEWHERE).operations["report"]
    request = operation.poll(job_with("a/b"))
    assert (request.url, request.auth) == ("https://public.example.com/data/reports/a%2Fb", False)
    assert (operation.submit(job_with(), None).url, operation.submit(job_with(), None).auth) == (
        "https://api.example.com/v1/reports",
        True,
    )


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://files.example.com/x", Unauthorized),
        ("https://eu.store.example.com/x", Unauthorized),
        ("https://other.example.com/x", Retry),
        ("https://a.b.store.example.com/x", Retry),
    ],
)
def test_a_refusal_of_a_declared_origin_is_the_providers(url: str, kind: type[object]) -> None:
    """It concerns the account; that of any other host does not."""
    operation = account_of().operations["report"]
    assert isinstance(operation.read_poll(job_with(), reply_of(401, b"", url), NOW), kind)


def test_credentials_are_removed_from_links_to_declared_origins() -> None:
    """As from links to the base URL: a request there gets them again."""
    account = account_of()
    own = account.operations["report"].own
    assert own.link(Link("https://eu.store.example.com/f?k=5&a=1")).url == "https://eu.store.example.com/f?a=1"
    assert own.link(Link("https://other.example.com/f?k=5&a=1")).url == "https://other.example.com/f?k=5&a=1"


def test_a_setting_within_an_origin() -> None:
    """It is a part of the host; what would be another host is no address."""
    public = ORIGINS.replace("https://public.", "https://${account.name}.")
    account = account_of(public + ELSEWHERE, name="eu-1")
    assert account.origins.declared[2].origin == "https://eu-1.example.com:443"
    assert account.operations["report"].poll(job_with("7")).url == "https://eu-1.example.com/data/reports/7"
    for hostile in ("evil.example.net/", "u@evil.example.net", "evil.example.net:443/#", "*"):
        with pytest.raises(SettingsError, match=r"origins.public: .* is not the address of one host"):
            account_of(public + ELSEWHERE, name=hostile)


def test_a_setting_cannot_stand_for_many_hosts() -> None:
    """Only the spec can."""
    with pytest.raises(SettingsError, match=r"origins.files: 'https://\*.example.com' is not the address of one host"):
        account_of(files="https://*.example.com")


def test_sound_specs() -> None:
    """What the next test breaks is whole."""
    assert faults_of(HEAD + ORIGINS + ELSEWHERE) == []


STAR = (
    "may have one * only, as the whole first label of a host with two more labels, in lower case and without path: "
    "https://*.files.example.com"
)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("https://*.store.example.com", "https://*.com", f"origins.store.url: {STAR}"),
        ("https://*.store.example.com", "https://*", f"origins.store.url: {STAR}"),
        ("https://*.store.example.com", "http://*.store.example.com", f"origins.store.url: {STAR}"),
        ("https://*.store.example.com", "https://a*.store.example.com", f"origins.store.url: {STAR}"),
        ("https://*.store.example.com", "https://*.*.example.com", f"origins.store.url: {STAR}"),
        ("https://*.store.example.com", "https://*.store.example.com/x", f"origins.store.url: {STAR}"),
        ("https://*.store.example.com", "https://*.0.0.1", f"origins.store.url: {STAR}"),
        ("https://*.store.example.com", "https://*.Store.example.com", f"origins.store.url: {STAR}"),
        ("https://public.example.com/data", "http://public.example.com",
            "origins.public.url: must begin with https:// or be ${account.NAME}, a setting of type url"),
        ("https://public.example.com/data", "https://u:p@public.example.com",
            "origins.public.url: must be an address without user name, query and fragment"),
        ("https://public.example.com/data", "https://public.example.com?x",
            "origins.public.url: must be an address without user name, query and fragment"),
        ("https://public.example.com/data", "https://${params.kind}.example.com",
            "origins.public.url: refers to ${params.kind}, but there is no job here, only the account"),
        ("https://public.example.com/data", "https://${account.token}.example.com",
            "origins.public.url: refers to ${account.token}, a secret, which only auth may, because it is kept from "
            "other origins"),
        ("https://public.example.com/data", "https://u:${account.name}@public.example.com",
            "origins.public.url: must be an address without user name, query and fragment"),
        ('"${account.files}"', '"${account.name}"',
            "origins.files.url: begins with ${account.name}, which must be a setting of type url"),
        ('"${account.files}"', '"${account.fils}"', "origins.files.url: refers to ${account.fils}, but there is no "
            "such setting (there are: files, name, note, token, key)"),
        ('auth = "store"', 'auth = "shop"', "origins.store.auth: there is no auths.shop (there are: store)"),
        ('auth = "store"\n', "", 'auths.store: is never used: name it in a request or an origin, with auth = "store"'),
        ('base = "public"', 'base = "pub"',
            "operations.report.poll.base: there is no origin 'pub' (there are: files, store, public)"),
        ('base = "public"', 'base = "store"',
            "operations.report.poll.base: store stands for many hosts, so no request can begin with it"),
        ('base = "public"\nauth = false', 'base = "public"\nauth = "x"',
            "operations.report.poll.auth: there is no auths.x (there are: store)"),
        ('base = "public"\nauth = false', 'base = "public"\nauth = true',
            "operations.report.poll.auth: must be false, or a name in the table auths; the account's own credentials "
            "are usual"),
        ('password = "${account.key}"', 'password = "${account.note}"',
            "auths.store.of[0].password: refers to ${account.note}, which may be missing; here it must not be"),
        ('{ type = "query", name = "k", value = "1" }',
            '{ type = "session", place = { header = "X" }, login = { url = "/l", token = "t" } }',
            "auths.store: of[1] has a token that is renewed, which only the table auth may have"),
        ('{ type = "query", name = "k", value = "1" }', '{ type = "header", name = "authorization", value = "1" }',
            "auths.store: of[0] and of[1] both set the header Authorization"),
    ],
)  # fmt: skip
def test_each_message(old: str, new: str, fault: str) -> None:
    """One mistake, one line: file, key, reason."""
    text = HEAD + ORIGINS + ELSEWHERE
    assert old in text
    assert f"demo.toml: {fault}" in faults_of(text.replace(old, new))


def test_a_named_login() -> None:
    """Only the account's own credentials may need a login."""
    auth = '[auths.x]\ntype = "session"\nlogin = { url = "/l", token = "t" }\n'
    fault = "auths.x: type must be one of 'basic', 'bearer', 'header', 'query', 'body', 'hmac', 'aws4', 'several'"
    assert f"demo.toml: {fault}" in faults_of(HEAD + auth + STEPS)
