"""The page of trends: what landed and failed in the last hours, days or weeks, how long it took, and its size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiohttp import web
from yarl import URL

from tidewaiter.database.trend_store import TrendStore
from tidewaiter.domain.formatting import counted, size
from tidewaiter.domain.job import State
from tidewaiter.domain.trends import Spread, Trend, TrendPeriod, TrendStep
from tidewaiter.services import JobService
from tidewaiter.web.problems import FieldFault, ProblemError
from tidewaiter.web.route_rules import GuardedRoute, read_route
from tidewaiter.web.ui import charts
from tidewaiter.web.ui.page_renderer import PageRenderer, unbroken

_PATH: Final = "/trends"
_STEPS: Final = {TrendStep.HOUR: "Hours", TrendStep.DAY: "Days", TrendStep.WEEK: "Weeks"}


@dataclass(frozen=True, slots=True)
class PeriodView:
    """A period: its name, its sums, and what each chart says of it."""

    name: str
    sums: Trend
    ended: str
    durations: str
    delays: str
    bytes: str


@dataclass(frozen=True, slots=True)
class TrendQuery:
    """What an address asks for: how long the periods are, and filters."""

    step: TrendStep
    account: str | None
    operation: str | None

    def address(self, step: TrendStep) -> str:
        """The same with periods of another length."""
        query = {"step": step.value, "account": self.account, "operation": self.operation}
        return str(URL(_PATH).with_query({name: value for name, value in query.items() if value}))


class TrendPage:
    """The page at ``/trends``.

    Args:
        renderer: makes the page.
        jobs: has the accounts and their operations.
        trends: has the sums.
    """

    def __init__(
        self,
        renderer: PageRenderer,
        jobs: Callable[[web.Request], JobService],
        trends: Callable[[web.Request], TrendStore],
    ) -> None:
        self._renderer = renderer
        self._jobs = jobs
        self._trends = trends

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [read_route(_PATH, self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        query, offered = _query(request.query), self._jobs(request).offered
        store, now, number = self._trends(request), self._renderer.clock.now(), query.step.usual_number
        where = {"account": query.account, "operation": query.operation}
        periods = await store.periods(query.step, number, now, **where)
        return self._renderer.page(
            request,
            "trends.html",
            title="Trends",
            query=query,
            steps=[(name, step, query.address(step)) for step, name in _STEPS.items()],
            accounts=sorted(offered),
            operations=sorted({name for operations in offered.values() for name in operations}),
            periods=[_view(one, query.step) for one in periods],
            found=await store.operations(query.step, number, now, **where),
            ended=charts.stacked_columns([(one.at, _outcomes(one.sums)) for one in periods]),
            sizes=charts.stacked_columns([(one.at, {State.SUCCEEDED: one.sums.bytes}) for one in periods], 1000.0),
            durations=_curves([one.sums.duration for one in periods]),
            delays=_curves([one.sums.delay for one in periods]),
            outcomes=_all_outcomes(periods),
            total=_total(periods),
        )


def _query(query: Mapping[str, str]) -> TrendQuery:
    """The query of an address.

    Raises:
        ProblemError: a parameter is invalid.
    """
    try:
        step = TrendStep(query.get("step") or "day")
    except ValueError:
        known = ", ".join(one.value for one in TrendStep)
        fault = FieldFault(f"must be one of {known}", parameter="step")
        raise ProblemError(400, "the address of this page has an invalid parameter", errors=[fault]) from None
    return TrendQuery(step, query.get("account") or None, query.get("operation") or None)


def _outcomes(sums: Trend) -> dict[State, int]:
    return {
        State.SUCCEEDED: sums.landed,
        State.FAILED: sums.failed,
        State.EXPIRED: sums.expired,
        State.CANCELLED: sums.cancelled,
    }


def _all_outcomes(periods: Sequence[TrendPeriod]) -> dict[State, int]:
    """How many jobs ended in each way in all periods, for those ways in which some did."""
    counts = [_outcomes(one.sums) for one in periods]
    sums = {state: sum(one[state] for one in counts) for state in _outcomes(periods[0].sums)}
    return {state: count for state, count in sums.items() if count}


def _total(periods: Sequence[TrendPeriod]) -> str:
    """What the periods have together, in a sentence."""
    landed, failed = sum(one.sums.landed for one in periods), sum(one.sums.failed for one in periods)
    expired, stored = sum(one.sums.expired for one in periods), sum(one.sums.bytes for one in periods)
    return unbroken(f"{counted(landed, 'job')} landed with {size(stored)}; {failed:,} failed and {expired:,} expired.")


def _view(period: TrendPeriod, step: TrendStep) -> PeriodView:
    sums, moment = period.sums, datetime.fromtimestamp(period.at, UTC)
    name = f"{moment:%a %Y-%m-%d}"
    if step is TrendStep.HOUR:
        name = f"{moment:%Y-%m-%d %H:%M}"
    elif step is TrendStep.WEEK:
        name = f"week of {moment:%Y-%m-%d}"
    words = {"landed": sums.landed, "failed": sums.failed, "expired": sums.expired, "cancelled": sums.cancelled}
    ended = ", ".join(f"{count:,} {word}" for word, count in words.items() if count) or "nothing ended"
    return PeriodView(
        name,
        sums,
        f"{name}: {ended}",
        f"{name}: {spread_text(sums.duration)}",
        f"{name}: {spread_text(sums.delay)}",
        f"{name}: {size(sums.bytes)} in {counted(sums.files, 'file')}",
    )


def spread_text(spread: Spread) -> str:
    """The median and the 95th percentile in words."""
    if not spread.count:
        return "nothing"
    return unbroken(f"half within {spread.quantile_words(0.5)}, 95 % within {spread.quantile_words(0.95)}")


def _curves(spreads: Sequence[Spread]) -> charts.DelayCurves:
    return charts.spread_curves([one.quantile_s(0.5) for one in spreads], [one.quantile_s(0.95) for one in spreads])
