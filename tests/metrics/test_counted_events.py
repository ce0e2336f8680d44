"""What the log tells: each event is counted, and those of a job's life are read."""

import ast
import io
from pathlib import Path

import pytest

from tests.support.metrics_page import Samples, scrape
from tidewaiter.events import CATALOGUE
from tidewaiter.log import configure
from tidewaiter.metrics.process_metrics import Metrics
from tidewaiter.metrics.readings import DaemonReading

WORK = {"account": "shop", "operation": "report"}
OBSERVER = Path(__file__).parents[2] / "app" / "tidewaiter" / "metrics" / "process_metrics.py"


def told(*events: tuple[str, dict[str, object]], level: str = "info") -> Samples:
    """The metrics after these events were logged by a real log."""
    metrics = Metrics()
    metrics.serve({"shop": ["report"]}, DaemonReading)
    log = configure("json", level, stream=io.StringIO(), strict=True)
    log.observe(metrics.observe)
    for name, fields in events:
        log.emit(name, **fields)
    log.close()
    return scrape(metrics)


def finished(**more: object) -> tuple[str, dict[str, object]]:
    """A job's canonical line."""
    return "job.finished", {**WORK, "job": 1, "state": "succeeded", "total_s": 100.0, "fetching_s": 0.3, **more}


def test_a_job_that_has_ended() -> None:
    """By account, operation and state, with its duration and its landing; a cancelled job has not landed."""
    samples = told(
        finished(),
        finished(state="cancelled", fetching_s=None),
        ("job.failed", {**WORK, "job": 2, "state": "expired", "total_s": 90_000.0}),
    )
    ended = {
        state: samples("tidewaiter_jobs_ended_total", **WORK, state=state)
        for state in ("succeeded", "failed", "expired", "cancelled")
    }
    assert ended == {"succeeded": 1, "failed": 0, "expired": 1, "cancelled": 1}
    assert samples("tidewaiter_job_duration_seconds_count", **WORK) == 3
    assert samples("tidewaiter_job_duration_seconds_bucket", **WORK, le="300.0") == 2
    assert samples("tidewaiter_landing_delay_seconds_count", **WORK) == 1
    assert samples("tidewaiter_landing_delay_seconds_bucket", **WORK, le="0.5") == 1


def test_troubles_by_outcome() -> None:
    """A step that failed in passing by what it learned, and the louder ones by their names."""
    samples = told(
        ("job.troubled", {**WORK, "job": 1, "outcome": "Retry"}),
        ("job.troubled", {**WORK, "job": 1, "outcome": "Retry"}),
        ("job.unmapped", {**WORK, "job": 1}),
        ("job.crashed", {**WORK, "job": 1}),
        ("job.conflicted", {**WORK, "job": 1}),
        ("job.parked", {**WORK, "job": 1}),
    )
    outcomes = ("Retry", "Unsent", "Unmapped", "Crashed", "Conflicted", "Parked")
    counted = [samples("tidewaiter_job_troubles_total", **WORK, outcome=one) for one in outcomes]
    assert counted == [2, 0, 1, 1, 1, 1]


def test_files_and_their_bytes() -> None:
    """What has landed."""
    landed = ("file.landed", {**WORK, "job": 1, "key": "a/b", "bytes": 1500, "sha256": "00"})
    samples = told(landed, landed)
    assert samples("tidewaiter_files_landed_total", **WORK) == 2
    assert samples("tidewaiter_landed_bytes_total", **WORK) == 3000


def test_only_throttles_are_throttles() -> None:
    """A pause that is somebody's doing is shown by the gauge, and is no throttle."""
    samples = told(
        ("account.paused", {"account": "shop", "lane": 1, "reason": "HTTP 429", "until_s": 5.0}),
        ("account.paused", {"account": "shop", "reason": "maintenance", "by": "person"}),
    )
    assert samples("tidewaiter_throttles_total", account="shop") == 1


def test_each_event_is_counted_whatever_is_printed() -> None:
    """Below the level of the log, and where lines are folded: repeats count in full."""
    lost = ("lane.lost", {"lane": 1, "account": "shop"})
    samples = told(finished(), lost, lost, lost, level="error")
    assert samples("tidewaiter_log_events_total", event="job.finished", level="info") == 1
    assert samples("tidewaiter_log_events_total", event="lane.lost", level="warning") == 3
    assert samples("tidewaiter_log_events_total", event="job.failed", level="error") == 0


def test_an_event_that_nobody_knows() -> None:
    """It is one series, whatever its name: labels come out of the catalogue."""
    metrics = Metrics()
    metrics.observe("surprise.happened", {})
    metrics.observe("surprise.again", {})
    assert scrape(metrics)("tidewaiter_log_events_total", event="uncatalogued", level="warning") == 2


def test_a_job_that_says_less() -> None:
    """A field that is not there stops nobody."""
    samples = told(("job.failed", {**WORK, "job": 2, "state": "failed"}))
    assert samples("tidewaiter_jobs_ended_total", **WORK, state="failed") == 1


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_event_can_be_counted(name: str) -> None:
    """With all fields of the catalogue, whatever they hold."""
    metrics = Metrics()
    metrics.observe(name, dict.fromkeys(CATALOGUE[name].fields, "text"))
    assert scrape(metrics)("tidewaiter_log_events_total", event=name, level=CATALOGUE[name].level) == 1


def test_the_observer_reads_what_the_catalogue_has() -> None:
    """Every event and every field that it names is in the catalogue of events."""
    texts = {node.value for node in ast.walk(ast.parse(OBSERVER.read_text())) if isinstance(node, ast.Constant)}
    names = {text for text in texts if isinstance(text, str) and text.startswith(("job.", "file.", "account."))}
    assert names <= set(CATALOGUE)
    asked = {"account", "operation", "state", "total_s", "fetching_s", "outcome", "bytes", "by"}
    assert asked <= texts
    assert asked <= {field for event in CATALOGUE.values() for field in event.fields}
