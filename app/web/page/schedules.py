"""The page of the schedules: their next ticks, and the job of the last one."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from aiohttp import web

from app.desk import ScheduleDesk, ScheduleStanding
from app.web.page.frame import Frame
from app.web.rules import GuardedRoute, reading

_TICKS: Final = 3


@dataclass(frozen=True, slots=True)
class Recurring:
    """The status of a schedule, and its next ticks in epoch seconds."""

    standing: ScheduleStanding
    ticks: list[float]


class SchedulesRoom:
    """The page at ``/schedules``.

    Args:
        renderer: makes the page.
        schedules: has the schedules.
    """

    def __init__(self, renderer: Frame, schedules: Callable[[web.Request], ScheduleDesk]) -> None:
        self._renderer = renderer
        self._schedules = schedules

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [reading("/schedules", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        now = self._renderer.clock.now()
        recurring = [
            Recurring(one, list(islice(one.schedule.ticks_after(now), _TICKS)))
            for one in await self._schedules(request).standings()
        ]
        recurring.sort(key=lambda one: one.ticks[0] if one.ticks else float("inf"))
        return self._renderer.page(request, "schedules.html", title="Schedules", recurring=recurring)
