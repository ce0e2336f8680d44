"""The metrics of this process: what is counted, by whom, and how it is written down for whoever scrapes."""

import platform
from collections import Counter as Tally
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family

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
        self._registry = _Registry()
        self._polls: Tally[str] = Tally()
        self._requests: dict[tuple[str, str], RequestTally] = {}
        self.daemon: Callable[[], DaemonNow] = DaemonNow
        self._process: ProcessNow | None = None
        events = Observer(self._registry)
        self.observe: Callable[[str, Mapping[str, object]], None] = events
        self._expect = events.expect
        self._commit_updates = histogram("tidewaiter_commit_updates", self._registry)
        self._commit_seconds = histogram("tidewaiter_commit_seconds", self._registry)
        self.lagged: Callable[[float], None] = histogram("tidewaiter_event_loop_lag_seconds", self._registry).observe
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def born(self, version: str, started_at: float) -> None:
        """The program's version, and when it was started, in epoch seconds."""
        build = gauge("tidewaiter_build_info", self._registry)
        build.labels(version, platform.python_version()).set(1)
        gauge("tidewaiter_start_time_seconds", self._registry).set(started_at)

    def serve(self, operations: Mapping[str, Collection[str]], now: Callable[[], DaemonNow]) -> None:
        """A daemon works from now on, on these accounts and their operations; ``now`` tells how its parts stand.

        Series of what may happen begin at 0, or their first increase would not be seen.
        """
        self.expect(operations)
        self.daemon = now

    def expect(self, operations: Mapping[str, Collection[str]]) -> None:
        """These accounts and their operations are there from now on."""
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

    def exposition(self, accept: str, now: ProcessNow) -> tuple[bytes, str]:
        """All metrics, as text or as OpenMetrics by the request's ``Accept``, and the content type.

        Source: https://prometheus.io/docs/instrumenting/exposition_formats/
        """
        self._process = now
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Family]:
        """What is read, not counted, at the moment of a scrape: the registry's way to ask."""
        if self._process is not None:
            yield from collect.of_process(self._process)
        yield from collect.of_daemon(self.daemon())
        yield collect.counter("tidewaiter_polls_total", {(account,): count for account, count in self._polls.items()})
        yield from collect.of_requests(self._requests)

    def describe(self) -> Iterable[Family]:
        """Nothing: names are held apart by the catalogue."""
        return ()


class _Registry(CollectorRegistry):
    """A registry of our own, without the time at which each series was made: that would be every counter twice."""

    def collect(self) -> Iterator[Family]:
        for family in super().collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
