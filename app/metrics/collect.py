"""From readings to samples: the families that are made anew for each scrape."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from app.metrics.catalogue import CATALOGUE
from app.metrics.live import DaemonNow, LaneNow, ProcessNow
from app.metrics.tallies import RequestTally


def of_process(now: ProcessNow) -> Iterator[Family]:
    """How the process and its database stand."""
    yield gauge_family("tidewaiter_phase", {(phase,): phase == now.phase for phase in now.phases})
    yield gauge_family("tidewaiter_ready", {(): now.ready})
    yield gauge_family("tidewaiter_clock_skew_seconds", {(): now.clock_skew_s})
    yield counter_family("tidewaiter_log_lines_dropped_total", {(): now.lines_lost})
    yield gauge_family("tidewaiter_database_up", {(): now.database is not None})
    if now.database is None:
        return
    yield gauge_family("tidewaiter_jobs", {(state,): count for state, count in now.database.jobs.items()})
    due = now.database.due.items()
    yield gauge_family("tidewaiter_jobs_due", {(account,): jobs for account, jobs in due})
    late = now.database.overdue_s.items()
    yield gauge_family("tidewaiter_overdue_seconds", {(account,): late_s for account, late_s in late})
    if now.database.free_bytes is not None:
        yield gauge_family("tidewaiter_storage_free_bytes", {(): now.database.free_bytes})


def of_daemon(now: DaemonNow) -> Iterator[Family]:
    """How the daemon's parts stand."""
    yield gauge_family("tidewaiter_account_paused", dict.fromkeys(now.paused.items(), 1))
    owned = Counter(lane.account for lane in now.lanes)
    yield gauge_family("tidewaiter_lanes_owned", {(account,): lanes for account, lanes in owned.items()})
    yield _of_lanes("tidewaiter_steps_in_flight", ((lane, lane.in_flight) for lane in now.lanes))
    yield _of_lanes("tidewaiter_lane_closed_seconds", ((lane, lane.closed_s) for lane in now.lanes))
    yield _of_lanes("tidewaiter_breaker_open", ((lane, lane.breaker_open) for lane in now.lanes))
    limited = ((lane, lane.left) for lane in now.lanes if lane.left is not None)
    yield _of_lanes("tidewaiter_budget_left", limited)
    yield gauge_family("tidewaiter_updates_waiting", {(): now.waiting})
    yield gauge_family("tidewaiter_storage_open", {(): now.storage_open})


def of_requests(tallies: Mapping[tuple[str, str], RequestTally]) -> Iterator[Family]:
    """What was counted of requests, by account and by where they went."""
    yield counter_family(
        "tidewaiter_requests_total",
        {(*whose, status): count for whose, one in tallies.items() for status, count in one.statuses.items()},
    )
    metric = CATALOGUE["tidewaiter_reply_seconds"]
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for whose, one in tallies.items():
        family.add_metric(whose, one.latency.cumulative(), one.latency.total)
    yield family


def gauge_family(name: str, values: Mapping[tuple[str, ...], float]) -> Family:
    """A gauge of the catalogue with these values, by their labels."""
    metric = CATALOGUE[name]
    family = GaugeMetricFamily(name, metric.meaning, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, float(value))
    return family


def counter_family(name: str, values: Mapping[tuple[str, ...], float]) -> Family:
    """A counter of the catalogue with these values, by their labels."""
    metric = CATALOGUE[name]
    family = CounterMetricFamily(name, metric.meaning, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, float(value))
    return family


def _of_lanes(name: str, values: Iterable[tuple[LaneNow, float]]) -> Family:
    return gauge_family(name, {(lane.account, str(lane.lane)): value for lane, value in values})
