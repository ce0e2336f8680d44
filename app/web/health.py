"""The health of the process, for machines: ``/healthz``, ``/readyz`` and ``/metrics``."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from app.clock import Clock
from app.metrics.live import ProcessNow
from app.metrics.registry import Metrics
from app.web.callers import scope_of
from app.web.rules import reading
from app.web.soundings import Soundings
from app.web.vitals import Phase, Vitals

_UNREADY: Final = 503
_STALLED: Final = "a part of the daemon has not run for longer than a lease lasts"


class Health:
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
        status: Vitals,
        metrics: Metrics,
        probes: Soundings,
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
            reading("/metrics", self.metrics),
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
        """All metrics that the caller may see, as text or, if ``Accept`` asks for it, as OpenMetrics."""
        failing = await self._failing()
        now = ProcessNow(
            phase=self._status.phase.value,
            phases=[phase.value for phase in Phase],
            ready=not failing,
            clock_skew_s=self._clock.skew(),
            lines_lost=self._lines_lost(),
            database=None if "database" in failing else await self._probes.database_counts(),
        )
        scrape = self._metrics.scrape(now).limited_to(scope_of(request))
        body, content_type = await asyncio.to_thread(scrape.written, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    def storage_trouble(self) -> str | None:
        """Why downloads wait in this process; ``None`` if they do not."""
        return None if self._metrics.daemon().storage_open else "It accepts no files now; the log says why."

    async def _failing(self) -> dict[str, str]:
        """Everything that keeps the process from being ready, with its reason."""
        failing: dict[str, str] = {}
        fault = await self._probes.database_fault()
        if fault is not None:
            failing["database"] = fault
        match self._status.phase:
            case Phase.STARTING:
                failing["phase"] = "the daemon has not started to serve yet"
            case Phase.DRAINING:
                failing["phase"] = "the daemon was asked to end and is draining"
            case Phase.SERVING if self._metrics.daemon().stalled:
                failing["lanes"] = _STALLED
            case Phase.SERVING if not self._metrics.daemon().in_touch:
                failing["lanes"] = "the leases of the lanes could not be taken or renewed"
            case Phase.SERVING | Phase.STANDBY:
                pass
        return failing

    def _about(self) -> dict[str, object]:
        uptime_s = round(self._clock.monotonic() - self._started_at, 1)
        return {"phase": self._status.phase.value, "version": self._version, "uptime_s": uptime_s}
