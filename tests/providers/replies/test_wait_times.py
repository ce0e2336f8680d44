"""Waits that a reply names by a value of its own."""

import pytest

from tests.support.spec_samples import NOW, POLL_URL, WHOLE, changed, faults_of, job_with, operation_of, reply_of
from tidewaiter.domain.outcome import Pending, Throttled
from tidewaiter.providers.replies.reply_headers import LONGEST_WAIT_S
from tidewaiter.providers.replies.wait_times import WaitUnit, ignored_texts, parse_wait

MINUTE_AGO = "Tue, 14 Nov 2023 22:12:20 GMT"


@pytest.mark.parametrize(
    ("value", "unit", "seconds"),
    [
        ("90", "s", 90.0),
        ("1.2", "s", 2.0),
        (f"{NOW + 30:.0f}", "s", 30.0),
        (f"{(NOW + 30) * 1000:.0f}", "s", 30.0),
        ("2023-11-14T22:14:20Z", "s", 60.0),
        ("2023-11-14T23:14:20+01:00", "s", 60.0),
        ("2023-11-14 22:14:20", "s", 60.0),
        ("2023-11-14T20:00:00Z", "s", 0.0),
        ("5 minutes", "s", None),
        ("1500", "ms", 2.0),
        ("0", "ms", 0.0),
        (f"{(NOW + 30) * 1000:.0f}", "ms", 30.0),
        ("99999999999", "ms", LONGEST_WAIT_S),
        ("soon", "ms", None),
        ("-5", "ms", None),
        ("Please try again in 5 minutes.", "text", 300.0),
        ("in 1 minute and 30 seconds", "text", 90.0),
        ("1h 30m", "text", 5400.0),
        ("1 hour, 2 min, 3 secs", "text", 3723.0),
        ("2.5s", "text", 3.0),
        ("20ms", "text", 1.0),
        ("a 10-minute pause", "text", 600.0),
        ("2 Days", "text", 172_800.0),
        ("wait 2 minutes (limit: 5 per second)", "text", 120.0),
        ("PT1H30M", "text", 5400.0),
        ("retry after PT0.5S", "text", 1.0),
        ("P1DT1S", "text", 86_401.0),
        ("45", "text", 45.0),
        ("2023-11-14T22:14:20Z", "text", 60.0),
        (f"{NOW + 30:.0f}", "text", 30.0),
        ("999999999 days", "text", LONGEST_WAIT_S),
        ("5 meters", "text", None),
        ("PT", "text", None),
        ("", "text", None),
        ("soon", "text", None),
    ],
)
def test_the_wait_in_a_value(value: str, unit: WaitUnit, seconds: float | None) -> None:
    """Every form; what cannot be read is no wait, and none is longer than a month."""
    assert parse_wait(value, unit, None, NOW) == seconds


def test_a_moment_counts_from_the_date_of_the_reply() -> None:
    """The clock of the server may be wrong."""
    assert parse_wait("2023-11-14T22:13:20Z", "s", MINUTE_AGO, NOW) == 60.0
    assert parse_wait("1 minute", "text", MINUTE_AGO, NOW) == 60.0


@pytest.mark.parametrize("text", ["1s" * 200_000, "1 " * 200_000, "P" * 400_000, "9" * 400_000, "PT9" * 100_000])
def test_hostile_texts_take_no_time(text: str) -> None:
    """The text is cut before it is searched."""
    parse_wait(text, "text", None, NOW)


WAITING = changed(POLL_URL, POLL_URL + 'retry_after = { json = "wait", unit = "ms" }\n', WHOLE)
IN_TEXT = changed(
    POLL_URL,
    POLL_URL + 'retry_after = { text = "again in (.*)", unit = "text" }\n',
    WHOLE + '\n[[operations.report.poll.rules]]\nstatus = 429\nthen = "throttled"\n',
)


def test_a_poll_waits_as_it_is_told() -> None:
    """Also where the reply is a refusal by a rule; without the value, the header counts."""
    pending = operation_of(WAITING).read_poll(job_with(), reply_of(200, {"status": "pending", "wait": 2500}), NOW)
    assert isinstance(pending, Pending)
    assert pending.retry_after_s == 3.0
    operation = operation_of(IN_TEXT)
    busy = operation.read_poll(job_with(), reply_of(429, b"Slow down; again in 2 minutes"), NOW)
    assert isinstance(busy, Throttled)
    assert busy.retry_after_s == 120.0
    header = operation.read_poll(job_with(), reply_of(429, b"Slow down", retry_after="7"), NOW)
    assert isinstance(header, Throttled)
    assert header.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ('{ json = "wait", unit = "min" }', ".unit: must be 's', 'ms' or 'text'"),
        (
            '{ exact = true, unit = "ms" }',
            ": unit is for a value that json, header or text names; that of Retry-After is known",
        ),
    ],
)
def test_faults_name_the_key(key: str, fault: str) -> None:
    """A unit that is not known, and one without a value."""
    spec = changed(POLL_URL, f"{POLL_URL}retry_after = {key}\n")
    assert faults_of(spec) == [f"demo.toml: operations.report.poll.retry_after{fault}"]


@pytest.mark.parametrize(
    ("value", "unit", "ignored"),
    [("5 minutes", "s", ["5 minutes"]), ("soon", "s", []), ("5 minutes", "text", []), ("soon", "text", [])],
)
def test_a_text_that_another_unit_would_read(value: str, unit: WaitUnit, ignored: list[str]) -> None:
    """It is noted, so that the author of a spec learns of it."""
    with ignored_texts() as texts:
        parse_wait(value, unit, None, NOW)
    assert texts == ignored
