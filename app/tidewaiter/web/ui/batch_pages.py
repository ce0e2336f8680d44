"""The list of batches, the page of one with its backfill, and what a person may do with a backfill."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web
from yarl import URL

from tidewaiter.database.batch_store import BatchStore
from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.database.notification_store import NotificationStore
from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.backfill import MOST_PARKED, Backfill, BackfillState
from tidewaiter.domain.batch import Batch
from tidewaiter.domain.job import FAILURES, State
from tidewaiter.domain.windows import Window, WindowError
from tidewaiter.services import BackfillService, NotFoundError
from tidewaiter.services.many_jobs import JobAction
from tidewaiter.web.callers import REASON, actor_of, scope_of
from tidewaiter.web.route_rules import GuardedRoute, form_route, read_route
from tidewaiter.web.ui.charts import BarPiece, state_bar
from tidewaiter.web.ui.dashboard import DashboardReader
from tidewaiter.web.ui.forms import read_form
from tidewaiter.web.ui.many_jobs_pages import review_address
from tidewaiter.web.ui.notices import redirect_after
from tidewaiter.web.ui.notification_page import EndpointView
from tidewaiter.web.ui.page_renderer import PageRenderer

BATCHES: Final = "/batches"
_LIMIT: Final = 20
_SHOWN_JOBS: Final = 20
_LONGEST_REASON: Final = 500
_NO_REASON: Final = "paused on the page"


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch as it is shown, with its backfill, if it is one. Times are epoch seconds."""

    batch: Batch
    backfill: Backfill | None
    expected_end: float | None

    @classmethod
    def of(cls, batch: Batch, backfill: Backfill | None, now: float) -> "BatchView":
        """The view of a batch, now."""
        return cls(batch, backfill, None if backfill is None else backfill.expected_end(now))

    @property
    def address(self) -> str:
        """The address of its page."""
        return batch_address(self.batch.name)

    @property
    def pieces(self) -> Sequence[BarPiece]:
        """Its stored jobs, as one bar."""
        return state_bar(self.batch.states, list(State))

    @property
    def progress(self) -> Sequence[BarPiece]:
        """The same as a part of all windows, if it is a backfill: reused ones have landed, and the rest is to come."""
        if self.backfill is None or self.batch.ended_at is not None:
            return self.pieces
        landed = self.batch.states.get(State.SUCCEEDED, 0) + self.backfill.reused
        return state_bar({**self.batch.states, State.SUCCEEDED: landed}, list(State), of=self.backfill.windows)

    @property
    def status(self) -> tuple[str, str, str]:
        """The colour, the icon and the words for how far it is."""
        if self.is_paused:
            return "parked", "paused", "paused"
        if self.backfill is not None and self.backfill.is_cancelled:
            return "cancelled", "cancelled", "cancelled"
        if self.batch.ended_at is not None:
            is_good = set(self.batch.states) <= {State.SUCCEEDED}
            return ("succeeded", "succeeded", "ended") if is_good else ("cancelled", "open", "ended")
        if self.batch.waits_for_a_person:
            return "parked", "parked", "waits for a decision"
        return "polling", "polling", "under way"

    @property
    def is_paused(self) -> bool:
        """Whether it is a backfill that submits no windows until a person resumes it."""
        return self.backfill is not None and self.backfill.state is BackfillState.PAUSED

    @property
    def submits(self) -> bool:
        """Whether it is a backfill with windows that are not submitted yet."""
        return self.backfill is not None and not self.batch.complete

    @property
    def next_window(self) -> Window | None:
        """The next window of its backfill, if one is left."""
        one = self.backfill
        if one is None or self.batch.complete or one.next_window >= one.windows:
            return None
        try:
            return one.plan.window_at(one.next_window)
        except WindowError:  # this system does not know its time zone any more
            return None

    @property
    def failures(self) -> int:
        """How many of its jobs are failed or expired."""
        return sum(self.batch.states.get(state, 0) for state in FAILURES)


class BatchPages:
    """The pages at ``/batches`` and ``/batches/{name}``, and the forms of a backfill.

    Args:
        renderer: makes the pages.
        dashboard: knows which accounts are paused.
        batches: has the batches.
        backfills: has the backfills, and changes them.
        job_lists: finds the jobs of a batch.
        notifications: has what was said about its end.
        endpoints: the configured endpoints for notifications.
    """

    def __init__(
        self,
        renderer: PageRenderer,
        dashboard: DashboardReader,
        batches: Callable[[web.Request], BatchStore],
        backfills: Callable[[web.Request], BackfillService],
        job_lists: Callable[[web.Request], JobList],
        *,
        notifications: Callable[[web.Request], NotificationStore],
        endpoints: Callable[[], Sequence[EndpointView]],
    ) -> None:
        self._renderer = renderer
        self._dashboard = dashboard
        self._batches = batches
        self._backfills = backfills
        self._job_lists = job_lists
        self._notifications = notifications
        self._endpoints = endpoints

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [
            read_route(BATCHES, self._list),
            read_route(f"{BATCHES}/{{name}}", self._show),
            form_route(f"{BATCHES}/{{name}}/pause", self._pause),
            form_route(f"{BATCHES}/{{name}}/resume", self._resume),
            form_route(f"{BATCHES}/{{name}}/cancel", self._cancel),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        before, now = request.query.get("before") or None, self._renderer.clock.now()
        found = await self._batches(request).page(_LIMIT + 1, before)
        shown = found[:_LIMIT]
        fills = await self._backfills(request).of_batches([one.name for one in shown])
        return self._renderer.page(
            request,
            "batches.html",
            title="Batches",
            rows=[BatchView.of(one, fills.get(one.name), now) for one in shown],
            before=before,
            older=str(URL(BATCHES).with_query(before=shown[-1].name)) if len(found) > len(shown) else None,
        )

    async def _show(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        batch = await self._batches(request).get(name)
        if batch is None:
            raise NotFoundError(f"there is no batch {name[:100]!r}")
        fills = await self._backfills(request).of_batches([name])
        ended = batch.ended_at
        return self._renderer.page(
            request,
            "batch.html",
            title=f"Batch {name}",
            one=BatchView.of(batch, fills.get(name), self._renderer.clock.now()),
            view=await self._dashboard.read(request),
            newest=await self._job_lists(request).page(JobFilter(batch=name), _SHOWN_JOBS),
            of_state=_addresses(name),
            most_parked=MOST_PARKED,
            all_jobs=str(URL("/jobs").with_query(batch=name)),
            cancel_all=review_address(JobAction.CANCEL, {"batch": name}),
            retry_all=review_address(JobAction.RETRY, {"batch": name}),
            told=[] if ended is None else await self._notifications(request).of_batch(name, ended),
            to_tell=_told_at_the_end(self._endpoints(), batch, fills.get(name), scope_of(request)),
        )

    async def _pause(self, request: web.Request) -> web.Response:
        name, reason = request.match_info["name"], await _reason_in(request)
        await self._backfills(request).pause(name, reason or _NO_REASON, actor=actor_of(request))
        raise redirect_after(batch_address(name), "backfill-paused")

    async def _resume(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self._backfills(request).resume(name, actor=actor_of(request))
        raise redirect_after(batch_address(name), "backfill-resumed")

    async def _cancel(self, request: web.Request) -> web.Response:
        name, reason = request.match_info["name"], await _reason_in(request)
        await self._backfills(request).cancel(name, actor=replace(actor_of(request), reason=reason or None))
        raise redirect_after(batch_address(name), "backfill-cancelled")


def batch_address(name: str) -> str:
    """The address of the page of a batch."""
    return str(URL(BATCHES) / name)


def _addresses(name: str) -> Mapping[State, str]:
    """The lists of the jobs of a batch in each state."""
    return {state: str(URL("/jobs").with_query(batch=name, state=state.value)) for state in State}


def _told_at_the_end(
    endpoints: Sequence[EndpointView], batch: Batch, backfill: Backfill | None, scope: Scope
) -> list[str]:
    """The endpoints that are notified when the batch ends, as far as the caller may see them."""
    accounts = {account for account, _ in batch.counts} or {backfill.account if backfill is not None else ""}
    return [
        one.subscription.endpoint
        for one in endpoints
        if one.subscription.batches
        and (
            one.subscription.accounts is None
            or any(account in scope for account in accounts & one.subscription.accounts)
        )
    ]


async def _reason_in(request: web.Request) -> str:
    reason = (await read_form(request)).get("reason", "")[:_LONGEST_REASON]
    request[REASON] = reason
    return reason
