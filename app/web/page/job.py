"""One job: why it waits, where its time went, its history, its files, and what an admin may do with it."""

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
    """What may be asked of a job as it stands."""

    cancel: bool
    retry: bool
    adopt: bool
    poll: bool

    @classmethod
    def of(cls, job: Job, now: float) -> "Choices":
        """What the desk would not refuse."""
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
        frame: makes the page.
        sight: knows how the job's lane stands.
        desk: knows the job.
    """

    def __init__(self, frame: Frame, sight: Sight, desk: Callable[[web.Request], Desk]) -> None:
        self._frame = frame
        self._sight = sight
        self._desk = desk

    def routes(self) -> list[GuardedRoute]:
        """Where it is."""
        return [reading("/jobs/{id}", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        job, history, files = await self._desk(request).show(job_number(request))
        view, now = await self._sight.look(request), self._frame.clock.now()
        lane = next((one for one in view.lanes if one.id == job.lane), None)
        hold = None if lane is None else LaneHold(lane.standing, lane.reason, lane.until)
        phase = None if self._frame.phase is Phase.SERVING else self._frame.phase.value
        spent = time_in(history, now)
        return self._frame.page(
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
    """The number of the job that an address names.

    Raises:
        NotFoundError: no job has such a number.
    """
    given = request.match_info["id"]
    number = number_of(given)
    if number is None:
        raise NotFoundError(f"{given[:64]!r} is no job; jobs are known by their numbers")
    return number
