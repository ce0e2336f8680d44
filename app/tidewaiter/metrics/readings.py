"""What is read at a scrape: counters of the hot path, and the state of process, daemon and database; and their samples.

The counters are plain numbers, written from the event loop only: a counter of the client library takes a lock and costs
about a microsecond, a poll passes three of them, and thousands of polls are made in a second.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, TypeVar

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from tidewaiter.metrics.metric_catalogue import CATALOGUE

Labels = TypeVar("Labels", bound=tuple[str, ...])
_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
_LEAST_STATUS: Final = 100
_BOUNDS: Final = CATALOGUE["tidewaiter_reply_seconds"].buckets


class BucketCounts:
    """Counts values in buckets; a value on a bound belongs to the bucket that ends there."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """For each bound how many values did not exceed it, in the form of the exposition format."""
        names = [*map(str, self._bounds), "+Inf"]
        return [(name, float(count)) for name, count in zip(names, accumulate(self._counts), strict=True)]


class RequestCounter:
    """Counts the requests of one account to one kind of host."""

    __slots__ = ("latency", "statuses")

    def __init__(self) -> None:
        self.statuses = dict.fromkeys((*_CLASSES, "unsent", "lost"), 0)
        self.latency = BucketCounts(_BOUNDS)

    def replied(self, status: int, seconds: float) -> None:
        """Count a reply labels headers came ``seconds`` after its request."""
        place = min(max(status, _LEAST_STATUS), 599) // 100 - 1
        self.statuses[_CLASSES[place]] += 1
        self.latency.add(seconds)

    def failed(self, *, sent: bool) -> None:
        """Count a request without a reply; ``sent`` if the remote may have seen it."""
        self.statuses["lost" if sent else "unsent"] += 1


@dataclass(frozen=True, slots=True)
class LaneReading:
    """A lane that is served: running steps, seconds until the next request, requests that its budget permits now.

    ``left`` is ``None`` if the account has no limit.
    """

    lane: int
    account: str
    in_flight: int
    closed_s: float
    breaker_open: bool
    left: int | None


@dataclass(frozen=True, slots=True)
class DaemonReading:
    """The parts of a daemon: its lanes, who paused which account, updates not yet committed, the storage gate.

    ``in_touch``: the last renewal of leases succeeded. ``stalled``: none was tried for too long.
    """

    lanes: Sequence[LaneReading] = ()
    paused: Mapping[str, str] = field(default_factory=dict)
    waiting: int = 0
    storage_open: bool = True
    in_touch: bool = False
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class ScheduleReading:
    """A schedule: how its last run ended, if nobody has handled a failure of it, and since when a run is missing."""

    account: str
    schedule: str
    state: str | None
    late_s: float


@dataclass(frozen=True, slots=True)
class ExportReading:
    """What a person should know of: unhandled failures, schedules, and by operation how long jobs run and usually take.

    The keys are account and operation.
    """

    failures: Mapping[tuple[str, str], float] = field(default_factory=dict)
    schedules: Sequence[ScheduleReading] = ()
    running_s: Mapping[tuple[str, str], float] = field(default_factory=dict)
    usual_s: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatabaseReading:
    """What was read from the database: jobs by state, and by account the jobs due and the seconds it is late.

    ``free_bytes`` is the free space in the storage folder, ``None`` for a bucket. ``exports`` is ``None`` if that could
    not be read in time.
    """

    jobs: Mapping[str, int]
    due: Mapping[str, int]
    overdue_s: Mapping[str, float]
    free_bytes: int | None = None
    exports: ExportReading | None = None


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """The process: its phase, whether it is ready, how far the wall clock was moved, log lines lost.

    ``database`` is ``None`` if the database did not answer.
    """

    phase: str
    phases: Sequence[str]
    ready: bool
    clock_skew_s: float
    lines_lost: int
    database: DatabaseReading | None


def of_process(now: ProcessReading) -> Iterator[Family]:
    """The state of the process and its database."""
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
    if now.database.exports is not None:
        yield from of_exports(now.database.exports)


def of_exports(now: ExportReading) -> Iterator[Family]:
    """Failures, schedules and long jobs."""
    yield gauge_family("tidewaiter_unhandled_failures", now.failures)
    ended = [one for one in now.schedules if one.state is not None]
    yield gauge_family(
        "tidewaiter_schedule_last_run", {(one.account, one.schedule, str(one.state)): 1 for one in ended}
    )
    late = {(one.account, one.schedule): one.late_s for one in now.schedules}
    yield gauge_family("tidewaiter_schedule_late_seconds", late)
    yield gauge_family("tidewaiter_longest_running_seconds", now.running_s)
    yield gauge_family("tidewaiter_usual_duration_seconds", now.usual_s)


def of_daemon(now: DaemonReading) -> Iterator[Family]:
    """The state of the daemon's parts."""
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


def of_requests(counters: Mapping[tuple[str, str], RequestCounter]) -> Iterator[Family]:
    """Counted requests, by account and destination."""
    yield counter_family(
        "tidewaiter_requests_total",
        {(*labels, status): count for labels, one in counters.items() for status, count in one.statuses.items()},
    )
    metric = CATALOGUE["tidewaiter_reply_seconds"]
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for labels, one in counters.items():
        family.add_metric(labels, one.latency.cumulative(), one.latency.total)
    yield family


def gauge_family(name: str, values: Mapping[Labels, float]) -> Family:
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


def _of_lanes(name: str, values: Iterable[tuple[LaneReading, float]]) -> Family:
    return gauge_family(name, {(lane.account, str(lane.lane)): value for lane, value in values})
