"""The decisions about a parked job: what each does, and what may go wrong."""

import shlex
from dataclasses import dataclass
from typing import Final

from tidewaiter.domain.job import Job

UNKNOWN_SUBMIT: Final = "The outcome of the submit is unknown. Adopt the remote job, submit again, or cancel."
LOST_LINKS: Final = "The stored download links cannot be used any more. Adopt the remote job, submit again, or cancel."


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision: its name, its command (a format, see ``command_for``), its effect and its risk."""

    name: str
    command: str
    effect: str
    risk: str

    def command_for(self, job: Job) -> str:
        """The command for a job. A handle that is known is in it; else a person puts one in the place of HANDLE."""
        return self.command.format(number=job.id, handle=_handle(job))


ADOPT: Final = Decision(
    "Adopt the remote job",
    "tidewaiter jobs adopt {number} {handle}",
    "The job continues with a remote job that you have found at the provider.",
    "With the handle of another export, the files of that export land here.",
)
SUBMIT_AGAIN: Final = Decision(
    "Submit again",
    "tidewaiter jobs retry {number}",
    "The same request is sent to the provider once more.",
    "If the first submit arrived, the provider runs the export twice.",
)
CANCEL: Final = Decision(
    "Cancel",
    "tidewaiter jobs cancel {number}",
    "The job ends as cancelled. Nothing is sent to the provider.",
    "If the first submit arrived, its remote job continues at the provider, and its files are not stored.",
)

_STARTED: Final = Decision(
    "It was started",
    "tidewaiter jobs adopt {number} {handle}",
    "The job goes on as if the request had arrived.",
    "If the request did not arrive, the remote job never becomes ready.",
)
_START_AGAIN: Final = Decision(
    "Start again",
    "tidewaiter jobs retry {number}",
    "The request that starts the remote job is sent once more.",
    "If the first one arrived, the provider may run the export twice.",
)
_CANCEL_KNOWN: Final = Decision(
    "Cancel",
    "tidewaiter jobs cancel {number}",
    "The job ends as cancelled. Its remote job is cancelled too, if the provider has a request for that.",
    "If it has none, the remote job may continue at the provider. Its files are not stored.",
)


def decisions_about(job: Job) -> tuple[Decision, Decision, Decision]:
    """What can be decided about a parked job: go on, repeat, or cancel."""
    if job.starts:
        return _STARTED, _START_AGAIN, _CANCEL_KNOWN
    return ADOPT, SUBMIT_AGAIN, CANCEL if job.handle is None else _CANCEL_KNOWN


def command_words(job: Job) -> str:
    """The commands that decide about a parked job, for one line."""
    return f"`tidewaiter jobs adopt {job.id} {_handle(job)}`, `jobs retry {job.id}` or `jobs cancel {job.id}`"


def _handle(job: Job) -> str:
    return shlex.quote(str(job.shown_handle)) if job.starts else "HANDLE"


def parked_sentence(job: Job) -> str:
    """Why a parked job waits, and what can be decided."""
    if job.starts:
        return f"The outcome of {job.stage} is unknown. Say that it was done (adopt), send it again, or cancel."
    return UNKNOWN_SUBMIT if job.ready_at is None else LOST_LINKS
