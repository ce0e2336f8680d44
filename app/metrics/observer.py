"""Counts events of the log; some events also count what they report, such as bytes.

The catalogue of events is the contract: a name or a field that changes there changes here.
"""

from collections.abc import Collection, Mapping
from typing import Final

from prometheus_client import CollectorRegistry

from app.domain.job import TERMINAL
from app.events import CATALOGUE
from app.metrics.instruments import counter, histogram

_NOTIFICATION: Final = "notification."
# Events, other than job.troubled, that keep a job from making progress.
_TROUBLES: Final[Mapping[str, str]] = {
    "job.unmapped": "Unmapped",
    "job.crashed": "Crashed",
    "job.conflicted": "Conflicted",
    "job.parked": "Parked",
}
# Other outcomes of job.troubled concern the account or the daemon, or are counted by an event of their own.
_COUNTED: Final = ("Retry", "Unsent", "StorageFull")
_FIRST_TROUBLES: Final = (*_COUNTED, *_TROUBLES.values())


class Observer:
    """Counts logged events; may be called from any thread, because libraries log from theirs.

    Args:
        registry: where the counters are made.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = counter("tidewaiter_log_events_total", registry)
        self._ended = counter("tidewaiter_jobs_ended_total", registry)
        self._duration = histogram("tidewaiter_job_duration_seconds", registry)
        self._landing = histogram("tidewaiter_landing_delay_seconds", registry)
        self._troubles = counter("tidewaiter_job_troubles_total", registry)
        self._files = counter("tidewaiter_files_landed_total", registry)
        self._bytes = counter("tidewaiter_landed_bytes_total", registry)
        self._throttles = counter("tidewaiter_throttles_total", registry)
        self._notifications = counter("tidewaiter_notifications_total", registry)
        for name, event in CATALOGUE.items():
            self._events.labels(name, event.level)
            if name.startswith(_NOTIFICATION):
                self._notifications.labels(name.removeprefix(_NOTIFICATION))

    def expect(self, operations: Mapping[str, Collection[str]]) -> None:
        """Let the series of these accounts and their operations begin at 0."""
        for account, names in operations.items():
            self._throttles.labels(account)
            for operation in names:
                self._files.labels(account, operation)
                self._bytes.labels(account, operation)
                for state in TERMINAL:
                    self._ended.labels(account, operation, state.value)
                for outcome in _FIRST_TROUBLES:
                    self._troubles.labels(account, operation, outcome)

    def __call__(self, name: str, fields: Mapping[str, object]) -> None:
        """An event was logged, with these fields."""
        event = CATALOGUE.get(name)
        self._events.labels(name if event else "uncatalogued", event.level if event else "warning").inc()
        if name.startswith(_NOTIFICATION):
            self._notifications.labels(name.removeprefix(_NOTIFICATION)).inc()
        match name:
            case "job.finished" | "job.failed":
                self._job_ended(fields)
            case "job.troubled" if fields.get("outcome") in _COUNTED:
                self._troubles.labels(*_work(fields), str(fields.get("outcome"))).inc()
            case "job.unmapped" | "job.crashed" | "job.conflicted" | "job.parked":
                self._troubles.labels(*_work(fields), _TROUBLES[name]).inc()
            case "file.landed":
                self._files.labels(*_work(fields)).inc()
                self._bytes.labels(*_work(fields)).inc(_number(fields.get("bytes")))
            case "account.paused" if "by" not in fields:
                self._throttles.labels(str(fields.get("account"))).inc()
            case _:
                pass

    def _job_ended(self, fields: Mapping[str, object]) -> None:
        self._ended.labels(*_work(fields), str(fields.get("state"))).inc()
        self._duration.labels(*_work(fields)).observe(_number(fields.get("total_s")))
        if fields.get("fetching_s") is not None:
            self._landing.labels(*_work(fields)).observe(_number(fields["fetching_s"]))


def _work(fields: Mapping[str, object]) -> tuple[str, str]:
    return str(fields.get("account")), str(fields.get("operation"))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
