"""The metrics of this process: what is counted from the event log and by the daemon, and how a scrape is written.

The catalogue of events is the contract: a name or a field that changes there changes here.
"""

import platform
import time
from collections import Counter as Counts
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from tidewaiter.clock import SystemClock
from tidewaiter.domain.account_scope import EVERY_ACCOUNT, Scope
from tidewaiter.domain.job import TERMINAL, State
from tidewaiter.events import CATALOGUE
from tidewaiter.metrics.account_limit import AccountLimit, folded
from tidewaiter.metrics.metric_catalogue import counter, gauge, histogram
from tidewaiter.metrics.readings import (
    DaemonReading,
    ProcessReading,
    RequestCounter,
    counter_family,
    gauge_family,
    of_daemon,
    of_process,
    of_requests,
)

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


class EventCounter:
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
        if fields.get("fetching_s") is not None and fields.get("state") == State.SUCCEEDED.value:
            self._landing.labels(*_work(fields)).observe(_number(fields["fetching_s"]))


def _work(fields: Mapping[str, object]) -> tuple[str, str]:
    return str(fields.get("account")), str(fields.get("operation"))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


class SandboxedProcessCollector(ProcessCollector):
    """The library's ``process_*`` metrics, also where ``/proc`` shows processes only (``ProcSubset=pid``).

    Without the machine's boot time in ``/proc/stat`` the library would give none of them.
    """

    def _boot_time(self) -> float:
        with suppress(OSError):
            found: float | None = super()._boot_time()  # type: ignore[no-untyped-call]
            if found is not None:
                return found
        return SystemClock().now() - time.clock_gettime(time.CLOCK_BOOTTIME)


PROVIDER = "provider"
ELSEWHERE = "elsewhere"


class Metrics:
    """Counts for as long as the process lives; a daemon that is built again uses the same counters.

    ``observe`` is for the event log, from which most is counted. ``lagged`` takes seconds. ``daemon`` reads the state
    of the daemon's parts. ``accounts`` has the accounts with series of their own.
    """

    def __init__(self, accounts: AccountLimit | None = None) -> None:
        self.accounts = accounts or AccountLimit()
        self._registry = CollectorRegistry()
        self._polls: Counts[str] = Counts()
        self._requests: dict[tuple[str, str], RequestCounter] = {}
        self.daemon: Callable[[], DaemonReading] = DaemonReading
        events = EventCounter(self._registry)
        self.observe: Callable[[str, Mapping[str, object]], None] = events
        self._expect = events.expect
        self._commit_updates = histogram("tidewaiter_commit_updates", self._registry)
        self._commit_seconds = histogram("tidewaiter_commit_seconds", self._registry)
        self.lagged: Callable[[float], None] = histogram("tidewaiter_event_loop_lag_seconds", self._registry).observe
        SandboxedProcessCollector(registry=self._registry)

    def set_start(self, version: str, started_at: float) -> None:
        """The program's version, and when it was started, in epoch seconds."""
        build = gauge("tidewaiter_build_info", self._registry)
        build.labels(version, platform.python_version()).set(1)
        gauge("tidewaiter_start_time_seconds", self._registry).set(started_at)

    def serve(self, operations: Mapping[str, Collection[str]], now: Callable[[], DaemonReading]) -> None:
        """A daemon serves these accounts and their operations from now on; ``now`` reads the state of its parts.

        Series begin at 0, because the first increase of a series that begins at 1 would not be seen.
        """
        self.reconfigure(operations)
        self.daemon = now

    def reconfigure(self, operations: Mapping[str, Collection[str]]) -> None:
        """Let the series of these accounts and their operations begin at 0; those of other accounts stay."""
        self._expect(operations)
        self.accounts.admit(operations)
        for account in operations:
            self._polls[account] += 0
            self.requests(account, PROVIDER)

    def polled(self, account: str) -> None:
        """A poll was answered."""
        self._polls[account] += 1

    def requests(self, account: str, to: str) -> RequestCounter:
        """Where the requests of an account are counted; ``to`` is ``PROVIDER`` or ``ELSEWHERE``."""
        return self._requests.setdefault((account, to), RequestCounter())

    def committed(self, updates: int, seconds: float) -> None:
        """A group of updates was committed."""
        self._commit_updates.observe(updates)
        self._commit_seconds.observe(seconds)

    def scrape(self, now: ProcessReading) -> "Scrape":
        """Read everything; quick, and to be called from the event loop."""
        daemon = self.daemon()
        self.accounts.admit([*self._polls, *(account for account, _ in self._requests), *daemon.paused])
        self.accounts.admit(lane.account for lane in daemon.lanes)
        self.accounts.admit(() if now.database is None else now.database.due)
        return Scrape(
            self._registry,
            now,
            daemon,
            dict(self._polls),
            dict(self._requests),
            self.accounts.named,
            self.accounts.others,
        )


@dataclass(frozen=True, slots=True)
class Scrape(Collector):
    """Everything that was read at one moment; the counters in it continue to count."""

    counted: Collector
    process: ProcessReading
    daemon: DaemonReading
    polls: Mapping[str, int]
    requests: Mapping[tuple[str, str], RequestCounter]
    named: frozenset[str] | None
    others: int
    scope: Scope = EVERY_ACCOUNT

    def limited_to(self, scope: Scope) -> "Scrape":
        """The same with only the series of single accounts in this scope."""
        return replace(self, scope=scope)

    def written(self, accept: str) -> tuple[bytes, str]:
        """All metrics, as text or as OpenMetrics by the request's ``Accept``, and the content type.

        With a hundred accounts it takes a quarter of a second: it may be called in a thread, and should be.

        Source: https://prometheus.io/docs/instrumenting/exposition_formats/
        """
        encode, content_type = choose_encoder(accept)
        return encode(self), content_type

    def collect(self) -> Iterator[Family]:
        """Every family, as the library calls it; without the creation times, which would double every counter."""
        for family in self._collected():
            if self.scope.accounts is not None:
                family.samples = [one for one in family.samples if one.labels.get("account") in self.scope.accounts]
            if self.named is not None:  # after the scope: nobody sees a sum of accounts that he may not see
                family = folded(family, self.named)  # noqa: PLW2901
            if family.samples or not self.scope.is_limited:
                yield family

    def _collected(self) -> Iterator[Family]:
        for family in self.counted.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
        yield gauge_family("tidewaiter_accounts_in_other", {(): self.others})
        yield from of_process(self.process)
        yield from of_daemon(self.daemon)
        yield counter_family("tidewaiter_polls_total", {(account,): count for account, count in self.polls.items()})
        yield from of_requests(self.requests)
