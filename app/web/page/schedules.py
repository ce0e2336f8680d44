"""The schedules: what recurs, when each ticks next, and the job that its last tick asked for."""

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
    """How a schedule stands, and its next ticks in epoch seconds."""

    standing: ScheduleStanding
    ticks: list[float]


class SchedulesRoom:
    """The page at ``/schedules``.

    Args:
        frame: makes the page.
        schedules: answers for them.
    """

    def __init__(self, frame: Frame, schedules: Callable[[web.Request], ScheduleDesk]) -> None:
        self._frame = frame
        self._schedules = schedules

    def routes(self) -> list[GuardedRoute]:
        """Where it is."""
        return [reading("/schedules", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        now = self._frame.clock.now()
        recurring = [
            Recurring(one, list(islice(one.schedule.ticks_after(now), _TICKS)))
            for one in await self._schedules(request).standings()
        ]
        recurring.sort(key=lambda one: one.ticks[0] if one.ticks else float("inf"))
        return self._frame.page(request, "schedules.html", title="Schedules", recurring=recurring)
