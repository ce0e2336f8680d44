"""The stages of a job: the requests that make and start its remote job, in order.

A stage before the submit may be repeated. One after it starts the remote job, and is sent once. ``Job.stage`` names the
stage that is next, or under way; ``None`` stands for the first one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from tidewaiter.domain.job import Job, State

SUBMIT: Final = "submit"
"""The name of the stage of the submit, which every operation has."""

Needs: TypeAlias = Callable[[Job, str], bool]


def _always(_job: Job, _stage: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of an operation; ``needs`` says whether a job needs one. Every job needs the submit."""

    names: tuple[str, ...] = (SUBMIT,)
    needs: Needs = _always

    def at(self, job: Job) -> str:
        """The stage of a job."""
        return job.stage if job.stage is not None else self._first(job, self.names)

    def after(self, job: Job) -> str | None:
        """The stage after that of a job; ``None`` after the last one, and after one that the spec does not have."""
        stage = self.at(job)
        left = self.names[self.names.index(stage) + 1 :] if stage in self.names else ()
        return self._first(job, left) if any(self.needs(job, one) for one in left) else None

    def after_submit(self, job: Job) -> str | None:
        """As :meth:`after`, for a job whose remote job is known.

        A job that was submitted before the spec got its first other request has no stage: it is at its submit.
        """
        return self.after(job if self.starts(job) else job.but(stage=SUBMIT))

    def starts(self, job: Job) -> bool:
        """Whether the stage of a job starts a remote job that exists already."""
        stage = job.stage
        if stage is None or stage == SUBMIT:
            return False
        if stage not in self.names:  # the spec has changed
            return job.handle is not None
        return self.names.index(stage) > self.names.index(SUBMIT)

    def waits_in(self, job: Job) -> State:
        """The state in which a job waits for the request of its stage."""
        return State.STARTING if self.starts(job) else State.QUEUED

    def _first(self, job: Job, names: tuple[str, ...]) -> str:
        return next((one for one in names if self.needs(job, one)), SUBMIT)


ONLY_SUBMIT: Final = Stages()
