"""Rules that say ``again``: what they read, what the table ``again`` sets, and what is refused in a spec."""

import pytest

from tests.support.spec_samples import NOW, WHOLE, changed, faults_of, job_with, operation_of, reply_of
from tidewaiter.domain.backoff_and_limits import Backoff
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.outcome import FailedForNow, Retry

AGAIN = changed('done = "ready" }', 'done = "ready", lost = "again" }')
TABLE = "\n[operations.report.again]\ntimes = 5\nwait_s = 60.0\nfactor = 3.0\ncap_s = 120.0\n"
SUBMIT_RULE = '\nrules = [{ status = 409, then = "again" }]\n\n[operations.report.poll]'
FILE_RULE = '\nrules = [{ status = 410, then = "again" }]\n'
PAGES = """
[operations.report.results.pages]
url = "/reports/${handle}/rows"
items = "rows"
rules = [{ status = 410, then = "again" }]
"""
ADOPT = """
[operations.report.adopt]
url = "/reports"
items = "reports"
where = "open"
handle = "id"
rules = [{ status = 409, then = "again" }]
"""
OWN = "https://api.example.com/v1/reports"
ELSEWHERE = "https://files.example.org/1"


def test_the_table_sets_the_policy() -> None:
    """Without it there are three submits, after 10, 20 and 40 minutes. The delays are never shorter than written."""
    policy = operation_of(AGAIN).policy
    assert (policy.most_agains, policy.again) == (3, Backoff(600.0, 2.0, 3600.0, 0.0))
    policy = operation_of(AGAIN + TABLE).policy
    assert (policy.most_agains, policy.again) == (5, Backoff(60.0, 3.0, 120.0, 0.0))


def test_a_poll_names_the_reason_and_the_delay() -> None:
    """The delay is in the header, or where the poll's ``retry_after`` finds it."""
    lost = {"status": "lost", "error": "the node died", "again_in": 90}
    read = operation_of(AGAIN).read_poll(job_with(), reply_of(200, lost, OWN, retry_after="7"), NOW)
    assert read == FailedForNow("the provider says lost: the node died", 7.0)
    text = changed('${handle}"\n', '${handle}"\nretry_after = { json = "again_in" }\n', AGAIN)
    assert operation_of(text).read_poll(job_with(), reply_of(200, lost, OWN), NOW) == FailedForNow(
        "the provider says lost: the node died", 90.0
    )


def test_a_refused_submit() -> None:
    """Also one with a status that would count as the provider's failure."""
    operation = operation_of(changed("\n[operations.report.poll]", SUBMIT_RULE))
    read = operation.read_submit(job_with(None), reply_of(409, {"error": "5 of 5"}, OWN), NOW)
    assert read == FailedForNow("HTTP 409: 5 of 5")


def test_a_file_that_has_vanished() -> None:
    """Of the provider's own host, or of the file host that the provider has named."""
    operation = operation_of(WHOLE + FILE_RULE)
    for url in (f"{OWN}/42/file", ELSEWHERE):
        read = operation.read_file(job_with(), Link(url), reply_of(410, b"gone", url), NOW)
        assert isinstance(read, FailedForNow)


def test_a_list_that_has_vanished() -> None:
    """The rules of pages may say it, too; a page of another host may not."""
    text = WHOLE.replace('\nurl = "/reports/${handle}/file"\n', "\n") + PAGES
    operation = operation_of(text)
    reader = operation.pages(job_with())
    assert reader is not None
    assert isinstance(reader.read_without_page(job_with(), reply_of(410, b"", OWN), NOW), FailedForNow)
    assert isinstance(reader.read_without_page(job_with(), reply_of(410, b"", ELSEWHERE), NOW), Retry)


def test_another_host_cannot_fail_the_remote_job() -> None:
    """Unless the handle is an address on that host."""
    operation = operation_of(AGAIN)
    lost = reply_of(200, {"status": "lost"}, ELSEWHERE)
    assert isinstance(operation.read_poll(job_with(), lost, NOW), Retry)
    assert isinstance(operation.read_poll(job_with(ELSEWHERE), lost, NOW), FailedForNow)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            WHOLE + TABLE,
            "demo.toml: operations.report: again is never used, because no rule of submit, poll or results says "
            'then = "again"',
        ),
        (
            AGAIN + TABLE.replace("120.0", "30.0"),
            "demo.toml: operations.report.again: cap_s (30) is less than wait_s (60): raise cap_s",
        ),
        (
            AGAIN + "\n[operations.report.again]\nwait_s = 90000.0\ncap_s = 90000.0\n",
            "demo.toml: operations.report: again.wait_s (90000) is not less than schedule.deadline_s (86400), so no "
            "job would be submitted again: raise the deadline",
        ),
        (AGAIN + TABLE.replace("5", "0"), "demo.toml: operations.report.again.times: input should be greater than"),
        (AGAIN + TABLE.replace("5", '"five"'), "demo.toml: operations.report.again.times: must be a whole number"),
        (AGAIN + TABLE.replace("60.0", "0.0"), "demo.toml: operations.report.again.wait_s: input should be greater"),
        (AGAIN + TABLE.replace("times", "tries"), "demo.toml: operations.report.again.tries: unknown key (there are: "),
        (
            WHOLE + ADOPT,
            "demo.toml: operations.report.adopt: a search submits nothing, so its rules cannot say again: use retry or "
            "pending",
        ),
        (
            WHOLE.partition("[operations.report.submit]")[0]
            + '[operations.report.results]\nurl = "/all"\nrules = [{ status = 410, then = "again" }]\n',
            "demo.toml: operations.report: without submit nothing can be submitted again: rules say pending or "
            "retry in its place",
        ),
    ],
    ids=["unused", "cap", "deadline", "times", "type", "no wait", "unknown key", "adopt", "without submit"],
)
def test_what_is_refused(text: str, fault: str) -> None:
    """Each fault names the file and the key, and says how to correct it."""
    faults = faults_of(text)
    assert any(one.startswith(fault) for one in faults), faults
