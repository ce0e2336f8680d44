"""The schedules: what recurs, when each ticks next, and the job that its last tick asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from aiohttp import web

from app.recurrence import Schedule
from app.store.schedules import ScheduleStore, Ticked
from app.web.page.frame import Frame

_TICKS: Final = 3


@dataclass(frozen=True, slots=True)
class Recurring:
    """A schedule, its next ticks in epoch seconds, and how far it is."""

    schedule: Schedule
    ticks: list[float]
    ticked: Ticked | None


class SchedulesRoom:
    """The page at ``/schedules``.

    Args:
        frame: makes the page.
        schedules: the configured ones, by name.
        store: how far they are.
    """

    def __init__(self, frame: Frame, schedules: Callable[[], Mapping[str, Schedule]], store: ScheduleStore) -> None:
        self._frame = frame
        self._schedules = schedules
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        """Where it is."""
        return [web.get("/schedules", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        ticked, now = await self._store.ticked(), self._frame.clock.now()
        recurring = [
            Recurring(one, list(islice(one.ticks_after(now), _TICKS)), ticked.get(name))
            for name, one in self._schedules().items()
        ]
        recurring.sort(key=lambda one: one.ticks[0] if one.ticks else float("inf"))
        return self._frame.page(request, "schedules.html", title="Schedules", recurring=recurring)
