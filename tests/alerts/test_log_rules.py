"""The log alerts for Loki and Elasticsearch, run on recorded logs of a bad day and a healthy day."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.alerts import esql
from tests.alerts.lines import Line, read, replay
from tests.alerts.log_rules import ALERTS, ELASTIC, LOKI, Rule
from tests.alerts.record import BAD, GOOD, bad_day, good_day
from tidewaiter.events import CATALOGUE, COMMON_FIELDS

BOTH = [pytest.param(rule, id=f"loki-{rule.name}") for rule in LOKI.values()] + [
    pytest.param(rule, id=f"elastic-{rule.name}") for rule in ELASTIC.values()
]

# What has to be among the lines that a rule looked at when it fired, and what it has to name.
EXPECTED: Mapping[str, tuple[str, str | None]] = {
    "TidewaiterNotificationDied": ("notification.died", "endpoint=crm"),
    "TidewaiterSilent": ("", None),
    "TidewaiterDaemonFailed": ("daemon.failed", None),
    "TidewaiterEventLoopLate": ("heartbeat", None),
    "TidewaiterLogLinesLost": ("log.dropped", None),
    "TidewaiterRequestFailed": ("http.failed", None),
    "TidewaiterTokensGuessed": ("access.slowed", None),
    "TidewaiterDatabaseUnavailable": ("store.unavailable", None),
    "TidewaiterLanesLost": ("lane.lost", None),
    "TidewaiterJobsLate": ("heartbeat", None),
    "TidewaiterJobParked": ("job.parked", "account=by-url"),
    "TidewaiterJobsFailing": ("job.failed", "account=by-redirect"),
    "TidewaiterFailureUnhandled": ("job.failed", "account=by-redirect,operation=statistics"),
    "TidewaiterScheduleFailed": ("job.failed", "account=by-redirect,schedule=daily"),
    "TidewaiterJobSlow": ("job.slow", "account=by-redirect,operation=statistics"),
    "TidewaiterReplyNotUnderstood": ("job.unmapped", "account=by-url"),
    "TidewaiterStepCrashed": ("job.crashed", "account=by-url"),
    "TidewaiterScheduleRefused": ("schedule.refused", "account=by-url"),
    "TidewaiterScheduleMissed": ("schedule.missed", "account=by-url"),
    "TidewaiterAccountRefused": ("account.refused", "account=by-redirect"),
    "TidewaiterThrottled": ("account.paused", "account=by-url"),
    "TidewaiterStoragePaused": ("storage.paused", None),
}


@pytest.fixture(scope="module")
def bad() -> list[Line]:
    """The day with every trouble."""
    return read(BAD)


@pytest.fixture(scope="module")
def good() -> list[Line]:
    """The healthy day."""
    return read(GOOD)


@pytest.mark.parametrize("rule", BOTH)
def test_a_rule_fires_on_its_trouble(rule: Rule, bad: list[Line]) -> None:
    """Soon after the trouble began, for whom it concerns, and never without its lines in sight."""
    event, whose = EXPECTED[rule.name]
    named = [one.partition("=") for one in whose.split(",")] if whose else []
    labels = frozenset((name, value) for name, _, value in named)
    firings = replay(rule.query, bad)
    assert firings, "it never fires"
    assert {firing.labels for firing in firings} == {labels}
    for firing in firings:
        of_trouble = [line for line in firing.lines if line.fields["event"] == event]
        assert bool(of_trouble) == bool(event)


@pytest.mark.parametrize("rule", BOTH)
def test_a_rule_is_quiet_before_and_after(rule: Rule, bad: list[Line]) -> None:
    """It does not fire all day: a rule that always does says nothing."""
    firings = replay(rule.query, bad)
    day_s = bad[-1].at - bad[0].at
    assert len(firings) * 60.0 < day_s / 2
    assert firings[0].at > bad[0].at + rule.query.window_s


@pytest.mark.parametrize("rule", BOTH)
def test_a_rule_is_silent_on_a_healthy_day(rule: Rule, good: list[Line]) -> None:
    """Half a day with a refusal or two, a busy provider and a restart wakes nobody."""
    assert replay(rule.query, good) == []


@pytest.mark.parametrize("name", EXPECTED)
def test_both_languages_say_the_same(name: str, bad: list[Line]) -> None:
    """A rule of the two files fires at the same moments, with the same labels."""
    of_loki, of_elastic = ([(one.at, one.labels) for one in replay(of[name].query, bad)] for of in (LOKI, ELASTIC))
    assert of_loki == of_elastic


def test_each_rule_is_expected() -> None:
    """Both files have the same rules, none is untested, and they agree on how bad it is and where to read on."""
    assert set(LOKI) == set(ELASTIC) == set(EXPECTED)
    for name, rule in LOKI.items():
        assert (rule.severity, rule.runbook) == (ELASTIC[name].severity, ELASTIC[name].runbook)


@pytest.mark.parametrize("path", [BAD, GOOD], ids=["bad", "good"])
def test_every_recorded_line_is_of_the_catalogue(path: Path) -> None:
    """Its event, its level and each of its fields."""
    for line in read(path):
        event = CATALOGUE[line.fields["event"]]
        assert line.fields["level"] == event.level
        assert set(line.fields) <= set(event.fields) | set(COMMON_FIELDS), line.text


@pytest.mark.chaos
@pytest.mark.long
def test_recordings_are_current() -> None:
    """Lived again the two days bring the same kinds of lines: `python -m tests.alerts.record` writes them anew."""
    for path, again in ((BAD, bad_day()), (GOOD, good_day())):
        events = {json.loads(line)["event"] for line in again.splitlines()}
        assert {line.fields["event"] for line in read(path)} == events


def test_recordings_tell_nothing_of_the_machine() -> None:
    """They are committed: no folder, no secret of the one that made them."""
    for path in (BAD, GOOD):
        text = path.read_text()
        assert "canary" not in text
        assert set(re.findall(r"/(?:tmp|home|root|work)/\S+", text)) == set()


def test_the_template_knows_every_field() -> None:
    """A field that was never logged is an unknown column to ES|QL, so each one that is asked for is mapped."""
    template = json.loads((ALERTS / "elastic.template.json").read_text())
    mapped: dict[str, Any] = template["template"]["mappings"]["properties"]["tidewaiter"]["properties"]
    for rule in json.loads((ALERTS / "elastic.rules.json").read_text()):
        assert esql.fields_of(rule["params"]) <= set(mapped), rule["name"]
    known = {field for event in CATALOGUE.values() for field in event.fields} | set(COMMON_FIELDS)
    assert set(mapped) <= known
