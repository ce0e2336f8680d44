"""The metrics page: everything counted or read is on it, in both formats, and nothing uncatalogued."""

from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from tests.support.metrics_page import UP, scrape
from tidewaiter.metrics.metric_catalogue import CATALOGUE
from tidewaiter.metrics.process_metrics import ELSEWHERE, PROVIDER, Metrics
from tidewaiter.metrics.readings import DaemonReading, DatabaseReading, LaneReading, ProcessReading

OPERATIONS = {"shop": ["report"]}


def served(now: DaemonReading | None = None) -> Metrics:
    """Metrics of a daemon with one account."""
    metrics = Metrics()
    metrics.set_start("1.2.3", 1_790_000_000.0)
    metrics.serve(OPERATIONS, lambda: now or DaemonReading())
    return metrics


def test_every_metric_of_the_catalogue_is_shown() -> None:
    """A busy process shows each of them, with the labels of the catalogue, and no other of ours."""
    busy = DaemonReading(
        [LaneReading(7, "shop", in_flight=2, closed_s=4.0, breaker_open=True, left=3)], {"shop": "person"}, 5, False
    )
    metrics = served(busy)
    metrics.requests("shop", PROVIDER).replied(200, 0.02)
    for name, fields in (
        ("job.finished", {"state": "succeeded", "total_s": 5.0, "fetching_s": 0.5}),
        ("notification.delivered", {}),
    ):
        metrics.observe(name, {"account": "shop", "operation": "report", **fields})
    samples = scrape(metrics)
    ours = [family for family in samples.families if not family.name.startswith("process_")]
    shown = {f"{family.name}_total" if family.type == "counter" else family.name: family for family in ours}
    assert set(shown) == set(CATALOGUE)
    for name, family in shown.items():
        assert family.type == CATALOGUE[name].kind, name
        assert family.samples, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(CATALOGUE[name].labels), name


def test_lanes_are_shown_as_they_stand() -> None:
    """What a lane says of itself, by account and lane; no budget where there is no limit."""
    lanes = [
        LaneReading(7, "shop", in_flight=2, closed_s=4.0, breaker_open=True, left=3),
        LaneReading(8, "shop", in_flight=0, closed_s=0.0, breaker_open=False, left=None),
    ]
    samples = scrape(served(DaemonReading(lanes, {"shop": "tls"}, 5, storage_open=False)))
    assert samples("tidewaiter_lanes_owned", account="shop") == 2
    assert samples("tidewaiter_steps_in_flight", account="shop", lane="7") == 2
    assert samples("tidewaiter_lane_closed_seconds", account="shop", lane="7") == 4
    assert samples("tidewaiter_breaker_open", account="shop", lane="7") == 1
    assert samples("tidewaiter_breaker_open", account="shop", lane="8") == 0
    assert samples("tidewaiter_budget_left", account="shop", lane="7") == 3
    assert samples("tidewaiter_budget_left", account="shop", lane="8") is None
    assert samples("tidewaiter_account_paused", account="shop", by="tls") == 1
    assert samples("tidewaiter_updates_waiting") == 5
    assert samples("tidewaiter_storage_open") == 0


def test_a_database_that_does_not_answer() -> None:
    """It is shown as down, and no old number stands for it."""
    down = ProcessReading(
        "serving", ("serving",), ready=False, clock_skew_s=0.0, lines_lost=3, database_up=False, database=None
    )
    samples = scrape(served(), down)
    assert samples("tidewaiter_database_up") == 0
    assert samples("tidewaiter_ready") == 0
    assert samples("tidewaiter_log_lines_dropped_total") == 3
    assert samples("tidewaiter_jobs", state="queued") is None


def test_what_the_database_holds() -> None:
    """Jobs by state, due and overdue by account, and room on the disk where there is one."""
    samples = scrape(served())
    assert samples("tidewaiter_jobs", state="queued") == 2
    assert samples("tidewaiter_jobs_due", account="shop") == 1
    assert samples("tidewaiter_overdue_seconds", account="shop") == 3.5
    assert samples("tidewaiter_storage_free_bytes") == 1000
    assert samples("tidewaiter_phase", phase="serving") == 1
    assert samples("tidewaiter_phase", phase="standby") == 0
    bucket = ProcessReading("serving", (), True, 0.0, 0, True, DatabaseReading({}, {}, {}))
    assert scrape(served(), bucket)("tidewaiter_storage_free_bytes") is None


def test_requests_by_account_host_and_status() -> None:
    """Replies by class with their latency, and requests without a reply by whether they were sent."""
    metrics = served()
    tally = metrics.requests("shop", PROVIDER)
    tally.replied(200, 0.02)
    tally.replied(204, 3.0)
    tally.replied(503, 500.0)
    tally.replied(999, 0.01)
    tally.failed(sent=False)
    tally.failed(sent=True)
    metrics.requests("shop", ELSEWHERE).replied(200, 0.1)
    samples = scrape(metrics)

    def count(status: str) -> float | None:
        return samples("tidewaiter_requests_total", account="shop", to="provider", status=status)

    assert [count(status) for status in ("2xx", "3xx", "4xx", "5xx", "unsent", "lost")] == [2, 0, 0, 2, 1, 1]
    assert samples("tidewaiter_requests_total", account="shop", to="elsewhere", status="2xx") == 1

    def upto(bound: str) -> float | None:
        return samples("tidewaiter_reply_seconds_bucket", account="shop", to="provider", le=bound)

    assert [upto(bound) for bound in ("0.01", "0.025", "2.5", "5.0", "120.0", "+Inf")] == [1, 2, 2, 3, 3, 4]
    assert samples("tidewaiter_reply_seconds_count", account="shop", to="provider") == 4


def test_polls_commits_and_lag() -> None:
    """The narrow ways in."""
    metrics = served()
    metrics.polled("shop")
    metrics.polled("shop")
    metrics.committed(40, 0.02)
    metrics.lagged(0.3)
    samples = scrape(metrics)
    assert samples("tidewaiter_polls_total", account="shop") == 2
    assert samples("tidewaiter_commit_updates_sum") == 40
    assert samples("tidewaiter_commit_seconds_bucket", le="0.025") == 1
    assert samples("tidewaiter_event_loop_lag_seconds_bucket", le="0.25") == 0
    assert samples("tidewaiter_event_loop_lag_seconds_bucket", le="0.5") == 1


def test_counters_begin_at_zero_and_go_on() -> None:
    """Series of a configured account are there before anything happened; a daemon put together anew changes none."""
    metrics = served()
    before = scrape(metrics)
    assert before("tidewaiter_polls_total", account="shop") == 0
    assert before("tidewaiter_requests_total", account="shop", to="provider", status="5xx") == 0
    assert before("tidewaiter_jobs_ended_total", account="shop", operation="report", state="failed") == 0
    metrics.polled("shop")
    metrics.observe("job.crashed", {"account": "shop", "operation": "report"})
    metrics.serve({**OPERATIONS, "new": ["report"]}, lambda: DaemonReading(waiting=1))
    after = scrape(metrics)
    assert after("tidewaiter_polls_total", account="shop") == 1
    assert after("tidewaiter_polls_total", account="new") == 0
    assert after("tidewaiter_updates_waiting") == 1
    assert after("tidewaiter_job_troubles_total", account="shop", operation="report", outcome="Crashed") == 1


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0"),
        ("\x00,,;;=;version=x", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_format_is_what_accept_asks_for(accept: str, content_type: str) -> None:
    """Text by default and for nonsense, OpenMetrics on demand, which ends in its mark; no series of creation times."""
    body, written_as = served().scrape(UP).written(accept)
    assert written_as.startswith(content_type)
    assert body.endswith(b"# EOF\n") == written_as.startswith("application/openmetrics-text")
    assert b"_created" not in body


def test_a_scrape_is_written_while_work_goes_on() -> None:
    """It is written in a thread: what begins meanwhile, an account more for one, neither shows in it nor breaks it."""
    metrics = served()
    scrape_now = metrics.scrape(UP)
    begun = iter(scrape_now.collect())
    next(begun)
    metrics.serve({"new": ["report"]}, lambda: DaemonReading(waiting=9))
    metrics.polled("newest")
    left = {family.name: family for family in begun}
    assert {sample.labels["account"] for sample in left["tidewaiter_polls"].samples} == {"shop"}
    assert [sample.value for sample in left["tidewaiter_updates_waiting"].samples] == [0]


def test_nothing_is_registered_globally() -> None:
    """The library's own registry knows nothing of ours, so two daemons in one process do not meet there."""
    before = set(REGISTRY._names_to_collectors)
    served()
    served()
    assert set(REGISTRY._names_to_collectors) == before
    assert not [name for name in before if name.startswith("tidewaiter_")]


def test_the_process_is_measured_too() -> None:
    """Memory and open files, under the names that every dashboard knows, where the system has them in /proc."""
    samples = scrape(served())
    has_proc = Path("/proc/self/stat").exists()
    assert (samples("process_resident_memory_bytes") is not None) == has_proc
    assert (samples("process_open_fds") is not None) == has_proc
