"""The Grafana dashboard: each expression can be parsed and uses metrics that the program has."""

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.expressions import OF_THE_SCRAPE, labels_kept, metric_of, selectors
from tidewaiter.metrics.metric_catalogue import CATALOGUE

BOARD = json.loads((Path(__file__).parents[2] / "config" / "alerts" / "grafana.json").read_text())
PANELS: Mapping[str, Mapping[str, Any]] = {one["title"]: one for one in BOARD["panels"] if one["type"] != "row"}
OF_THE_PROCESS = {"process_resident_memory_bytes"}


def filled_in(expression: str) -> str:
    """An expression after Grafana has put its variables into it."""
    return expression.replace("$__rate_interval", "5m").replace("$__interval", "1m")


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_shows_what_there_is(title: str) -> None:
    """Each series is in the catalogue, with the labels that are asked of it and named in the legend."""
    for target in PANELS[title]["targets"]:
        expression = filled_in(target["expr"])
        for selector in selectors(expression):
            if selector.name in OF_THE_PROCESS:
                continue
            labels = {*CATALOGUE[metric_of(str(selector.name))].labels, *OF_THE_SCRAPE, "le"}
            assert {matcher.name for matcher in selector.matchers.matchers} <= labels
            assert labels_kept(expression) <= labels
        named = {part.split("}}")[0] for part in target["legendFormat"].split("{{")[1:]}
        assert named <= (labels_kept(expression) or OF_THE_SCRAPE)


def test_panels_do_not_overlap() -> None:
    """Each stands beside or below the one before it, and fits the width of the board."""
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    for one, other in pairwise(places):
        assert (other["y"] == one["y"] and other["x"] >= one["x"] + one["w"]) or other["y"] >= one["y"] + one["h"]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_the_board_asks_for_its_data_source() -> None:
    """Nothing is tied to one Grafana: the data source is a variable, and every panel uses it."""
    assert "datasource" in {one["name"] for one in BOARD["templating"]["list"]}
    assert {panel["datasource"]["uid"] for panel in PANELS.values()} == {"${datasource}"}


def test_the_board_shows_what_the_alerts_are_about() -> None:
    """Each metric of jobs and accounts that an alert uses has a panel, so that its course can be looked up."""
    shown = {selector.name for one in PANELS.values() for target in one["targets"] for selector in _selectors(target)}
    alerting = (Path(__file__).parents[2] / "config" / "alerts" / "prometheus.rules.yaml").read_text()
    about = {name for name in CATALOGUE if name in alerting and set(CATALOGUE[name].labels) & {"account", "schedule"}}
    assert {"tidewaiter_unhandled_failures", "tidewaiter_schedule_late_seconds"} <= about
    assert about | {"tidewaiter_accounts_in_other"} <= shown


def _selectors(target: Mapping[str, Any]) -> Any:
    return selectors(filled_in(target["expr"]))
