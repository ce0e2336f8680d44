"""The first page: what needs attention, the number of jobs, the lanes, the last hour, and what has landed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from aiohttp import web
from yarl import URL

from tidewaiter.database.account_store import PauseCause
from tidewaiter.database.dashboard_store import DashboardSnapshot
from tidewaiter.domain.job import LIVE, TERMINAL, State
from tidewaiter.services import AccountService
from tidewaiter.services.example_command import ANY_SUBMIT, example_submit
from tidewaiter.services.failure_groups import FailureGroup, Remedy, failure_groups
from tidewaiter.services.many_jobs import JobAction
from tidewaiter.services.parked_decisions import UNKNOWN_SUBMIT
from tidewaiter.services.wait_reasons import PAUSE_REMEDIES, PROVIDER_FAILS, LaneCondition
from tidewaiter.web.health_routes import Phase
from tidewaiter.web.route_rules import GuardedRoute, read_route
from tidewaiter.web.ui import charts
from tidewaiter.web.ui.dashboard import DashboardReader, LaneView
from tidewaiter.web.ui.many_jobs_pages import review_address
from tidewaiter.web.ui.notification_page import dead_address
from tidewaiter.web.ui.page_renderer import PageRenderer, counted, rough

_LATE_S = 60.0
_PAUSED = {
    PauseCause.CREDENTIALS: "the provider refused the credentials",
    PauseCause.TLS: "the provider's certificate is not valid",
    PauseCause.PERSON: "by request",
}
_UNDER_WAY: Final = tuple(state for state in State if state in LIVE or state is State.PARKED)
_ENDED: Final = tuple(state for state in State if state in TERMINAL)
_SHOWN: Final = 10
_MOST_GROUPS: Final = 8


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
        accounts: has the accounts.
    """

    def __init__(
        self, renderer: PageRenderer, dashboard: DashboardReader, accounts: Callable[[web.Request], AccountService]
    ) -> None:
        self._renderer = renderer
        self._dashboard = dashboard
        self._accounts = accounts

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [read_route("/", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        view = await self._dashboard.read(request)
        snapshot = view.snapshot
        storage = self._dashboard.storage_trouble()
        # Where even reading fails, the band at the top of the page says so.
        writes = await self._dashboard.write_trouble() if view.trouble is None else None
        items = attention_items(snapshot, view.lanes, self._renderer.phase, storage, writes)
        return self._renderer.page(
            request,
            "overview.html",
            title="Overview",
            view=view,
            snapshot=snapshot,
            attention=items,
            urgent=sum(item.level is Urgency.URGENT for item in items),
            groups=[_group("Under way", snapshot, _UNDER_WAY), _group("Ended", snapshot, _ENDED)],
            headline=_headline(snapshot, items),
            ended=charts.ended_columns(snapshot.minutes),
            ended_now=sum(snapshot.minutes[-2].ended.values()) if len(snapshot.minutes) > 1 else 0,
            ended_hour=sum(sum(minute.ended.values()) for minute in snapshot.minutes),
            delays=charts.delay_curves(snapshot.minutes),
            arrivals=snapshot.arrivals[:_SHOWN],
            late_s=max((lane.late_s for lane in view.lanes), default=0.0),
            example=self._example(request),
        )

    def _example(self, request: web.Request) -> str:
        """An example command for a page without jobs."""
        for _, account in sorted(self._accounts(request).accounts.items()):
            for operation in sorted(account.operations):
                return example_submit(account, operation)
        return ANY_SUBMIT


def _group(title: str, snapshot: DashboardSnapshot, states: tuple[State, ...]) -> StateGroup:
    counts = [(state, snapshot.counts.get(state, 0)) for state in states]
    return StateGroup(title, sum(count for _, count in counts), charts.state_bar(snapshot.counts, states), counts)


def _headline(snapshot: DashboardSnapshot, items: Sequence["AttentionItem"]) -> str:
    """The whole page in a sentence."""
    live = sum(snapshot.counts.get(state, 0) for state in _UNDER_WAY)
    moving = f"{counted(live, 'job')} under way" if live else "Nothing is under way"
    urgent = sum(item.level is Urgency.URGENT for item in items)
    watch = len(items) - urgent
    if urgent:
        more = f", {watch} more to watch" if watch else ""
        return f"{moving}; {counted(urgent, 'thing needs', 'things need')} attention{more}."
    if watch:
        return f"{moving}; {counted(watch, 'thing')} to watch."
    newest = snapshot.arrivals[0].job.finished_at if snapshot.arrivals else None
    if live and newest is not None:
        return f"{moving}; the last landed {rough(snapshot.at - newest)} ago."
    return f"{moving}."


class Urgency(IntEnum):
    """How urgent an item is."""

    URGENT = 0
    """Nothing continues until somebody acts."""
    WATCH = 1
    """It ends by itself, or a person caused it."""


@dataclass(frozen=True, slots=True)
class AttentionItem:
    """One item: its title, details, and the address of the page about it."""

    level: Urgency
    what: str
    detail: str
    address: str | None = None
    group: FailureGroup | None = None
    """The failures that it is about."""
    actions: tuple[tuple[str, str], ...] = ()
    """The labels of links, with their addresses."""
    remedy: str | None = None


def attention_items(
    snapshot: DashboardSnapshot,
    lanes: Sequence[LaneView],
    phase: Phase,
    storage: str | None,
    writes: str | None = None,
) -> list[AttentionItem]:
    """All items; ``storage`` is why downloads wait, and ``writes`` why the database accepts no writes, if so."""
    found = [
        *_of_process(snapshot, phase, storage, writes),
        *_of_jobs(snapshot),
        *_of_failures(failure_groups(snapshot.unhandled, snapshot.pauses, snapshot.lanes, storage_trouble=storage)),
        *_of_accounts(snapshot, lanes),
        *_of_lanes(lanes),
    ]
    return sorted(found, key=lambda item: item.level)


def _of_process(
    snapshot: DashboardSnapshot, phase: Phase, storage: str | None, writes: str | None
) -> Iterator[AttentionItem]:
    if writes is not None:
        what = "The database accepts no writes, so no job moves"
        yield AttentionItem(Urgency.URGENT, what, writes)
    if phase is not Phase.STANDBY and not snapshot.workers:
        yield AttentionItem(
            Urgency.URGENT,
            "No daemon serves this database",
            "Jobs are stored but do not run: start `tidewaiter serve`.",
        )
    for name, backlog in snapshot.undelivered.items():
        if backlog.dead:
            what = f"{counted(backlog.dead, 'notification')} to {name} could not be delivered"
            again = "The last attempt failed; `tidewaiter notifications retry --dead` delivers them again."
            yield AttentionItem(Urgency.URGENT, what, again, dead_address(name))
    if storage is not None:
        yield AttentionItem(Urgency.URGENT, "Downloads wait for the storage", storage)


def _of_jobs(snapshot: DashboardSnapshot) -> Iterator[AttentionItem]:
    if parked := snapshot.counts.get(State.PARKED, 0):
        shown = snapshot.parked[0]
        one = f"/jobs/{shown.id}" if parked == 1 else "/jobs?state=parked"
        why = f"{shown.account}: {shown.reason}" if shown.reason else UNKNOWN_SUBMIT
        yield AttentionItem(Urgency.URGENT, f"{counted(parked, 'job')} parked", why, one)


def _of_failures(groups: Sequence[FailureGroup]) -> Iterator[AttentionItem]:
    for group in groups[:_MOST_GROUPS]:
        one = group.failures
        query = {"unhandled": "true", "account": one.account, "operation": one.operation}
        if one.cause is not None:
            query["cause"] = one.cause
        actions = {
            Remedy.ACCOUNT: ("Open account", str(URL("/accounts") / one.account)),
            Remedy.RETRY: ("Retry all…", review_address(JobAction.RETRY, query)),
            Remedy.ACKNOWLEDGE: ("Acknowledge all…", review_address(JobAction.ACKNOWLEDGE, query)),
        }
        yield AttentionItem(
            Urgency.URGENT,
            f"{counted(one.jobs, 'job')} of {one.account} / {one.operation} failed or expired",
            one.newest.reason or "No reason was given.",
            f"/jobs/{one.newest.id}" if one.jobs == 1 else str(URL("/jobs").with_query(query)),
            group,
            tuple(actions[remedy] for remedy in group.remedies),
        )
    if left := groups[_MOST_GROUPS:]:
        what = f"{counted(sum(group.failures.jobs for group in left), 'job')} with other causes failed or expired"
        yield AttentionItem(Urgency.URGENT, what, "Retry or acknowledge them.", "/jobs?unhandled=true")


def _of_accounts(snapshot: DashboardSnapshot, lanes: Sequence[LaneView]) -> Iterator[AttentionItem]:
    known = {lane.account for lane in lanes}
    for name, pause in snapshot.pauses.items():
        if name in known:
            level = Urgency.WATCH if pause.by is PauseCause.PERSON else Urgency.URGENT
            yield AttentionItem(
                level,
                f"Account {name} is paused: {_PAUSED[pause.by]}",
                pause.reason,
                f"/accounts/{name}",
                remedy=PAUSE_REMEDIES[pause.by],
            )


def _of_lanes(lanes: Sequence[LaneView]) -> Iterator[AttentionItem]:
    for lane in lanes:
        address = f"/accounts/{lane.account}"
        match lane.condition:
            case LaneCondition.BROKEN:
                what = f"Account {lane.account}: {PROVIDER_FAILS[0].lower()}{PROVIDER_FAILS[1:]}"
                yield AttentionItem(Urgency.WATCH, what, lane.reason or "", address)
            case LaneCondition.UNKNOWN:
                yield AttentionItem(
                    Urgency.URGENT, f"Account {lane.account} has jobs and is not configured", lane.reason or ""
                )
            case LaneCondition.FAULTY:
                what = f"Account {lane.account} is not served: its spec has a fault"
                yield AttentionItem(Urgency.URGENT, what, lane.reason or "", address)
            case LaneCondition.OPEN:
                if lane.late_s > _LATE_S:
                    late = counted(round(lane.late_s / 60), "minute")
                    what = f"{lane.account} is {late} behind"
                    yield AttentionItem(Urgency.WATCH, what, f"{lane.due_text} of its jobs are due.", address)
            case LaneCondition.PAUSED | LaneCondition.THROTTLED | LaneCondition.UNSERVED:
                pass  # a pause has its own item, a throttle ends by itself, and another daemon may take the lane
