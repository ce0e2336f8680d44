"""One action on many jobs: those that are named by number, or all that match a filter.

Each job is checked and changed on its own, as if it were the only one, so a job that has changed meanwhile is refused,
and the others are not. Nothing is locked for long, and each job's history says who asked.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import count
from typing import Final

from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.domain.job import FAILURES, LIVE, TERMINAL, Job, State
from tidewaiter.services.actors import Actor
from tidewaiter.services.job_requests import RequestError
from tidewaiter.services.job_service import JobService

MOST_AT_ONCE: Final = 500
"""How many jobs one request of the API or the page changes at most."""
MOST_COUNTED: Final = 10_000
"""How many jobs a dry run counts at most."""
_PAGE: Final = 1000
_MOST_PAGES: Final = 20


class JobAction(StrEnum):
    """What can be done with many jobs."""

    RETRY = "retry"
    CANCEL = "cancel"
    POLL = "poll"
    ACKNOWLEDGE = "acknowledge"

    @property
    def effect(self) -> str:
        """What it does, and what may go wrong."""
        return _EFFECTS[self]


_EFFECTS: Final = {
    JobAction.RETRY: (
        "Each job is submitted again: a failed, expired or cancelled one as a new job, a parked one as itself. The "
        "provider runs each export once more. It refuses a request again unless the cause is removed."
    ),
    JobAction.CANCEL: (
        "Each job stops. Its remote job is cancelled if the provider supports it; files that have landed stay."
    ),
    JobAction.POLL: (
        "The next step of each job becomes due now. It still waits for a pause and for the account's limit."
    ),
    JobAction.ACKNOWLEDGE: "The failures no longer count as unhandled. Nothing is sent to the provider.",
}
_STATES: Final = {
    JobAction.RETRY: FAILURES | {State.CANCELLED, State.PARKED},
    JobAction.CANCEL: LIVE | {State.PARKED},
    JobAction.POLL: LIVE,
    JobAction.ACKNOWLEDGE: FAILURES,
}


def accepts(action: JobAction, job: Job) -> bool:
    """Whether a request for this one job would be accepted."""
    match action:
        case JobAction.RETRY:
            return job.state in TERMINAL or job.state is State.PARKED
        case JobAction.CANCEL:
            return job.state not in TERMINAL
        case JobAction.POLL | JobAction.ACKNOWLEDGE:
            return job.state in _STATES[action]


def permits(action: JobAction, job: Job) -> bool:
    """Whether a filter selects the job: the action changes it, and it has not succeeded."""
    match action:
        case JobAction.RETRY:
            return job.state in _STATES[action] and job.retried_as is None
        case JobAction.CANCEL:
            return job.state not in TERMINAL and not job.cancel_requested
        case JobAction.POLL:
            return job.state in LIVE
        case JobAction.ACKNOWLEDGE:
            return job.state in FAILURES and job.handled_at is None


@dataclass(frozen=True, slots=True)
class Selection:
    """The jobs with these numbers, or those that match the filter and permit the action."""

    numbers: tuple[int, ...] = ()
    filters: JobFilter = field(default_factory=JobFilter)

    @property
    def by_filter(self) -> bool:
        """Whether a filter selects the jobs; an empty filter selects nothing."""
        return not self.numbers and not self.filters.is_empty


@dataclass(frozen=True, slots=True)
class ManyResult:
    """The result: each changed job with its number before, and each refused one with the reason.

    In a dry run they are the jobs that would be changed or refused. ``more``: there are more jobs that match.
    """

    done: tuple[tuple[int, Job], ...]
    refused: tuple[tuple[int, str], ...] = ()
    more: bool = False


class ManyJobs:
    """Acts on many jobs.

    Args:
        jobs: carries out the action on each job.
        lists: finds the jobs.
    """

    def __init__(self, jobs: JobService, lists: JobList) -> None:
        self._jobs = jobs
        self._lists = lists

    async def preview(self, action: JobAction, selection: Selection, most: int = MOST_COUNTED) -> ManyResult:
        """What :meth:`act` would do, without a change.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        if selection.by_filter:
            found, more = await self._matching(action, selection.filters, most)
            return ManyResult(tuple((job.id, job) for job in found), more=more)
        stored = await self._lists.numbered(selection.numbers)
        done = [(number, job) for number in _once(selection) if (job := stored.get(number)) and accepts(action, job)]
        refused = [
            (number, f"job {number} is {stored[number].state}" if number in stored else f"there is no job {number}")
            for number in _once(selection)
            if number not in dict(done)
        ]
        return ManyResult(tuple(done), tuple(refused))

    async def act(
        self, action: JobAction, selection: Selection, *, actor: Actor, most: int = MOST_AT_ONCE
    ) -> ManyResult:
        """Act on the jobs, the oldest first.

        The jobs are read before anything is changed, so that new jobs are never selected.

        Args:
            action: what to do.
            selection: the jobs.
            actor: who asks.
            most: how many jobs at most.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        if selection.by_filter:
            found, more = await self._matching(action, selection.filters, most)
            numbers = [job.id for job in found]
        else:
            numbers, more = _once(selection)[:most], len(_once(selection)) > most
        change = self._change(action)
        done: list[tuple[int, Job]] = []
        refused: list[tuple[int, str]] = []
        for number in numbers:
            try:
                done.append((number, await change(number, actor=actor)))
            except RequestError as error:
                refused.append((number, str(error)))
        return ManyResult(tuple(done), tuple(refused), more)

    def _change(self, action: JobAction) -> Callable[..., Awaitable[Job]]:
        return {
            JobAction.RETRY: self._jobs.retry,
            JobAction.CANCEL: self._jobs.cancel,
            JobAction.POLL: self._jobs.poll_now,
            JobAction.ACKNOWLEDGE: self._jobs.acknowledge,
        }[action]

    async def _matching(self, action: JobAction, filters: JobFilter, most: int) -> tuple[list[Job], bool]:
        """The newest jobs that match and permit the action, the oldest of them first, and whether there are more."""
        states = _STATES[action] & frozenset(filters.states) if filters.states else _STATES[action]
        if not states:
            return [], False
        # A list of unhandled failures costs what is unhandled; a list by state may read every failure of the past.
        narrowed = replace(filters, states=states, unhandled=filters.unhandled or action is JobAction.ACKNOWLEDGE)
        found: list[Job] = []
        before: int | None = None
        size = min(_PAGE, most + 1)
        for turn in count(1):
            page = await self._lists.page(narrowed, size, before, self._jobs.offered)
            found += [job for job in page if permits(action, job)]
            if len(found) > most:
                return found[:most][::-1], True
            if len(page) < size:
                break
            if turn >= _MOST_PAGES and most <= MOST_COUNTED:
                return found[::-1], True
            before = page[-1].id
        return found[::-1], False


def _once(selection: Selection) -> list[int]:
    return list(dict.fromkeys(selection.numbers))
