"""The list of jobs, with filters and a search, and the page of one job with its timeline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tidewaiter.database.job_list import JobList
from tidewaiter.domain.job import FAILURES, LIVE, TERMINAL, HistoryEntry, Job, State
from tidewaiter.services import JobService, NotFoundError
from tidewaiter.services.job_pace import expected_ready
from tidewaiter.services.parked_decisions import decisions_about
from tidewaiter.services.wait_reasons import LaneCondition, LaneReport, wait_reason
from tidewaiter.web.health_routes import Phase
from tidewaiter.web.request_reading import number_of
from tidewaiter.web.route_rules import GuardedRoute, read_route
from tidewaiter.web.ui.charts import state_bar
from tidewaiter.web.ui.dashboard import DashboardReader
from tidewaiter.web.ui.job_list_query import read_job_list_query
from tidewaiter.web.ui.page_renderer import PageRenderer, unbroken

_OUTCOME_TEXTS: Final = {
    "Submitted": "created",
    "Intended": "the request is prepared",
    "Accepted": "accepted by the provider",
    "Duplicate": "the provider has the same export already",
    "Reused": "a remote job of the same question is used",
    "Unsent": "it was not sent",
    "Unknown": "the outcome of the request is unknown",
    "Adopted": "the remote job was found",
    "Absent": "there is no remote job",
    "StepDone": "the request has done its part",
    "NotYet": "not yet; asked again later",
    "Undecidable": "the outcome cannot be determined",
    "Pending": "not ready yet",
    "Ready": "ready to download",
    "StepStarted": "the step has begun",
    "FetchStarted": "download started",
    "FilesLanded": "some files have landed",
    "PartLanded": "some files have landed",
    "Stored": "every file has landed",
    "LinksExpired": "the links had expired",
    "LinksLost": "the stored links cannot be read",
    "Cleaned": "the remote job is deleted",
    "Cancelled": "the remote job was cancelled",
    "LeftAlone": "the remote job was left alone",
    "CancelAsked": "cancelled by request",
    "RetryDecided": "submit again requested",
    "AdoptDecided": "remote job adopted by request",
    "CancelRequested": "cancel requested",
    "Acknowledged": "acknowledged",
    "RetryRequested": "retry requested",
    "PollRequested": "poll requested",
    "Retry": "error, will be tried again",
    "Throttled": "the provider limits requests",
    "Unauthorized": "credentials refused",
    "Interrupted": "interrupted; continues later",
    "Crashed": "an internal error",
    "Refused": "refused by the provider",
    "Gone": "the remote job is gone",
    "FailedForNow": "failed for a passing reason; submitted again later",
    "Unmapped": "a reply that matches no rule",
    "DeadlinePassed": "the deadline has passed",
    "StorageFull": "the storage is full or cannot be written",
}
_MOST_FOLDED: Final = 200
_FEW: Final = 4
_LIMIT: Final = 50
_FILES: Final = 100
"""So many files are shown at once."""


class JobListPage:
    """The page at ``/jobs``.

    Args:
        renderer: makes the page.
        dashboard: counts the jobs in each state.
        jobs: has the accounts and their operations.
        job_lists: finds the jobs.
    """

    def __init__(
        self,
        renderer: PageRenderer,
        dashboard: DashboardReader,
        jobs: Callable[[web.Request], JobService],
        job_lists: Callable[[web.Request], JobList],
    ) -> None:
        self._renderer = renderer
        self._dashboard = dashboard
        self._jobs = jobs
        self._job_lists = job_lists

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [read_route("/jobs", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        query = read_job_list_query(request.query)
        view = await self._dashboard.read(request)
        offered = self._jobs(request).offered
        found = await self._job_lists(request).page(query.filters, _LIMIT + 1, query.before_id, offered)
        shown = found[:_LIMIT]
        return self._renderer.page(
            request,
            "jobs.html",
            title="Jobs",
            view=view,
            query=query,
            found=shown,
            older=query.address(before=shown[-1].id) if len(found) > len(shown) else None,
            counts=view.snapshot.counts,
            total=sum(view.snapshot.counts.values()),
            accounts=sorted(offered),
            operations=sorted({name for operations in offered.values() for name in operations}),
        )


@dataclass(frozen=True, slots=True)
class JobChoices:
    """Which actions a job permits now."""

    cancel: bool
    retry: bool
    adopt: bool
    poll: bool
    acknowledge: bool

    @classmethod
    def of(cls, job: Job, now: float) -> "JobChoices":
        """The actions that the service would not refuse."""
        parked = job.state is State.PARKED
        return cls(
            cancel=parked or (job.state in LIVE and not job.cancel_requested),
            retry=parked or (job.state in TERMINAL and job.retried_as is None),
            adopt=parked,
            poll=job.state in LIVE and job.due_at is not None and job.due_at > now,
            acknowledge=job.state in FAILURES and job.handled_at is None,
        )


class JobDetailPage:
    """The page at ``/jobs/{id}``.

    Args:
        renderer: makes the page.
        dashboard: reads the lane of the job.
        jobs: has the job.
    """

    def __init__(
        self, renderer: PageRenderer, dashboard: DashboardReader, jobs: Callable[[web.Request], JobService]
    ) -> None:
        self._renderer = renderer
        self._dashboard = dashboard
        self._jobs = jobs

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [read_route("/jobs/{id}", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        service = self._jobs(request)
        job, history, files = await service.show(job_in_path(request))
        view, now = await self._dashboard.read(request), self._renderer.clock.now()
        lane = next((one for one in view.lanes if one.id == job.lane), None)
        report = None if lane is None else LaneReport(lane.condition, lane.reason, lane.until)
        phase = None if self._renderer.phase is Phase.SERVING else self._renderer.phase.value
        spent = time_in(history, now)
        begin = min((number_of(request.query.get("files", "")) or 1) - 1, max(0, len(files) - 1)) // _FILES * _FILES
        expected = await expected_ready(service.jobs.database, service.accounts, job, now)
        return self._renderer.page(
            request,
            "job.html",
            title=f"Job {job.id}",
            view=view,
            job=job,
            lane=lane,
            wait=wait_reason(job, report, now, phase=phase),
            is_held=job.state in LIVE and lane is not None and lane.condition is LaneCondition.PAUSED,
            expected=None if expected is None else unbroken(expected.sentence(now)),
            stretches=timeline(history),
            entries=len(history),
            spent=[(state, seconds) for state, seconds in spent.items() if seconds > 0],
            pieces=state_bar({state: seconds for state, seconds in spent.items() if seconds > 0}, list(spent)),
            files=files[begin : begin + _FILES],
            all_files=len(files),
            files_begin=begin,
            files_step=_FILES,
            size=sum(file.size for file in files),
            choices=JobChoices.of(job, now),
            decisions=dict(zip(("adopt", "retry", "cancel"), decisions_about(job), strict=True)),
        )


def job_in_path(request: web.Request) -> int:
    """The job number in the path.

    Raises:
        NotFoundError: no job has such a number.
    """
    given = request.match_info["id"]
    number = number_of(given)
    if number is None:
        raise NotFoundError(f"{given[:64]!r} is no job; jobs have numbers")
    return number


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event: ``after_s`` seconds after the one before; ``arrived`` if the state changed."""

    entry: HistoryEntry
    after_s: float | None
    arrived: bool

    @property
    def words(self) -> str:
        """The outcome in words."""
        return _OUTCOME_TEXTS.get(self.entry.outcome, self.entry.outcome)


@dataclass(frozen=True, slots=True)
class TimelineSection:
    """Events that are shown one by one, or ``folded`` because they are alike; ``left_out`` are not shown."""

    moments: list[TimelineEntry]
    folded: bool = False
    lasts_s: float = 0.0
    left_out: int = 0


def timeline(history: Sequence[HistoryEntry]) -> list[TimelineSection]:
    """The sections of a history; long runs that change no state are folded, except for their first and last event."""
    sections: list[TimelineSection] = []
    run: list[TimelineEntry] = []
    before: HistoryEntry | None = None
    for entry in history:
        arrived = before is None or entry.state is not before.state
        moment = TimelineEntry(entry, None if before is None else max(0.0, entry.at - before.at), arrived)
        if arrived and run:
            sections += _folded(run)
            run = []
        if arrived:
            sections.append(TimelineSection([moment]))
        else:
            run.append(moment)
        before = entry
    return sections + _folded(run)


def _folded(run: list[TimelineEntry]) -> list[TimelineSection]:
    if len(run) <= _FEW:
        return [TimelineSection([moment]) for moment in run]
    middle = run[1:-1]
    lasts_s = sum(moment.after_s or 0.0 for moment in middle)
    kept = middle[:_MOST_FOLDED]
    return [
        TimelineSection(run[:1]),
        TimelineSection(kept, folded=True, lasts_s=lasts_s, left_out=len(middle) - len(kept)),
        TimelineSection(run[-1:]),
    ]


def time_in(history: Sequence[HistoryEntry], now: float) -> Mapping[State, float]:
    """The seconds that a job has spent in each of its states, in the order of the first visits."""
    spent: dict[State, float] = {}
    for entry, after in zip(history, [*history[1:], None], strict=False):
        if after is None and entry.state in TERMINAL:
            break
        until = now if after is None else after.at
        spent[entry.state] = spent.get(entry.state, 0.0) + max(0.0, until - entry.at)
    return spent
