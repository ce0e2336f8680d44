"""The catalogue of metrics: well-formed, few labels, and its page is up to date."""

from pathlib import Path

import pytest

from tidewaiter.metrics.metric_catalogue import CATALOGUE, CHAPTERS, Metric
from tidewaiter.metrics.metrics_page import render

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
FEW = {
    "account",
    "by",
    "event",
    "lane",
    "level",
    "operation",
    "outcome",
    "phase",
    "python",
    "schedule",
    "state",
    "status",
    "to",
} | {"version"}
UNITS = ("_seconds", "_bytes", "_total")


def test_the_page_is_current() -> None:
    """docs/metrics.md is what the catalogue says; `make docs-metrics` writes it."""
    assert PAGE.read_text() == render()


def test_no_name_stands_twice() -> None:
    """A chapter cannot hide another chapter's metric."""
    assert len(CATALOGUE) == sum(len(chapter.metrics) for chapter in CHAPTERS)


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=lambda metric: metric.name)
def test_each_metric_keeps_the_conventions(metric: Metric) -> None:
    """The prefix, `_total` on counters only, buckets on histograms only and in order, labels out of a few."""
    assert metric.name.startswith("tidewaiter_")
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert set(metric.labels) <= FEW
    assert metric.meaning[-1] != "."
