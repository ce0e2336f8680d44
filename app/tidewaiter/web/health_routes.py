"""The health of the process for machines: ``/healthz``, ``/readyz`` and ``/metrics``.

The daemon writes its phase into :class:`ProcessStatus`. :class:`CachedProbes` asks the database, with a limit of time
and at most once in a few seconds, however often it is used.
"""

import asyncio
import gzip
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from aiohttp import hdrs, web

from tidewaiter.clock import Clock
from tidewaiter.database.dashboard_store import DashboardStore, LaneBacklog
from tidewaiter.database.errors import SchemaError, StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_rows import LaneStatus
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.state_counts import StateCounts
from tidewaiter.domain.job import State
from tidewaiter.metrics.process_metrics import Metrics
from tidewaiter.metrics.readings import DatabaseReading, ExportReading, ProcessReading
from tidewaiter.web.callers import scope_of
from tidewaiter.web.route_rules import read_route

T = TypeVar("T")
_TIMEOUT_S: Final = 5.0
_CHECK_VALID_S: Final = 2.0
_COUNTS_VALID_S: Final = 10.0
_SHARE: Final = 20.0  # counts that took half a second stay valid for ten
_COMPRESSION: Final = 6
_UNREADY: Final = 503
_STALLED: Final = "a part of the daemon has not run for longer than a lease lasts"


class Phase(StrEnum):
    """What the process does."""

    STARTING = "starting"
    """Nothing is served yet."""
    STANDBY = "standby"
    """Another daemon holds the database; this one takes over when the other ends."""
    SERVING = "serving"
    """Lanes are served."""
    DRAINING = "draining"
    """The process was asked to end; steps that run are finished."""


class ProcessStatus:
    """The phase of the process: written by the daemon, read by health checks and pages.

    Args:
        stop: set once the process was asked to end.
    """

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._phase = Phase.STARTING
        self.page_prepared = asyncio.Event()
        """Set when the first look at the page waits for nothing of the start; a listener clears it at first."""
        self.page_prepared.set()

    @property
    def phase(self) -> Phase:
        """What the process does."""
        return Phase.DRAINING if self._stop.is_set() else self._phase

    def enter(self, phase: Phase) -> None:
        """Note that the process begins another phase."""
        self._phase = phase


@dataclass(slots=True)
class _CachedValue(Generic[T]):
    """A value, and until when it is valid."""

    value: T
    until: float


class CachedProbes:
    """Asks the database, one query at a time, and caches each result for a while.

    Args:
        check: checks that the database responds and its schema fits; raises if not.
        check_writes: checks that the database accepts writes; raises if not.
        jobs: counts jobs by state.
        overview: counts the due jobs of each lane.
        lanes: names the accounts of lanes.
        free_bytes: the free bytes in the storage folder, ``None`` without a folder; may raise ``OSError``.
        exports: reads the health of exports.
        clock: the time.
    """

    def __init__(
        self,
        check: Callable[[], Coroutine[None, None, None]],
        *,
        check_writes: Callable[[], Coroutine[None, None, None]],
        jobs: JobStore,
        overview: DashboardStore,
        lanes: LaneStore,
        free_bytes: Callable[[], Coroutine[None, None, int | None]],
        exports: Callable[[], Coroutine[None, None, ExportReading]],
        clock: Clock,
    ) -> None:
        self._check = check
        self._check_writes = check_writes
        self._counts = StateCounts(jobs.database)
        self._overview = overview
        self._lanes = lanes
        self._free_bytes = free_bytes
        self._exports = exports
        self._clock = clock
        self._turn = asyncio.Lock()
        self._given_up: set[asyncio.Task[None]] = set()
        self._checked: _CachedValue[str | None] | None = None
        self._written: _CachedValue[str | None] | None = None
        self._counted: _CachedValue[DatabaseReading | None] | None = None

    async def database_fault(self) -> str | None:
        """Why the database cannot be used, in one sentence; ``None`` if it can."""
        async with self._turn:
            if self._checked is None or self._checked.until <= self._clock.monotonic():
                self._checked = await self._result_of(self._check)
            return self._checked.value

    async def write_fault(self) -> str | None:
        """Why the database accepts no writes, in one sentence; ``None`` if it does."""
        async with self._turn:
            if self._written is None or self._written.until <= self._clock.monotonic():
                self._written = await self._result_of(self._check_writes)
            return self._written.value

    async def database_counts(self) -> DatabaseReading | None:
        """What the database holds; ``None`` if it does not respond."""
        async with self._turn:
            begun_at = self._clock.monotonic()
            if self._counted is None or self._counted.until <= begun_at:
                found = await self._count()
                ended_at = self._clock.monotonic()
                self._counted = _CachedValue(found, ended_at + max(_COUNTS_VALID_S, _SHARE * (ended_at - begun_at)))
            return self._counted.value

    async def _result_of(self, check: Callable[[], Coroutine[None, None, None]]) -> _CachedValue[str | None]:
        fault = await self._fault_found_by(check)
        return _CachedValue(fault, self._clock.monotonic() + _CHECK_VALID_S)

    async def _fault_found_by(self, check: Callable[[], Coroutine[None, None, None]]) -> str | None:
        try:
            await self._within_limit(check)
        except TimeoutError:
            return f"The database has not answered for {_TIMEOUT_S:g} seconds."
        except (StoreUnavailableError, SchemaError) as error:
            return str(error)
        return None

    async def _within_limit(self, ask: Callable[[], Coroutine[None, None, T]]) -> T:
        """Ask the database for five seconds at most.

        A server that stands still also keeps the driver from cancelling. That is not waited for, and nothing else is
        asked meanwhile.

        Raises:
            TimeoutError: there is no answer, or the last question is not ended yet.
        """
        if self._given_up:
            raise TimeoutError
        asking = asyncio.ensure_future(ask())
        try:
            await asyncio.wait((asking,), timeout=_TIMEOUT_S)
        except asyncio.CancelledError:
            asking.cancel()
            raise
        if asking.done():
            return asking.result()
        ending = asyncio.ensure_future(_ended(asking))
        self._given_up.add(ending)
        ending.add_done_callback(self._given_up.discard)
        raise TimeoutError

    async def _count(self) -> DatabaseReading | None:
        now = self._clock.now()

        async def ask() -> tuple[Mapping[State, int], Mapping[int, LaneBacklog], Sequence[LaneStatus]]:
            return (
                await self._counts.counts(self._clock.monotonic()),
                await self._overview.backlogs(now),
                await self._lanes.all_lanes(),
            )

        try:
            counts, backlogs, lanes = await self._within_limit(ask)
        except (TimeoutError, StoreUnavailableError):
            return None
        due, overdue_s = {lane.account: 0 for lane in lanes}, {lane.account: 0.0 for lane in lanes}
        for lane in lanes:
            backlog = backlogs.get(lane.id)
            if backlog is not None and backlog.oldest_due_at is not None:
                due[lane.account] += backlog.due
                overdue_s[lane.account] = max(overdue_s[lane.account], now - backlog.oldest_due_at)
        return DatabaseReading(
            {state.value: count for state, count in counts.items()},
            due,
            overdue_s,
            await self._free_space(),
            await self._export_reading(),
        )

    async def _export_reading(self) -> ExportReading | None:
        """The health of exports. If it takes too long, only it is missing: the database does answer."""
        try:
            return await self._within_limit(self._exports)
        except (TimeoutError, StoreUnavailableError):
            return None

    async def _free_space(self) -> int | None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await self._free_bytes()
        except (TimeoutError, OSError):
            return None


async def _ended(asking: asyncio.Future[Any]) -> None:
    """Cancel a question and wait for its end, whatever that is."""
    asking.cancel()
    await asyncio.wait((asking,))
    if not asking.cancelled():
        asking.exception()


class HealthRoutes:
    """The routes for monitoring.

    Args:
        status: what the process does.
        metrics: the counters, and the state of the daemon's parts.
        probes: asks the database.
        version: of the program.
        lines_lost: how many log lines were lost since the start.
        clock: the time.
    """

    def __init__(
        self,
        status: ProcessStatus,
        metrics: Metrics,
        probes: CachedProbes,
        *,
        version: str,
        lines_lost: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._status = status
        self._metrics = metrics
        self._probes = probes
        self._version = version
        self._lines_lost = lines_lost
        self._clock = clock
        self._started_at = clock.monotonic()

    def routes(self) -> list[web.AbstractRouteDef]:
        """The three routes."""
        return [
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
            read_route("/metrics", self.metrics),
        ]

    async def healthz(self, _request: web.Request) -> web.Response:
        """200 while the event loop and the daemon's parts run, also in standby and while draining."""
        stalled = self._metrics.daemon().stalled
        body: dict[str, object] = {"status": "stalled" if stalled else "ok"}
        if stalled:
            body["reason"] = _STALLED
        return web.json_response(body | self._about(), status=_UNREADY if stalled else 200)

    async def readyz(self, _request: web.Request) -> web.Response:
        """200 if new work would be done, else 503 with everything that fails."""
        failing = await self._failing()
        body: dict[str, object] = {"status": "unready" if failing else "ready"}
        if failing:
            body["failing"] = failing
        lanes = len(self._metrics.daemon().lanes)
        return web.json_response(body | self._about() | {"lanes": lanes}, status=_UNREADY if failing else 200)

    async def metrics(self, request: web.Request) -> web.Response:
        """All metrics that the caller may see, as text or, if ``Accept`` asks for it, as OpenMetrics.

        They are compressed with gzip if the caller accepts it.
        """
        failing, is_readable = await self._failing(), await self._probes.database_fault() is None
        now = ProcessReading(
            phase=self._status.phase.value,
            phases=[phase.value for phase in Phase],
            ready=not failing,
            clock_skew_s=self._clock.skew(),
            lines_lost=self._lines_lost(),
            database_up=failing.keys().isdisjoint(("database", "recorder")),
            database=await self._probes.database_counts() if is_readable else None,
        )
        scrape = self._metrics.scrape(now).limited_to(scope_of(request))
        body, content_type = await asyncio.to_thread(scrape.written, request.headers.get(hdrs.ACCEPT, ""))
        headers = {hdrs.CONTENT_TYPE: content_type, hdrs.VARY: "Accept, Accept-Encoding"}
        if _accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
            body = await asyncio.to_thread(gzip.compress, body, _COMPRESSION, mtime=0)
            headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=body, headers=headers)

    def storage_trouble(self) -> str | None:
        """Why downloads wait in this process; ``None`` if they do not."""
        return None if self._metrics.daemon().storage_open else "It accepts no files now; the log says why."

    async def write_trouble(self) -> str | None:
        """Why the database accepts no writes, or not those of the daemon in this process; ``None`` if it does."""
        return await self._probes.write_fault() or self._metrics.daemon().unrecorded

    async def _failing(self) -> dict[str, str]:
        """Everything that keeps the process from being ready, with its reason."""
        failing: dict[str, str] = {}
        fault = await self._probes.database_fault() or await self._probes.write_fault()
        if fault is not None:
            failing["database"] = fault
        unrecorded = self._metrics.daemon().unrecorded
        if unrecorded is not None:
            failing["recorder"] = unrecorded
        match self._status.phase:
            case Phase.STARTING:
                failing["phase"] = "the daemon has not started to serve yet"
            case Phase.DRAINING:
                failing["phase"] = "the daemon was asked to end and is draining"
            case Phase.SERVING if self._metrics.daemon().stalled:
                failing["lanes"] = _STALLED
            case Phase.SERVING if not self._status.page_prepared.is_set():
                failing["page"] = "the counts of all jobs are read for the first time"
            case Phase.SERVING if not self._metrics.daemon().in_touch:
                failing["lanes"] = "the leases of the lanes could not be taken or renewed"
            case Phase.SERVING | Phase.STANDBY:
                pass
        trouble = self.storage_trouble()
        if trouble is not None:
            failing["storage"] = trouble
        return failing

    def _about(self) -> dict[str, object]:
        uptime_s = round(self._clock.monotonic() - self._started_at, 1)
        return {"phase": self._status.phase.value, "version": self._version, "uptime_s": uptime_s}


def _accepts_gzip(accepted: str) -> bool:
    """Whether ``Accept-Encoding`` names gzip, without a weight of zero (RFC 9110, section 12.5.3)."""
    for one in accepted.split(","):
        coding, _, weight = one.replace(" ", "").lower().partition(";q=")
        if coding == "gzip":
            return weight.rstrip("0").rstrip(".") not in ("0", "") if weight else True
    return False
