"""The first page: what needs a person, the number of jobs, the lanes, the last hour, and what has landed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from app.desk import Desk
from app.domain.job import LIVE, TERMINAL, State
from app.store.overview import Picture
from app.web.page import charts
from app.web.page.attention import Level, matters_of
from app.web.page.frame import Frame
from app.web.page.sight import Sight
from app.web.page.texts import counted, rough
from app.web.rules import GuardedRoute, reading

_UNDER_WAY: Final = tuple(state for state in State if state in LIVE or state is State.PARKED)
_ENDED: Final = tuple(state for state in State if state in TERMINAL)
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Group:
    """Jobs in some states: their total, the bar, and the number in each state."""

    title: str
    total: int
    pieces: list[charts.Piece]
    counts: list[tuple[State, int]]


class OverviewRoom:
    """The page at ``/``.

    Args:
        renderer: makes the page.
        dashboard: reads what it shows.
        desk: has the accounts.
    """

    def __init__(self, renderer: Frame, dashboard: Sight, desk: Callable[[web.Request], Desk]) -> None:
        self._renderer = renderer
        self._dashboard = dashboard
        self._desk = desk

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [reading("/", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        view = await self._dashboard.read(request)
        picture = view.picture
        matters = matters_of(picture, view.lanes, self._renderer.phase, self._dashboard.storage_trouble())
        return self._renderer.page(
            request,
            "overview.html",
            title="Overview",
            view=view,
            picture=picture,
            matters=matters,
            urgent=sum(matter.level is Level.URGENT for matter in matters),
            groups=[_group("Under way", picture, _UNDER_WAY), _group("Ended", picture, _ENDED)],
            headline=_headline(picture, matters=sum(matter.level is Level.URGENT for matter in matters)),
            ended=charts.columns(picture.minutes),
            ended_now=sum(picture.minutes[-2].ended.values()) if len(picture.minutes) > 1 else 0,
            ended_hour=sum(sum(minute.ended.values()) for minute in picture.minutes),
            delays=charts.curves(picture.minutes),
            arrivals=picture.arrivals[:_SHOWN],
            late_s=max((lane.late_s for lane in view.lanes), default=0.0),
            example=self._example(request),
        )

    def _example(self, request: web.Request) -> str:
        """An example command for a page without jobs."""
        for name, account in sorted(self._desk(request).accounts.items()):
            for operation in sorted(account.operations):
                return f"tidewaiter submit {name} {operation}"
        return "tidewaiter submit ACCOUNT OPERATION"


def _group(title: str, picture: Picture, states: tuple[State, ...]) -> Group:
    counts = [(state, picture.counts.get(state, 0)) for state in states]
    return Group(title, sum(count for _, count in counts), charts.bar(picture.counts, states), counts)


def _headline(picture: Picture, *, matters: int) -> str:
    """The whole page in a sentence."""
    live = sum(picture.counts.get(state, 0) for state in _UNDER_WAY)
    moving = f"{counted(live, 'job')} under way" if live else "Nothing is under way"
    if matters:
        return f"{moving}; {counted(matters, 'thing needs', 'things need')} a person."
    newest = picture.arrivals[0].job.finished_at if picture.arrivals else None
    if live and newest is not None:
        return f"{moving}; the last landed {rough(picture.at - newest)} ago."
    return f"{moving}."
