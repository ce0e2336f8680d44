"""The page of one job: why it waits, where its time went, its history, its files, and the actions for admins."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from app.desk import Desk, NotFoundError
from app.desk.waiting import LaneHold, wait_of
from app.domain.job import LIVE, TERMINAL, Job, State
from app.web.bodies import number_of
from app.web.page.charts import bar
from app.web.page.frame import Frame
from app.web.page.sight import Sight
from app.web.page.timeline import time_in, timeline
from app.web.rules import GuardedRoute, reading
from app.web.vitals import Phase

_MOST_FILES: Final = 500


@dataclass(frozen=True, slots=True)
class Choices:
    """Which actions a job permits now."""

    cancel: bool
    retry: bool
    adopt: bool
    poll: bool

    @classmethod
    def of(cls, job: Job, now: float) -> "Choices":
        """The actions that the desk would not refuse."""
        parked = job.state is State.PARKED
        return cls(
            cancel=parked or (job.state in LIVE and not job.cancel_requested),
            retry=parked or job.state in TERMINAL,
            adopt=parked,
            poll=job.state in LIVE and job.due_at is not None and job.due_at > now,
        )


class JobRoom:
    """The page at ``/jobs/{id}``.

    Args:
        renderer: makes the page.
        dashboard: reads the lane of the job.
        desk: has the job.
    """

    def __init__(self, renderer: Frame, dashboard: Sight, desk: Callable[[web.Request], Desk]) -> None:
        self._renderer = renderer
        self._dashboard = dashboard
        self._desk = desk

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [reading("/jobs/{id}", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        job, history, files = await self._desk(request).show(job_number(request))
        view, now = await self._dashboard.read(request), self._renderer.clock.now()
        lane = next((one for one in view.lanes if one.id == job.lane), None)
        hold = None if lane is None else LaneHold(lane.standing, lane.reason, lane.until)
        phase = None if self._renderer.phase is Phase.SERVING else self._renderer.phase.value
        spent = time_in(history, now)
        return self._renderer.page(
            request,
            "job.html",
            title=f"Job {job.id}",
            view=view,
            job=job,
            lane=lane,
            wait=wait_of(job, hold, now, phase=phase),
            stretches=timeline(history),
            entries=len(history),
            spent=[(state, seconds) for state, seconds in spent.items() if seconds > 0],
            pieces=bar({state: seconds for state, seconds in spent.items() if seconds > 0}, list(spent)),
            files=files[:_MOST_FILES],
            all_files=len(files),
            size=sum(file.size for file in files),
            choices=Choices.of(job, now),
        )


def job_number(request: web.Request) -> int:
    """The job number in the path.

    Raises:
        NotFoundError: no job has such a number.
    """
    given = request.match_info["id"]
    number = number_of(given)
    if number is None:
        raise NotFoundError(f"{given[:64]!r} is no job; jobs have numbers")
    return number
