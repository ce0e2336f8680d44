"""The reason of a rule stands before the provider's own message."""

import pytest

from tests.support.spec_samples import BASE, NOW, POLL_URL, WHOLE, changed, faults_of, job_with, operation_of, reply_of
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.outcome import Accepted, LinksExpired, Refused, Throttled, Unauthorized

SUBMIT_RULES = """handle = "id"
rules = [
    { status = 500, text = "Bad API Key", then = "unauthorized", reason = "the key is not valid" },
    { json = "!ok", then = "refused", reason = "not accepted" },
    { then = "accepted" },
]
"""
POLL_RULES = (
    POLL_URL
    + """rules = [
    { word = "state", words = { gone = "failed", wait = "pending" }, reason = "the report was thrown away" },
    { status = 420, then = "throttled", reason = "calm down" },
    { then = "ready" },
]
"""
)


def test_the_reason_of_a_submit_stands_before_the_message() -> None:
    """A bad key that comes as a server fault is told as what it is."""
    operation = operation_of(changed('handle = "id"\n', SUBMIT_RULES))
    job = job_with(None)
    refused = operation.read_submit(job, reply_of(500, {"error": "Bad API Key"}), NOW)
    assert refused == Unauthorized("the key is not valid: HTTP 500: Bad API Key")
    assert operation.read_submit(job, reply_of(200, {"id": 1}), NOW) == Refused('not accepted: HTTP 200: {"id": 1}')
    assert operation.read_submit(job, reply_of(200, {"id": 1, "ok": True}), NOW) == Accepted("1")


def test_the_reason_of_a_poll_stands_before_the_word() -> None:
    """A table of words has one reason for all that go wrong."""
    text = WHOLE[: WHOLE.index(POLL_URL)] + POLL_RULES + '[operations.report.results]\nurl = "/f"\n'
    operation, job = operation_of(text), job_with()
    failed = operation.read_poll(job, reply_of(200, {"state": "gone", "error": "too old"}), NOW)
    assert failed == Refused("the report was thrown away: the provider says gone: too old")
    assert operation.read_poll(job, reply_of(420), NOW) == Throttled("calm down: the provider says HTTP 420")


def test_the_reason_of_a_file() -> None:
    """The host of a file may be spoken for, too."""
    rules = '/file"\nrules = [{ status = 418, then = "expired", reason = "the link is old" }]\n'
    operation = operation_of(changed('/file"\n', rules))
    outcome = operation.read_file(job_with(), Link(f"{BASE}/x"), reply_of(418), NOW)
    assert outcome == LinksExpired("the link is old: HTTP 418")


@pytest.mark.parametrize(
    ("rule", "effects"),
    [
        ('{ then = "ready", reason = "x" }', "ready"),
        ('{ word = "s", words = { a = "ready", b = "pending" }, reason = "x" }', "pending or ready"),
    ],
)
def test_a_reason_that_nobody_would_be_told(rule: str, effects: str) -> None:
    """Where nothing is wrong there is nothing to give a reason for."""
    text = changed(POLL_URL, f'{POLL_URL}rules = [{rule}, {{ then = "ready" }}]\n')
    text = text.replace(
        text[text.index("[[operations.report.poll.rules") : text.index("[operations.report.results")], ""
    )
    assert faults_of(text) == [
        f"demo.toml: operations.report.poll.rules[0]: reason is not used for a reply that means {effects}"
    ]
