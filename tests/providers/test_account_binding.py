"""Binding an account: its settings are all checked, its credentials, its limits and its backoff."""

import base64
from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from tests.providers.newsletter import TOKEN, symplify
from tests.support.spec_samples import (
    HEAD,
    POLL,
    RESULTS,
    SUBMIT,
    WHOLE,
    changed,
    job_with,
    provider_of,
    reply_of,
    with_settings,
)
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import Json
from tidewaiter.providers.errors import SettingsError
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.spec.account_overrides import LimitsOverride, ScheduleOverride
from tidewaiter.toml_table import VariableText

BASIC: dict[str, Json] = {
    "server": "https://eu.example.com/",
    "customer_id": "5004",
    "auth": "BASIC",
    "username": "us:er",
    "password": "pä'ss",
}


def _faults(settings: Mapping[str, Json], provider: Provider | None = None) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        (provider or symplify()).bind("shop", settings)
    return str(raised.value).splitlines()


def test_an_account_with_a_token() -> None:
    """The key goes into its header, the number of the account into the base URL, the secret into the redaction."""
    account = symplify().bind("shop", TOKEN)
    assert account.name == "shop"
    assert account.provider.name == "symplify"
    assert account.base_url == "https://eu.example.com/rest/5004"
    assert account.origin == "https://eu.example.com:443"
    assert account.auth.credentials.headers == {"X-Carma-Authentication-Token": "t-0123456789"}
    assert account.auth.secrets == frozenset({"t-0123456789"})
    assert "t-0123456789" not in repr(account)
    assert list(account.operations) == ["statistics"]


def test_an_account_with_http_basic() -> None:
    """RFC 7617 in UTF-8; what it makes of the password is as secret as the password."""
    account = symplify().bind("shop", BASIC)
    credential = base64.b64encode("us:er:pä'ss".encode()).decode()
    assert account.auth.credentials.headers == {"Authorization": f"Basic {credential}"}
    assert account.auth.secrets == frozenset({"pä'ss", credential})


@pytest.mark.parametrize(
    ("auth", "headers", "query"),
    [
        ('type = "none"', {}, ()),
        ('type = "bearer"\ntoken = "${account.key}"', {"Authorization": "Bearer k&y"}, ()),
        ('type = "header"\nname = "X-Key"\nvalue = "Key ${account.key}"', {"X-Key": "Key k&y"}, ()),
        ('type = "query"\nname = "api key"\nvalue = "${account.key}"', {}, (("api key", "k&y"),)),
    ],
)
def test_each_way_to_prove_an_account(auth: str, headers: object, query: object) -> None:
    """Nothing, bearer, a header of its own, the query."""
    key = 'key = { help = "k", secret = true }\n'
    provider = provider_of(HEAD + key + f"[auth]\n{auth}\n" + SUBMIT + POLL + RESULTS)
    credentials = provider.bind("shop", {"key": "k&y"}).auth.credentials
    assert credentials.headers == headers
    assert credentials.query == query


def test_every_fault_of_the_settings_comes_at_once() -> None:
    """Unknown, missing, of a wrong type, not permitted: with the account and the key."""
    assert _faults({"server": "eu.example.com", "auth": "tokn", "result": True, "colour": "red"}) == [
        "account shop: colour: unknown setting (there are: server, customer_id, auth, token, username, password, "
        "result)",
        "account shop: server: 'eu.example.com' is not an http or https address",
        "account shop: auth: 'tokn' is not permitted (permitted: token, basic)",
        "account shop: result: must be text",
        "account shop: customer_id: is missing: the number of your account",
    ]


def test_what_is_missing_depends_on_what_was_chosen() -> None:
    """A token where tokens are used, name and password where HTTP Basic is."""
    assert _faults({**TOKEN, "token": None}) == ["account shop: token: is missing where auth is token: API token"]
    assert _faults({"server": "https://eu.example.com", "customer_id": 1, "auth": "basic"}) == [
        "account shop: username: is missing where auth is basic: user name for HTTP Basic",
        "account shop: password: is missing where auth is basic: password for HTTP Basic",
    ]
    assert symplify().bind("shop", {**BASIC, "token": "unused"}).auth.secrets >= {"unused"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "token: is empty"),
        ("abc\n", "token: holds a line break or another control character"),
        (["a"], "token: must be text"),
        ("a\x00b", "token: contains characters that are not text"),
        ("\ud800", "token: contains characters that are not text"),
    ],
)
def test_secrets_that_could_not_be_sent(value: Json, reason: str) -> None:
    """A line break would end the header, and is what a file often brings along; the secret itself is not told."""
    assert _faults({**TOKEN, "token": value}) == [f"account shop: {reason}"]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (True, True),
        ("true", 'must be true or false: "true" is a text; write true, without quotes'),
        ("canary", "must be true or false, without quotes"),
        (1, "must be true or false, not 1"),
        (VariableText("on"), True),
        (VariableText("No"), False),
        (VariableText("maybe"), "must be one of true, yes, on, 1, false, no, off, 0"),
    ],
)
def test_a_boolean_setting(value: Json, found: object) -> None:
    """A file writes it without quotes; an environment variable has the same words as for every other key."""
    provider = provider_of(HEAD + 'wide = { type = "boolean", help = "w" }\n' + SUBMIT + POLL + RESULTS)
    if isinstance(found, bool):
        assert provider.bind("shop", {"wide": value})
    else:
        assert _faults({"wide": value}, provider) == [f"account shop: wide: {found}"]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (3, None),
        ("3", 'must be a whole number: "3" is a text; write 3, without quotes'),
        (VariableText("3"), None),
        (VariableText("three"), "must be a whole number, not 'three'"),
    ],
)
def test_a_numeric_setting(value: Json, fault: str | None) -> None:
    """The same for whole numbers."""
    provider = provider_of(HEAD + 'size = { type = "integer", help = "s" }\n' + SUBMIT + POLL + RESULTS)
    if fault is None:
        assert provider.bind("shop", {"size": value})
    else:
        assert _faults({"size": value}, provider) == [f"account shop: size: {fault}"]


def test_an_invalid_secret_is_not_repeated() -> None:
    """Messages about settings reach logs and screens."""
    key = 'key = { help = "k", secret = true, pattern = "[a-f]+" }\n'
    faults = _faults({"key": "canary"}, provider_of(HEAD + key + SUBMIT + POLL + RESULTS))
    assert faults == ["account shop: key: the secret does not match the pattern [a-f]+"]


@pytest.mark.parametrize(
    "server",
    [
        "ftp://eu.example.com",
        "https://",
        "https://eu.example.com/?a=1",
        "https://eu.example.com/#a",
        "https://user:pw@eu.example.com",
        "https://eu example.com",
        "https://eu.☃.example.com",
        "https://eu.example.com:port",
    ],
)
def test_addresses_that_are_none(server: str) -> None:
    """Only a bare http or https address can be the base of URLs."""
    (fault,) = _faults({**TOKEN, "server": server})
    assert fault.startswith("account shop: server: ")


def test_an_internationalised_address() -> None:
    """RFC 5891: it is the A-label everywhere; one that is no name is refused with what is wrong."""
    account = symplify().bind("shop", {**TOKEN, "server": "https://eu.exämple.com:8443"})
    assert account.base_url == "https://eu.xn--exmple-cua.com:8443/rest/5004"
    assert account.origin == "https://eu.xn--exmple-cua.com:8443"
    (fault,) = _faults({**TOKEN, "server": "https://☃.example"})
    assert "is not an http or https address: its host '☃.example' is no host name" in fault


def test_a_setting_cannot_climb_out_of_the_base_url() -> None:
    """Dots would name another customer's resources; anything else is percent-encoded."""
    assert _faults({**TOKEN, "customer_id": ".."}) == ["account shop: base_url: '..' cannot be a part of a URL"]
    assert symplify().bind("shop", {**TOKEN, "customer_id": "a/b"}).base_url == "https://eu.example.com/rest/a%2Fb"


def test_a_setting_cannot_climb_out_of_any_other_url() -> None:
    """The same where a setting stands in the URL of a step: said when the account is bound, not when a job is due."""
    spec = changed('url = "/reports"', 'url = "/${account.team}/reports"', with_settings('team = { help = "t" }\n'))
    assert _faults({"team": ".."}, provider_of(spec)) == ["account shop: '..' cannot be a part of a URL"]


def test_a_base_url_that_the_spec_spells_out() -> None:
    """Without any setting; what is no address is said when an account is bound."""
    fixed = WHOLE.replace("${account.server}/v1", "https://fixed.example.com/v2/")
    assert provider_of(fixed).bind("shop", {}).base_url == "https://fixed.example.com/v2"
    broken = provider_of(WHOLE.replace("${account.server}/v1", "fixed.example.com"))
    assert _faults({}, broken) == ["account shop: base_url: 'fixed.example.com' is not an http or https address"]


def test_the_first_base_url_that_can_be_filled() -> None:
    """An address that the operator gives goes before the one that is made from another setting."""
    spec = WHOLE.replace('"${account.server}/v1"', '["${account.proxy}", "https://${account.team}.example.com"]')
    settings = 'proxy = { type = "url", help = "p", required = false }\nteam = { help = "t" }\n'
    provider = provider_of(spec.replace("[account]\n", "[account]\n" + settings))
    assert provider.bind("shop", {"team": "a.b/c"}).base_url == "https://a.b%2Fc.example.com"
    assert provider.bind("shop", {"team": "a", "proxy": "http://127.0.0.1:8/x"}).base_url == "http://127.0.0.1:8/x"


def test_the_operator_has_the_last_word_on_the_numbers() -> None:
    """What the operator sets replaces the spec's numbers; what is not set stays."""
    provider = provider_of(
        WHOLE + "[limits]\nrequests = 30\nspacing_s = 2\n[operations.report.schedule]\ninterval_s = 60\ncap_s = 300\n"
    )
    plain = provider.bind("shop", {})
    assert plain.limits == Limits(requests=30, period_s=60.0, spacing_s=2.0, concurrency=64)
    assert plain.operations["report"].policy.poll.base_s == 60
    account = provider.bind(
        "shop",
        {},
        limits=LimitsOverride(requests=10, period_s=1.0, spacing_s=0.0, concurrency=2, remote_jobs=3),
        schedule=ScheduleOverride(first_delay_s=0.0, interval_s=900.0, factor=1.0, deadline_s=60.0),
    )
    assert account.limits == Limits(requests=10, period_s=1.0, spacing_s=0.0, concurrency=2, remote_jobs=3)
    policy = account.operations["report"].policy
    assert (policy.first_delay_s, policy.poll.base_s, policy.poll.factor, policy.deadline_s) == (0.0, 900.0, 1.0, 60.0)
    assert policy.poll.cap_s == 900.0


def test_an_interval_above_its_own_cap_is_a_fault() -> None:
    """Where both come from the operator, one of them is a mistake."""
    with pytest.raises(ValidationError, match="cap_s must not be below interval_s"):
        ScheduleOverride(interval_s=60.0, cap_s=10.0)


def test_the_policy_says_what_the_provider_can() -> None:
    """Cancelling and cleaning need a request in the spec; cleaning must also be switched on by account or spec."""
    ends = '[operations.report.cancel]\nurl = "/c/${handle}"\n[operations.report.cleanup]\nurl = "/d/${handle}"\n'
    both = provider_of(WHOLE + ends)

    def cleans(provider: Provider, *, clean: bool | None) -> bool:
        return provider.bind("shop", {}, clean=clean).operations["report"].policy.cleans

    assert both.bind("shop", {}).operations["report"].policy.cancels
    assert not provider_of().bind("shop", {}).operations["report"].policy.cancels
    assert [cleans(both, clean=wish) for wish in (None, False, True)] == [False, False, True]
    by_default = provider_of(WHOLE + ends + "by_default = true\n")
    assert [cleans(by_default, clean=wish) for wish in (None, False, True)] == [True, False, True]
    assert not cleans(provider_of(), clean=False)
    with pytest.raises(SettingsError, match="account shop: clean: Demo has no request that deletes a remote job"):
        provider_of().bind("shop", {}, clean=True)


def test_no_secret_leaves_in_a_reason() -> None:
    """A provider that echoes our credentials, plain or as HTTP Basic writes them, gets them into no history."""
    account = symplify().bind("shop", BASIC)
    operation = account.operations["statistics"]
    credential = base64.b64encode("us:er:pä'ss".encode()).decode()
    echo = {"error": f"bad key pä'ss / {credential} in https://eu.example.com/x?token=abc"}
    for reply in (
        reply_of(200, {"status": "pä'ss"}),
        reply_of(400, echo),
        reply_of(200, echo),
        reply_of(500, str(echo).encode()),
    ):
        text = repr([operation.read_submit(job_with(), reply, 0.0), operation.read_poll(job_with(), reply, 0.0)])
        assert "pä'ss" not in text
        assert credential not in text
        assert "abc" not in text


def test_accounts_share_what_settings_cannot_change() -> None:
    """A thousand accounts need the tables of an operation once: names that depend on settings are the exception."""
    provider = symplify()
    one, other = (provider.bind(name, TOKEN).operations["statistics"].parts.spec for name in ("shop", "other"))
    assert one is other is provider.spec.operations["statistics"]
