"""The catalogue of metrics: every name, label and bucket that ``/metrics`` may show, and the client library's objects.

``docs/metrics.md`` is made from it (``python -m tidewaiter.metrics``), and a test checks the alert rules against it.
Labels stay few: what grows with the number of jobs (numbers, handles, addresses) belongs in the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Kind = Literal["counter", "gauge", "histogram"]

_ACCOUNT = ("account",)
_WORK = ("account", "operation")
_LANE = ("account", "lane")

_LAG_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REPLY_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_COMMIT_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0)
_GROUP: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_LANDING_S: Final = (0.1, 0.5, 1.0, 5.0, 15.0, _MINUTE, 300.0, 900.0, _HOUR, 4 * _HOUR, _DAY)
_JOB_S: Final = (1.0, 10.0, _MINUTE, 300.0, 900.0, 1800.0, _HOUR, 3 * _HOUR, 8 * _HOUR, _DAY, 3 * _DAY, 7 * _DAY)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what it means, the labels of its series, its unit in its name."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Chapter:
    """Metrics that belong together, and their source."""

    title: str
    source: str
    metrics: tuple[Metric, ...]


CHAPTERS: Final = (
    Chapter("The process", "Of the process that is scraped.", (
        Metric("tidewaiter_build_info", "gauge", "1, with the version of the program and of Python",
               ("version", "python")),
        Metric("tidewaiter_start_time_seconds", "gauge", "When the process started, in epoch seconds"),
        Metric("tidewaiter_phase", "gauge",
               "1 for what the process does now, 0 for the rest: starting, standby, serving, draining", ("phase",)),
        Metric("tidewaiter_accounts_in_other", "gauge",
               'Accounts whose series are in account="other", because of [http] metrics_accounts'),
        Metric("tidewaiter_ready", "gauge", "1 if /readyz answers 200"),
        Metric("tidewaiter_event_loop_lag_seconds", "histogram",
               "How late the event loop ran, measured once a second", (), _LAG_S),
        Metric("tidewaiter_clock_skew_seconds", "gauge", "By how much the wall clock was moved since the start"),
    )),
    Chapter("The database", "Read from the database, at most every ten seconds and in at most a twentieth of the time; "
            "every daemon on one database shows the same, so take the `max`. Missing while the database does not "
            "answer.", (
        Metric("tidewaiter_database_up", "gauge", "1 if the database answers and accepts writes"),
        Metric("tidewaiter_jobs", "gauge", "Jobs in the database", ("state",)),
        Metric("tidewaiter_jobs_due", "gauge", "Jobs that are due; 10001 in a lane stands for more", _ACCOUNT),
        Metric("tidewaiter_overdue_seconds", "gauge",
               "How late the account's most overdue job is, downloads under way left out; 0 if none is",
               _ACCOUNT),
    )),
    Chapter("Exports", "What a person should know of, read from the database in the same way: take the `max`.", (
        Metric("tidewaiter_unhandled_failures", "gauge",
               "Jobs that failed or expired, and that nobody has acknowledged or retried; missing where there is none",
               _WORK),
        Metric("tidewaiter_schedule_last_run", "gauge",
               "1 for how the schedule's last run ended; missing if a person has handled its failure, and in a pause",
               (*_ACCOUNT, "schedule", "state")),
        Metric("tidewaiter_schedule_late_seconds", "gauge",
               "For how long a run of the schedule is missing: it was not served, refused, or skipped; 0 if none is "
               "missing. A later run, also one by hand, ends it",
               (*_ACCOUNT, "schedule")),
        Metric("tidewaiter_longest_running_seconds", "gauge",
               "For how long the operation's oldest submitted job runs; 0 if none does", _WORK),
        Metric("tidewaiter_usual_duration_seconds", "gauge",
               "What 95 % of the operation's jobs that succeeded in the last 30 days did not exceed, rounded up by at "
               "most 41 %; missing for fewer than 30 jobs", _WORK),
    )),
    Chapter("Jobs", "Counted by each daemon since it started: take the `sum` of `rate` or `increase`.", (
        Metric("tidewaiter_jobs_ended_total", "counter",
               "Jobs that have ended: succeeded, failed, expired or cancelled", (*_WORK, "state")),
        Metric("tidewaiter_job_duration_seconds", "histogram", "From submission to the end", _WORK, _JOB_S),
        Metric("tidewaiter_landing_delay_seconds", "histogram",
               "From the reply that says ready to the landed files", _WORK, _LANDING_S),
        Metric("tidewaiter_job_troubles_total", "counter",
               "Steps without progress. `outcome` is Retry, Unsent, StorageFull, Unmapped, Crashed, "
               "Conflicted or Parked",
               (*_WORK, "outcome")),
        Metric("tidewaiter_polls_total", "counter", "Polls that were answered", _ACCOUNT),
        Metric("tidewaiter_files_landed_total", "counter", "Files that have landed", _WORK),
        Metric("tidewaiter_landed_bytes_total", "counter", "Their sizes", _WORK),
    )),
    Chapter("Providers", "Of the daemon's own requests.", (
        Metric("tidewaiter_requests_total", "counter",
               "Requests, logins and redirects included. `to` is provider, or elsewhere for files on other hosts. "
               "`status` is 1xx to 5xx, unsent if the remote has seen nothing, lost if no reply came",
               (*_ACCOUNT, "to", "status")),
        Metric("tidewaiter_reply_seconds", "histogram", "From a request to the headers of its reply",
               (*_ACCOUNT, "to"), _REPLY_S),
        Metric("tidewaiter_throttles_total", "counter", "How often the provider, or its limit, asked for a delay",
               _ACCOUNT),
        Metric("tidewaiter_account_paused", "gauge",
               "1 while the account is paused; `by` is credentials, tls or person", (*_ACCOUNT, "by")),
    )),
    Chapter("Lanes", "Of the lanes that this daemon serves now.", (
        Metric("tidewaiter_lanes_owned", "gauge", "Lanes", _ACCOUNT),
        Metric("tidewaiter_steps_in_flight", "gauge", "Steps under way", _LANE),
        Metric("tidewaiter_lane_closed_seconds", "gauge", "Until the next request may be sent; 0 if it may be sent now",
               _LANE),
        Metric("tidewaiter_breaker_open", "gauge", "1 while the circuit breaker holds requests back", _LANE),
        Metric("tidewaiter_budget_left", "gauge", "Requests that may be sent at once; missing without a limit", _LANE),
    )),
    Chapter("Commits and storage", "Of this daemon's own writing.", (
        Metric("tidewaiter_commit_updates", "histogram", "Updates in one group commit", (), _GROUP),
        Metric("tidewaiter_commit_seconds", "histogram", "Duration of a group commit", (), _COMMIT_S),
        Metric("tidewaiter_updates_waiting", "gauge", "Updates that are not committed yet"),
        Metric("tidewaiter_storage_open", "gauge", "0 while the storage does not work and downloads wait"),
        Metric("tidewaiter_storage_free_bytes", "gauge",
               "Free space in the storage folder; missing for a bucket"),
    )),
    Chapter("Log and notifications", "Of this process.", (
        Metric("tidewaiter_log_events_total", "counter",
               "Events, printed or not; job.waited only if debug is logged",
               ("event", "level")),
        Metric("tidewaiter_log_lines_dropped_total", "counter", "Lines lost because the reader of the log stalled"),
        Metric("tidewaiter_notifications_total", "counter",
               "Outbound notifications by result, named as the events notification.*", ("outcome",)),
    )),
)  # fmt: skip

CATALOGUE: Final[Mapping[str, Metric]] = {one.name: one for chapter in CHAPTERS for one in chapter.metrics}


def counter(name: str, registry: CollectorRegistry) -> Counter:
    """A counter of the catalogue."""
    metric = CATALOGUE[name]
    return Counter(name, metric.meaning, metric.labels, registry=registry)


def gauge(name: str, registry: CollectorRegistry) -> Gauge:
    """A gauge of the catalogue."""
    metric = CATALOGUE[name]
    return Gauge(name, metric.meaning, metric.labels, registry=registry)


def histogram(name: str, registry: CollectorRegistry) -> Histogram:
    """A histogram of the catalogue, with its buckets."""
    metric = CATALOGUE[name]
    return Histogram(name, metric.meaning, metric.labels, registry=registry, buckets=metric.buckets)
