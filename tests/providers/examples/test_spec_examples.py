"""Examples in specs: they run, they cover the rules, and a wrong one names its fault."""

import pytest

from tests.support.spec_samples import POLL, WHOLE, provider_of
from tidewaiter.providers.examples.spec_examples import run_examples, uncovered_rules
from tidewaiter.providers.provider_registry import Registry

CATALOGUE = Registry.load()


@pytest.mark.parametrize("name", CATALOGUE.names())
def test_the_examples_of_the_catalogue_hold(name: str) -> None:
    """Every recorded exchange comes to what the spec says."""
    results = run_examples(CATALOGUE.get(name))
    assert results
    assert [str(result) for result in results if not result.ok] == []


@pytest.mark.parametrize("name", CATALOGUE.names())
def test_the_examples_of_the_catalogue_cover_it(name: str) -> None:
    """Every step, rule and word is shown by an example."""
    assert uncovered_rules(CATALOGUE.get(name)) == []


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("symplify", 67),
        ("ogc-processes", 48),
        ("google-aip-151", 41),
        ("azure-async", 57),
        ("salesforce-bulk2", 67),
        ("amazon-sp-api", 74),
    ],
)
def test_specs_are_short(name: str, most: int) -> None:
    """What a spec says beside its examples and comments fits on a page."""
    lines = CATALOGUE.source(name).partition("# --- examples")[0].splitlines()
    assert len([line for line in lines if line.strip() and not line.startswith("#")]) <= most


def _told(example: str) -> str:
    text = WHOLE + '\n[[examples]]\nname = "e"\noperation = "report"\n' + example
    (result,) = run_examples(provider_of(text))
    return str(result)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (
            'step = "poll"\nhandle = "1"\nrequest = { url = "https://api.example.com/v1/reports/1" }',
            "examples[0] (e): as expected",
        ),
        (
            'step = "poll"\nhandle = "1"\nrequest = { method = "POST", url = "https://api.example.com/v1/report/1" }',
            "examples[0] (e):\n"
            "  request.method\n    expected: POST\n    got:      GET\n"
            "  request.url\n    expected: https://api.example.com/v1/report/1\n"
            "    got:      https://api.example.com/v1/reports/1",
        ),
        (
            'step = "submit"\n[examples.request]\nurl = "https://api.example.com/v1/reports"\n'
            'headers = { Accept = "x" }\njson = { a = 1 }\ntext = "y"',
            "examples[0] (e):\n"
            "  request.headers.Accept\n    expected: x\n    got:      null\n"
            '  request.json\n    expected: {"a": 1}\n    got:      null\n'
            "  request.text\n    expected: y\n    got:      ",
        ),
        (
            'step = "poll"\nhandle = "1"\nreply = { status = 200, json = { status = "done" } }\n'
            'outcome = { is = "Pending" }',
            "examples[0] (e):\n  outcome.is\n    expected: Pending\n    got:      Ready\n"
            "    actual outcome: Ready(links=(), status='done', handle=None, kept={}, lists=False)",
        ),
        (
            'step = "poll"\nhandle = "1"\nreply = { status = 200, json = { status = "pending" } }\n'
            'outcome = { is = "Pending", status = "waiting", colour = "red" }',
            "examples[0] (e):\n"
            "  outcome.status\n    expected: waiting\n    got:      pending\n"
            "  outcome.colour\n    expected: red\n"
            "    got:      nothing: Pending has status, progress, retry_after_s, handle, exact, kept, links, lists",
        ),
        (
            'step = "poll"\nhandle = "1"\nreply = { status = 400, text = "no" }\n'
            'outcome = { is = "Refused", reason = "yes" }',
            "examples[0] (e):\n  outcome.reason\n    expected: … yes …\n    got:      HTTP 400: no",
        ),
        (
            'step = "cancel"\nhandle = "1"\nrequest = { url = "https://api.example.com/v1/c" }',
            "examples[0] (e):\n  request\n    expected: https://api.example.com/v1/c\n    got:      no request",
        ),
        (
            'step = "poll"\nhandle = "1"\naccount = { server = "nowhere", x = 1 }\nrequest = { url = "https://x" }',
            "examples[0] (e):\n"
            "  account example: x: unknown setting (there are: server)\n"
            "  account example: server: 'nowhere' is not an http or https address",
        ),
        (
            'step = "poll"\nhandle = "1"\nparams = { x = 1 }\nrequest = { url = "https://x" }',
            "examples[0] (e):\n  x: unknown parameter (there are: none)",
        ),
        (
            'step = "poll"\nrequest = { url = "https://x" }',
            "examples[0] (e):\n  the URL /reports/${handle} needs a value that the job does not have",
        ),
        (
            'step = "file"\nlink = { url = "https://files.example.com/a" }\nreply = { status = 200 }\n'
            'outcome = { is = "Retry" }',
            "examples[0] (e):\n  outcome.is\n    expected: Retry\n    got:      File\n    actual outcome: None",
        ),
    ],
)
def test_what_an_example_tells(example: str, message: str) -> None:
    """Expected and got, one below the other, for everything that differs at once."""
    assert _told(example) == message


def test_links_are_compared_by_the_members_that_are_named() -> None:
    """Number and order count; of each link only what the example names."""
    results = '[operations.report.results]\nfiles = { each = "files", label = "name" }\n'
    example = """
[[examples]]
name = "e"
operation = "report"
step = "poll"
handle = "1"
reply = { status = 200, json = { status = "done", files = [{ url = "https://f.example.com/1", name = "one" }] } }
"""
    spec = WHOLE.partition(POLL)[0] + POLL + results + example
    right = 'outcome = { is = "Ready", links = [{ label = "one" }] }\n'
    wrong = 'outcome = { is = "Ready", links = [{ label = "one" }, { label = "two" }] }\n'
    assert run_examples(provider_of(spec + right))[0].ok
    assert not run_examples(provider_of(spec + wrong))[0].ok


def test_what_no_example_covers_is_reported() -> None:
    """By the keys that the spec has for it: steps, rules and words."""
    ends = '[operations.report.cancel]\nurl = "/c/${handle}"\n'
    spec = WHOLE.replace(
        '"ready" }', '"ready" }\n[[operations.report.poll.rules]]\nstatus = 204\nthen = "pending"\n', 1
    )
    example = (
        '[[examples]]\nname = "e"\noperation = "report"\nstep = "poll"\nhandle = "1"\n'
        'reply = { status = 200, json = { status = "PENDING" } }\noutcome = { is = "Pending" }\n'
    )
    assert uncovered_rules(provider_of(spec + ends + example)) == [
        "operations.report.submit",
        "operations.report.poll.rules[0].words.done",
        "operations.report.poll.rules[1]",
        "operations.report.results",
        "operations.report.cancel",
    ]


SIGNING_IN = (
    WHOLE.replace("[account]", '[account]\npassword = { help = "x", secret = true, example = "made-up" }', 1)
    + """
[auth]
type = "session"
login = { url = "/login", form = { user = "u", password = "${account.password}" }, token = "token" }
renew = [{ status = 401 }, { status = 400, text = "token" }]

[probe]
url = "/me"
rules = [{ json = "logged_in == `false`", then = "unauthorized" }]
"""
)


def _told_of_account(example: str, text: str = SIGNING_IN) -> str:
    (result,) = run_examples(provider_of(f'{text}\n[[examples]]\nname = "e"\n{example}'))
    return str(result)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (
            'step = "login"\nrequest = { url = "https://api.example.com/v1/login", form = { password = "made-up" } }',
            "examples[0] (e): as expected",
        ),
        (
            'step = "login"\nrequest = { url = "https://api.example.com/v1/login", form = { user = "x", y = "z" } }',
            "examples[0] (e):\n"
            "  request.form.user\n    expected: x\n    got:      u\n"
            "  request.form.y\n    expected: z\n    got:      null",
        ),
        (
            'step = "login"\nreply = { status = 200, json = { token = "t" } }\n'
            'outcome = { is = "Token", value = "t", expires_at = 1700003600.0 }',
            "examples[0] (e): as expected",
        ),
        (
            'step = "renew"\nreply = { status = 400, text = "old token" }\noutcome = { is = "Renew" }',
            "examples[0] (e): as expected",
        ),
        (
            'step = "renew"\nreply = { status = 400, text = "bad period" }\noutcome = { is = "Renew" }',
            "examples[0] (e):\n  outcome.is\n    expected: Renew\n    got:      Keep\n    actual outcome: Keep()",
        ),
        (
            'step = "renew"\nreply = { status = 401, url = "https://files.example.com/1" }\noutcome = { is = "Keep" }',
            "examples[0] (e): as expected",
        ),
        (
            'step = "probe"\nreply = { status = 200, json = { logged_in = false } }\noutcome = { is = "Unauthorized" }',
            "examples[0] (e): as expected",
        ),
    ],
)
def test_examples_of_the_account(example: str, message: str) -> None:
    """A login, what is made of its token, and the probe are shown as steps of jobs are."""
    assert _told_of_account(example) == message


@pytest.mark.parametrize("step", ["login", "renew", "probe"])
def test_an_example_of_what_an_account_does_not_have(step: str) -> None:
    """It says so, and goes through nothing."""
    reply = 'reply = { status = 200 }\noutcome = { is = "x" }'
    what = "login" if step == "renew" else step
    assert _told_of_account(f'step = "{step}"\n{reply}', WHOLE) == f"examples[0] (e):\n  this account has no {what}"


def test_what_of_signing_in_is_to_be_shown() -> None:
    """The login, each condition that the spec names, the probe and its rules."""
    keys = uncovered_rules(provider_of(SIGNING_IN))
    assert keys[:5] == ["auth.login", "auth.renew[0]", "auth.renew[1]", "probe", "probe.rules[0]"]
    assert "auth.renew[0]" not in uncovered_rules(provider_of(SIGNING_IN.replace("renew =", "# renew =")))
