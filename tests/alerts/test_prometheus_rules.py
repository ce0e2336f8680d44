"""The metric alerts use metrics, labels and values that a real daemon exposes.

That the expressions fire when they should is for promtool to say, which is in no package: after a change, run
``promtool test rules prometheus.test.yaml`` in ``config/alerts``. Here that file is held to be complete.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.alerts.expressions import OF_THE_SCRAPE, labels_kept, metric_of, selectors
from tests.support.http_process import configured, process
from tests.support.metrics_page import Samples
from tidewaiter.database.account_store import PauseCause
from tidewaiter.domain.job import State
from tidewaiter.events import CATALOGUE as EVENTS
from tidewaiter.metrics.metric_catalogue import CATALOGUE
from tidewaiter.web.health_routes import Phase

ALERTS = Path(__file__).parents[2] / "config" / "alerts"
GROUPS = yaml.safe_load((ALERTS / "prometheus.rules.yaml").read_text())["groups"]
RULES: Mapping[str, Mapping[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
VALUES: Mapping[str, set[str]] = {
    "event": set(EVENTS),
    "state": {state.value for state in State},
    "phase": {phase.value for phase in Phase},
    "by": {by.value for by in PauseCause},
    "outcome": {name.removeprefix("notification.") for name in EVENTS if name.startswith("notification.")}
    | {"Retry", "Unsent", "StorageFull", "Unmapped", "Crashed", "Conflicted", "Parked"},
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_speaks_of_what_there_is(name: str) -> None:
    """Each series is in the catalogue, with the labels that are asked of it; values are those of the program."""
    expression = RULES[name]["expr"]
    known = set(OF_THE_SCRAPE) | {"le"}
    for selector in selectors(expression):
        if selector.name == "up":
            continue
        assert selector.name is not None
        metric = CATALOGUE[metric_of(selector.name)]
        known |= set(metric.labels)
        for matcher in selector.matchers.matchers:
            assert matcher.name in {*metric.labels, *OF_THE_SCRAPE}, f"{selector.name} has no label {matcher.name}"
            if matcher.name in VALUES:
                assert set(matcher.value.split("|")) <= VALUES[matcher.name], matcher.value
    assert labels_kept(expression) <= known


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_what_to_do(name: str) -> None:
    """How bad it is, what is wrong in one sentence, what to do, where to read on, and labels that there are."""
    rule = RULES[name]
    assert re.fullmatch(r"Tidewaiter[A-Z]\w+", name)
    assert rule["labels"]["severity"] in {"critical", "warning"}
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook"}
    assert re.fullmatch(r"docs/operate\.md#[a-z]+(-[a-z]+)*", notes["runbook"])
    assert notes["summary"].endswith(".")
    told = set(re.findall(r"\$labels\.(\w+)", notes["summary"] + notes["description"]))
    kept = labels_kept(rule["expr"])
    assert told <= (kept or OF_THE_SCRAPE)


def test_each_rule_is_tested_with_promtool() -> None:
    """prometheus.test.yaml says when each rule fires and when not yet, and that none does on a healthy day."""
    tests = yaml.safe_load((ALERTS / "prometheus.test.yaml").read_text())["tests"]
    assert {test["name"] for test in tests} == {*RULES, "nothing fires while all is well"}
    for test in tests:
        fires = [bool(one["exp_samples"]) for one in test["promql_expr_test"]]
        assert fires == ([False, True] if test["name"] in RULES else [False, False])
        for one in test["promql_expr_test"]:
            assert test["name"] not in RULES or f'alertname="{test["name"]}"' in one["expr"]


def test_each_paragraph_is_written() -> None:
    """The handbook has a heading for every address that an alert of any file names."""
    handbook = (ALERTS.parents[1] / "docs" / "operate.md").read_text()
    slugs = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ ([\w -]+)$", handbook, re.MULTILINE)}
    named = {rule["annotations"]["runbook"].partition("#")[2] for rule in RULES.values()}
    elastic = json.loads((ALERTS / "elastic.rules.json").read_text())
    named |= {tag.partition("#")[2] for rule in elastic for tag in rule["tags"] if "#" in tag}
    assert named <= slugs


def test_the_log_rules_agree() -> None:
    """A rule that has the same name in another file is as bad and has the same paragraph; few are of the log alone."""
    of_elastic = {rule["name"]: rule["tags"] for rule in json.loads((ALERTS / "elastic.rules.json").read_text())}
    assert set(of_elastic) - set(RULES) == {"TidewaiterSilent", "TidewaiterDaemonFailed"}
    for name in set(of_elastic) & set(RULES):
        _, severity, runbook = of_elastic[name]
        assert (severity, runbook) == (RULES[name]["labels"]["severity"], RULES[name]["annotations"]["runbook"]), name


@pytest.fixture
async def scraped(tmp_path: Path, sqlite_url: str) -> Samples:
    """What a real daemon shows over HTTP."""
    async with process(configured(tmp_path, sqlite_url)) as daemon:
        await daemon.until("/readyz", 200, phase="serving")
        return await daemon.scrape()


@pytest.mark.slow
async def test_a_real_daemon_shows_every_metric_that_is_asked_for(scraped: Samples) -> None:
    """Each family of the rules is in its exposition, at work or not, and each counted series has begun at 0."""
    shown = {f"{family.name}_total" if family.type == "counter" else family.name for family in scraped.families}
    asked = {metric_of(str(one.name)) for rule in RULES.values() for one in selectors(rule["expr"])} - {"up"}
    assert asked <= shown
    assert scraped("tidewaiter_log_events_total", event="lane.lost", level="warning") == 0
    ended = scraped("tidewaiter_jobs_ended_total", account="shop", operation="report", state="failed")
    assert ended == 0
