"""Steps that end badly: what becomes of an answer that cannot be kept, and of a request that cannot be built."""

import traceback
from pathlib import Path

from app.domain import outcome as o
from app.domain.job import Job, State
from app.domain.wire import Link, WireRequest
from app.providers.faults import UnsendableError


def unkept(request: WireRequest, answer: o.Inline, why: o.Outcome) -> o.Outcome:
    """What becomes of an answer at once that did not land: it is asked for again where asking was all that was done."""
    if request.method == "GET":
        return o.Ready((Link(request.url, answer.label),), answer.status)
    return o.Unknown(f"the answer could not be kept: {getattr(why, 'reason', '')}")


def unbuilt(job: Job, error: UnsendableError) -> o.Outcome:
    """What becomes of a job whose next request cannot be built: its spec, or the job's place in it, has changed.

    Before the submit that is the end. Later there is a remote job, or there are files, and a spec that is corrected
    lets the job go on.
    """
    if job.state is State.QUEUED:
        return o.Refused(f"the submit cannot be built from the provider's spec as it is now: {error}")
    return o.Retry(f"the request cannot be built from the provider's spec as it is now; correct the spec: {error}")


def place_of(error: Exception) -> str:
    """Where an exception was raised, as file and line: enough to find it, without the values that a traceback holds."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
