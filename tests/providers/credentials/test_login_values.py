"""Values of a login's reply: where requests go with them, and what a token endpoint that lies cannot do."""

import pytest

from tests.support.spec_samples import NOW, POLL, RESULTS, SUBMIT, faults_of, job_with, provider_of, reply_of
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.outcome import Unauthorized
from tidewaiter.providers.credentials.login_replies import LoginSession, Token
from tidewaiter.providers.credentials.login_values import secret_values
from tidewaiter.providers.examples.spec_examples import run_examples
from tidewaiter.providers.provider import BoundAccount

HEAD = """
name = "demo"
title = "Demo"
base_url = "${login.instance}/data/v1"
error = "error"

[account]
mode = { help = "how", enum = ["a", "b"], default = "a" }
server = { type = "url", help = "where tokens are given", default = "https://login.example.com" }
password = { help = "the password", secret = true, example = "made-up" }

[auth]
type = "oauth2"
token_url = "${account.server}/token"
client_id = "x"
client_secret = "${account.password}"
keep = { instance = "instance_url", tenant = "user.tenant" }

[origins.instances]
url = "https://*.my.example.com"
"""
STEPS = (
    SUBMIT.replace('handle = "id"', 'handle = "id"\nheaders = { X-Tenant = "t-${login.tenant}" }')
    + POLL.replace('"/reports/${handle}"', '"/${login.tenant}/reports/${handle}"\nquery = { t = "${login.tenant}" }')
    + RESULTS
)
SPEC = HEAD + STEPS
GOOD: dict[str, Json] = {
    "access_token": "t-canary",
    "instance_url": "https://eu5.my.example.com",
    "user": {"tenant": "a/b c"},
}
KEPT = {"instance": "https://eu5.my.example.com", "tenant": "a/b c"}


def account_of(text: str = SPEC) -> BoundAccount:
    """An account whose login names its base."""
    return provider_of(text).bind("shop", {"password": "p-canary"})


def session_of(account: BoundAccount) -> LoginSession:
    """Its session."""
    assert isinstance(account.auth.session, LoginSession)
    return account.auth.session


def test_requests_follow_the_login() -> None:
    """Each value stands where the spec has it: the base as it is, encoded in a URL, as text in a header."""
    account = account_of()
    session, operation = session_of(account), account.operations["report"]
    token = session.read_login(reply_of(200, GOOD), NOW)
    assert token == Token("t-canary", NOW + 3600, NOW + 3540, KEPT)
    submit = session.completed(operation.submit(job_with(), None), token)
    assert (submit.url, submit.headers["X-Tenant"]) == ("https://eu5.my.example.com/data/v1/reports", "t-a/b c")
    poll = session.completed(operation.poll(job_with("4/2")), token)
    assert poll.url == "https://eu5.my.example.com/data/v1/a%2Fb%20c/reports/4%2F2?t=a%2Fb%20c"


def test_a_request_that_was_not_completed_reaches_nobody() -> None:
    """Before the login its host is one that cannot exist."""
    account = account_of()
    request = account.operations["report"].submit(job_with(), None)
    assert request.url == "https://instance.login.invalid/data/v1/reports"
    assert session_of(account).is_needed_by(request)
    assert account.first_url == "https://login.example.com/token"


def test_a_base_with_a_path() -> None:
    """The path of the value comes before that of the spec; a URL relative to the host has only its own."""
    account = account_of(SPEC.replace('url = "/${login.tenant}/reports/${handle}"', 'url = "${handle}"'))
    session, operation = session_of(account), account.operations["report"]
    kept = {**KEPT, "instance": "https://eu5.my.example.com/rest/e9/"}
    token = Token("t", NOW, NOW, kept)
    submit = session.completed(operation.submit(job_with(), None), token)
    assert submit.url == "https://eu5.my.example.com/rest/e9/data/v1/reports"
    poll = session.completed(operation.poll(job_with("/jobs/1")), token)
    assert poll.url == "https://eu5.my.example.com/jobs/1?t=a%2Fb%20c"
    beside = session.completed(operation.poll(job_with("/data/v10/1")), token)
    assert beside.url == "https://eu5.my.example.com/data/v10/1?t=a%2Fb%20c"
    absolute = session.completed(operation.poll(job_with("https://us1.my.example.com/jobs/1")), token)
    assert absolute.url == "https://us1.my.example.com/jobs/1?t=a%2Fb%20c"


def test_a_part_of_the_host() -> None:
    """The value may be a label of a host."""
    account = account_of(SPEC.replace('"${login.instance}/data/v1"', '"https://${login.tenant}.my.example.com/v2"'))
    session = session_of(account)
    reply = {**GOOD, "user": {"tenant": "eu5"}}
    token = session.read_login(reply_of(200, reply), NOW)
    assert isinstance(token, Token)
    submit = session.completed(account.operations["report"].submit(job_with(), None), token)
    assert submit.url == "https://eu5.my.example.com/v2/reports"


ELSEWHERE = "the login failed: its reply leads to https://{}:443, which the spec does not declare in its origins"
NO_ADDRESS = "the login failed: its reply names no address of HTTP as the base URL"


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        ("https://evil.example", ELSEWHERE.format("evil.example")),
        ("https://my.example.com", ELSEWHERE.format("my.example.com")),
        ("https://a.b.my.example.com", ELSEWHERE.format("a.b.my.example.com")),
        ("https://eu5.my.example.com.evil.example", ELSEWHERE.format("eu5.my.example.com.evil.example")),
        ("https://evil.example/.my.example.com", ELSEWHERE.format("evil.example")),
        ("https://login.example.com", ELSEWHERE.format("login.example.com")),
        ("https://instance.login.invalid", ELSEWHERE.format("instance.login.invalid")),
        ("http://eu5.my.example.com", ELSEWHERE.format("eu5.my.example.com").replace("https:", "http:").replace(
            ":443", ":80")),
        ("https://eu5.my.example.com:8443", ELSEWHERE.format("eu5.my.example.com").replace("443", "8443")),
        ("https://u:p@eu5.my.example.com", NO_ADDRESS),
        ("https://eu5.my.example.com?x=", NO_ADDRESS),
        ("https://eu5.my.example.com#", NO_ADDRESS),
        ("https://evil.example\\.my.example.com", NO_ADDRESS),
        ("eu5.my.example.com", NO_ADDRESS),
        ("javascript:alert(1)", NO_ADDRESS),
        ("//eu5.my.example.com", NO_ADDRESS),
        ("", "the login failed: its reply has no instance"),
        (None, "the login failed: its reply has no instance"),
        ([], "the login failed: its reply has no instance"),
        ("https://" + "a" * 2000 + ".my.example.com",
            "the login failed: its reply has a value instance that is too long, or no plain text"),
        ("https://eu5.my.example.com\r\nX: y",
            "the login failed: its reply has a value instance that is too long, or no plain text"),
        ("https://\u0435u5.my.example.com",
            "the login failed: its reply has a value instance that is too long, or no plain text"),
    ],
)  # fmt: skip
def test_a_token_endpoint_that_lies(instance: Json, reason: str) -> None:
    """The token goes to a declared origin or nowhere."""
    read = session_of(account_of()).read_login(reply_of(200, {**GOOD, "instance_url": instance}), NOW)
    assert read == Unauthorized(reason)


@pytest.mark.parametrize("tenant", ["", None, "..", ".", "a\nb", "x" * 1025, {}])
def test_a_value_that_cannot_be_used(tenant: Json) -> None:
    """The login failed; no request is made with half a path."""
    read = session_of(account_of()).read_login(reply_of(200, {**GOOD, "user": {"tenant": tenant}}), NOW)
    assert isinstance(read, Unauthorized)


def test_what_is_not_shown() -> None:
    """All but addresses: a reply to a login may hold more than one secret."""
    assert secret_values(KEPT) == {"a/b c"}
    assert "a/b c" not in repr(Token("t", NOW, NOW, KEPT))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("[origins.instances]\nurl = \"https://*.my.example.com\"\n", "",
            "base_url: refers to ${login.instance}, which the login's reply chooses, so the table origins must declare "
            "to which addresses it may lead"),
        ("${login.instance}", "${login.instanc}",
            "base_url: refers to ${login.instanc}, but the login keeps no such value (there are: instance, tenant)"),
        ('"t-${login.tenant}" }', '"t" }\njson = { a = "${login.tenant}" }', "operations.report.submit.json.a: refers "
            "to ${login.tenant}, which only base_url, url, query and headers may"),
        ('[operations.report.results]\n', '[operations.report.results]\nlabel = "${login.tenant}"\n',
            "operations.report.results.label: refers to ${login.tenant}, which only base_url, url, query and headers "
            "may"),
        ("https://*.my.example.com", "https://${login.tenant}",
            "origins.instances.url: refers to ${login.tenant}, which only base_url, url, query and headers may"),
        ('token_url = "${account.server}/token"', 'token_url = "/${login.tenant}"',
            "auth.token_url: refers to a value of the login, which was not sent yet"),
        ("[auth]\n", '[[auth]]\nwhen = { mode = "b" }\ntype = "none"\n\n[[auth]]\n',
            "auth: has variants without a login, which bring no values ${login.NAME}"),
        ("keep = {", 'keep = { Up = "x",', "auth.keep.Up: does not match the pattern ^[a-z][a-z0-9_]*$"),
        ("keep = {", 'keep = { x = "[",', None),
    ],
)  # fmt: skip
def test_each_message(old: str, new: str, fault: str | None) -> None:
    """One mistake, one line: file, key, reason."""
    assert faults_of(SPEC) == []
    assert old in SPEC
    faults = faults_of(SPEC.replace(old, new))
    assert f"demo.toml: {fault}" in faults if fault else len(faults) == 1


EXAMPLE = """
[[examples]]
name = "submit"
operation = "report"
step = "submit"
login = { instance = "https://eu5.my.example.com", tenant = "5" }
request = { url = "https://eu5.my.example.com/data/v1/reports", headers = { X-Tenant = "t-5" } }

[[examples]]
name = "log in"
step = "login"

[examples.reply]
status = 200
json = { access_token = "t", instance_url = "https://eu5.my.example.com", user = { tenant = 5 } }

[examples.outcome]
is = "Token"
kept = { instance = "https://eu5.my.example.com" }
"""


def test_examples() -> None:
    """They give the values of the login, and compare those that it keeps."""
    assert [str(one) for one in run_examples(provider_of(SPEC + EXAMPLE)) if not one.ok] == []
