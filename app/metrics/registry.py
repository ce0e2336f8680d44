"""The metrics of this process: what is counted, by whom, and how it is written down for whoever scrapes."""

import platform
from collections import Counter as Tally
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from app.domain.scope import EVERY_ACCOUNT, Scope
from app.metrics import collect
from app.metrics.instruments import gauge, histogram
from app.metrics.live import DaemonNow, ProcessNow
from app.metrics.observer import Observer
from app.metrics.tallies import RequestTally

PROVIDER = "provider"
ELSEWHERE = "elsewhere"


class Metrics:
    """Counts for as long as the process lives; a daemon that is put together anew goes on with the same ones.

    ``observe`` is for the event log, which most is counted from. ``lagged`` takes seconds. ``daemon`` tells how the
    daemon's parts stand now.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._polls: Tally[str] = Tally()
        self._requests: dict[tuple[str, str], RequestTally] = {}
        self.daemon: Callable[[], DaemonNow] = DaemonNow
        events = Observer(self._registry)
        self.observe: Callable[[str, Mapping[str, object]], None] = events
        self._expect = events.expect
        self._commit_updates = histogram("tidewaiter_commit_updates", self._registry)
        self._commit_seconds = histogram("tidewaiter_commit_seconds", self._registry)
        self.lagged: Callable[[float], None] = histogram("tidewaiter_event_loop_lag_seconds", self._registry).observe
        ProcessCollector(registry=self._registry)

    def born(self, version: str, started_at: float) -> None:
        """The program's version, and when it was started, in epoch seconds."""
        build = gauge("tidewaiter_build_info", self._registry)
        build.labels(version, platform.python_version()).set(1)
        gauge("tidewaiter_start_time_seconds", self._registry).set(started_at)

    def serve(self, operations: Mapping[str, Collection[str]], now: Callable[[], DaemonNow]) -> None:
        """A daemon works from now on, on these accounts and their operations; ``now`` tells how its parts stand.

        Series of what may happen begin at 0, or their first increase would not be seen.
        """
        self.reconfigure(operations)
        self.daemon = now

    def reconfigure(self, operations: Mapping[str, Collection[str]]) -> None:
        """Let the series of these accounts and their operations begin at 0; those of other accounts stay."""
        self._expect(operations)
        for account in operations:
            self._polls[account] += 0
            self.requests(account, PROVIDER)

    def polled(self, account: str) -> None:
        """A poll was answered."""
        self._polls[account] += 1

    def requests(self, account: str, to: str) -> RequestTally:
        """Where the requests of an account are counted; ``to`` is ``PROVIDER`` or ``ELSEWHERE``."""
        return self._requests.setdefault((account, to), RequestTally())

    def committed(self, updates: int, seconds: float) -> None:
        """A group of updates was committed."""
        self._commit_updates.observe(updates)
        self._commit_seconds.observe(seconds)

    def scrape(self, now: ProcessNow) -> "Scrape":
        """Look at everything; to be called from the event loop, and quick."""
        return Scrape(self._registry, now, self.daemon(), dict(self._polls), dict(self._requests))


@dataclass(frozen=True, slots=True)
class Scrape(Collector):
    """One look at everything, to be written down. What was read is as it was; what is counted goes on."""

    counted: Collector
    process: ProcessNow
    daemon: DaemonNow
    polls: Mapping[str, int]
    requests: Mapping[tuple[str, str], RequestTally]
    scope: Scope = EVERY_ACCOUNT

    def limited_to(self, scope: Scope) -> "Scrape":
        """The same without what concerns more than one of these accounts: only series of one of them are left."""
        return replace(self, scope=scope)

    def written(self, accept: str) -> tuple[bytes, str]:
        """All metrics, as text or as OpenMetrics by the request's ``Accept``, and the content type.

        With a hundred accounts it takes a quarter of a second: it may be called in a thread, and should be.

        Source: https://prometheus.io/docs/instrumenting/exposition_formats/
        """
        encode, content_type = choose_encoder(accept)
        return encode(self), content_type

    def collect(self) -> Iterator[Family]:
        """Every family: the library's way to ask. The time at which each series was made is left out.

        That would be every counter twice.
        """
        for family in self._collected():
            if self.scope.accounts is not None:
                family.samples = [one for one in family.samples if one.labels.get("account") in self.scope.accounts]
            if family.samples or not self.scope.is_limited:
                yield family

    def _collected(self) -> Iterator[Family]:
        for family in self.counted.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
        yield from collect.of_process(self.process)
        yield from collect.of_daemon(self.daemon)
        yield collect.counter("tidewaiter_polls_total", {(account,): count for account, count in self.polls.items()})
        yield from collect.of_requests(self.requests)
