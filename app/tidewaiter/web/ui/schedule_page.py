"""The page of the recurring jobs: their recent runs, their next ticks, and what a person may do with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from aiohttp import web

from tidewaiter.domain.formatting import counted
from tidewaiter.domain.job import Job
from tidewaiter.recurrence import MOST_CAUGHT_UP, CatchUp
from tidewaiter.services import ScheduleService, ScheduleStatus
from tidewaiter.services.schedule_service import MOST_PASSED
from tidewaiter.web.route_rules import GuardedRoute, read_route
from tidewaiter.web.ui.page_renderer import PageRenderer

_TICKS: Final = 3
_CAUGHT_UP: Final = {
    CatchUp.SKIP: "they are skipped",
    CatchUp.LAST: "the job of the last one is submitted",
    CatchUp.ALL: f"the jobs of all of them are submitted, of at most {MOST_CAUGHT_UP:,}",
}


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """The status of a schedule, its next ticks in epoch seconds, and its newest jobs, the oldest of them first."""

    status: ScheduleStatus
    ticks: Sequence[float]
    runs: Sequence[Job]

    @property
    def last(self) -> Job | None:
        """The newest job that a tick has made."""
        return next((job for job in reversed(self.runs) if job.context.scheduled_for is not None), None)

    @property
    def resuming(self) -> str:
        """What a person should know before resuming it."""
        passed = self.status.passed
        if not passed:
            return "Serve its ticks again. None has passed in the pause."
        ticks = f"over {MOST_PASSED:,} ticks" if passed >= MOST_PASSED else counted(passed, "tick")
        return f"Serve its ticks again. In the pause passed {ticks}; {_CAUGHT_UP[self.status.schedule.catch_up]}."

    def in_zone(self, tick_at: float) -> str:
        """A tick in the time zone of the schedule."""
        return f"{datetime.fromtimestamp(tick_at, self.status.schedule.zone):%a %Y-%m-%d %H:%M %Z}"


class SchedulePage:
    """The page at ``/schedules``.

    Args:
        renderer: makes the page.
        schedules: has the schedules.
    """

    def __init__(self, renderer: PageRenderer, schedules: Callable[[web.Request], ScheduleService]) -> None:
        self._renderer = renderer
        self._schedules = schedules

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [read_route("/schedules", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        service = self._schedules(request)
        rows, unserved = await schedule_rows(service, self._renderer.clock.now()), service.unserved
        return self._renderer.page(request, "schedules.html", title="Schedules", recurring=rows, unserved=unserved)


async def schedule_rows(service: ScheduleService, now: float, account: str | None = None) -> list[ScheduleRow]:
    """The schedules, of one account or of all, by their next tick; paused ones come last."""
    rows = [
        ScheduleRow(
            one,
            list(islice(one.schedule.ticks_after(now), _TICKS)),
            list(reversed(await service.runs(one.schedule.name))),
        )
        for one in await service.statuses()
        if account is None or one.schedule.account == account
    ]
    return sorted(rows, key=lambda row: (row.status.pause is not None, row.ticks[0] if row.ticks else float("inf")))
