"""The first page: what needs a person, the number of jobs, the lanes, the last hour, and what has landed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from aiohttp import web

from tidewaiter.database.account_store import PauseCause
from tidewaiter.database.dashboard_store import DashboardSnapshot
from tidewaiter.domain.job import LIVE, TERMINAL, State
from tidewaiter.services import JobService
from tidewaiter.services.account_status import LaneStanding
from tidewaiter.web.health_routes import Phase
from tidewaiter.web.roles import GuardedRoute, read_route
from tidewaiter.web.ui import charts
from tidewaiter.web.ui.dashboard import DashboardReader, LaneView
from tidewaiter.web.ui.page_renderer import PageRenderer, counted, rough

_LATE_S = 60.0
_PAUSED = {
    PauseCause.CREDENTIALS: "its credentials were refused",
    PauseCause.TLS: "its provider could not prove its identity",
    PauseCause.PERSON: "a person paused it",
}


class Urgency(IntEnum):
    """How urgent an item is."""

    URGENT = 0
    """Nothing continues until somebody acts."""
    WATCH = 1
    """It ends by itself, or a person wanted it."""


@dataclass(frozen=True, slots=True)
class AttentionItem:
    """One item: its title, details, and the address of the page about it."""

    level: Urgency
    what: str
    detail: str
    address: str | None = None


def attention_items(
    picture: DashboardSnapshot, lanes: Sequence[LaneView], phase: Phase, storage: str | None
) -> list[AttentionItem]:
    """All items; ``storage`` is why downloads wait, if they do."""
    found = [
        *_of_process(picture, phase, storage),
        *_of_jobs(picture),
        *_of_accounts(picture, lanes),
        *_of_lanes(lanes),
    ]
    return sorted(found, key=lambda matter: matter.level)


def _of_process(picture: DashboardSnapshot, phase: Phase, storage: str | None) -> Iterator[AttentionItem]:
    if phase is not Phase.STANDBY and not picture.workers:
        yield AttentionItem(
            Urgency.URGENT,
            "No daemon serves this database",
            "Jobs are stored but do not run: start tidewaiter serve.",
        )
    for name, backlog in picture.undelivered.items():
        if backlog.dead:
            what = f"{counted(backlog.dead, 'notification')} to {name} could not be delivered"
            again = "The last attempt failed; tidewaiter notifications lists them and delivers them again."
            yield AttentionItem(Urgency.URGENT, what, again)
    if storage is not None:
        yield AttentionItem(Urgency.URGENT, "Downloads wait for the storage", storage)


def _of_jobs(picture: DashboardSnapshot) -> Iterator[AttentionItem]:
    if parked := picture.counts.get(State.PARKED, 0):
        shown = picture.parked[0]
        one = f"/jobs/{shown.id}" if parked == 1 else "/jobs?state=parked"
        why = f"{shown.account}: {shown.reason}" if shown.reason else "A person must find out what happened to them."
        yield AttentionItem(Urgency.URGENT, f"{counted(parked, 'job')} parked", why, one)
    ended = {
        state: sum(minute.ended.get(state, 0) for minute in picture.minutes) for state in (State.FAILED, State.EXPIRED)
    }
    for state, number in ended.items():
        if not number:
            continue
        newest = next((job for job in picture.failures if job.state is state), None)
        why = f"job {newest.id} of {newest.account}: {newest.reason or 'no reason was given'}" if newest else ""
        what = f"{counted(number, 'job')} {state.value} in the last hour"
        yield AttentionItem(Urgency.URGENT, what, f"Last, {why}" if why else "", f"/jobs?state={state.value}")


def _of_accounts(picture: DashboardSnapshot, lanes: Sequence[LaneView]) -> Iterator[AttentionItem]:
    known = {lane.account for lane in lanes}
    for name, pause in picture.pauses.items():
        if name in known:
            level = Urgency.WATCH if pause.by is PauseCause.PERSON else Urgency.URGENT
            yield AttentionItem(
                level, f"Account {name} is paused: {_PAUSED[pause.by]}", pause.reason, f"/accounts/{name}"
            )


def _of_lanes(lanes: Sequence[LaneView]) -> Iterator[AttentionItem]:
    for lane in lanes:
        address = f"/accounts/{lane.account}"
        match lane.standing:
            case LaneStanding.BROKEN:
                what = f"{lane.account}: its provider fails, so it is asked rarely"
                yield AttentionItem(Urgency.WATCH, what, lane.reason or "", address)
            case LaneStanding.UNKNOWN:
                yield AttentionItem(
                    Urgency.URGENT, f"Account {lane.account} has jobs and is not configured", lane.reason or ""
                )
            case LaneStanding.OPEN:
                if lane.late_s > _LATE_S:
                    late = counted(round(lane.late_s / 60), "minute")
                    what = f"{lane.account} is {late} behind"
                    yield AttentionItem(Urgency.WATCH, what, f"{lane.due_text} of its jobs are due.", address)
            case LaneStanding.PAUSED | LaneStanding.THROTTLED | LaneStanding.UNSERVED:
                pass  # a pause has its own item, a throttle ends by itself, and another daemon may take the lane


_UNDER_WAY: Final = tuple(state for state in State if state in LIVE or state is State.PARKED)
_ENDED: Final = tuple(state for state in State if state in TERMINAL)
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class StateGroup:
    """Jobs in some states: their total, the bar, and the number in each state."""

    title: str
    total: int
    pieces: list[charts.BarPiece]
    counts: list[tuple[State, int]]


class OverviewPage:
    """The page at ``/``.

    Args:
        renderer: makes the page.
        dashboard: reads what it shows.
        desk: has the accounts.
    """

    def __init__(
        self, renderer: PageRenderer, dashboard: DashboardReader, desk: Callable[[web.Request], JobService]
    ) -> None:
        self._renderer = renderer
        self._dashboard = dashboard
        self._desk = desk

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [read_route("/", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        view = await self._dashboard.read(request)
        picture = view.picture
        matters = attention_items(picture, view.lanes, self._renderer.phase, self._dashboard.storage_trouble())
        return self._renderer.page(
            request,
            "overview.html",
            title="Overview",
            view=view,
            picture=picture,
            matters=matters,
            urgent=sum(matter.level is Urgency.URGENT for matter in matters),
            groups=[_group("Under way", picture, _UNDER_WAY), _group("Ended", picture, _ENDED)],
            headline=_headline(picture, matters=sum(matter.level is Urgency.URGENT for matter in matters)),
            ended=charts.ended_columns(picture.minutes),
            ended_now=sum(picture.minutes[-2].ended.values()) if len(picture.minutes) > 1 else 0,
            ended_hour=sum(sum(minute.ended.values()) for minute in picture.minutes),
            delays=charts.delay_curves(picture.minutes),
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


def _group(title: str, picture: DashboardSnapshot, states: tuple[State, ...]) -> StateGroup:
    counts = [(state, picture.counts.get(state, 0)) for state in states]
    return StateGroup(title, sum(count for _, count in counts), charts.state_bar(picture.counts, states), counts)


def _headline(picture: DashboardSnapshot, *, matters: int) -> str:
    """The whole page in a sentence."""
    live = sum(picture.counts.get(state, 0) for state in _UNDER_WAY)
    moving = f"{counted(live, 'job')} under way" if live else "Nothing is under way"
    if matters:
        return f"{moving}; {counted(matters, 'thing needs', 'things need')} a person."
    newest = picture.arrivals[0].job.finished_at if picture.arrivals else None
    if live and newest is not None:
        return f"{moving}; the last landed {rough(picture.at - newest)} ago."
    return f"{moving}."
