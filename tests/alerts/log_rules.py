"""The rules on the log, of both files, understood."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.alerts import esql, logql
from tests.alerts.lines import Query

ALERTS = Path(__file__).parents[2] / "config" / "alerts"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of either file."""

    name: str
    query: Query
    severity: str
    runbook: str


def _of_loki() -> Iterator[Rule]:
    for group in yaml.safe_load((ALERTS / "loki.rules.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            runbook = rule["annotations"]["runbook"]
            yield Rule(rule["alert"], logql.understood(rule["expr"]), rule["labels"]["severity"], runbook)


def _of_elastic() -> Iterator[Rule]:
    for rule in json.loads((ALERTS / "elastic.rules.json").read_text()):
        _, severity, runbook = rule["tags"]
        yield Rule(rule["name"], esql.understood(rule["params"]), severity, runbook)


LOKI = {rule.name: rule for rule in _of_loki()}
ELASTIC = {rule.name: rule for rule in _of_elastic()}
