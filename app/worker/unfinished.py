"""Steps that end badly: what becomes of a request that cannot be built, and where an exception came from."""

import traceback
from pathlib import Path

from app.domain import outcome as o
from app.domain.job import Job, State
from app.providers.faults import UnsendableError
from app.transport.errors import AccountClosedError

_LOOK_AGAIN_S = 60.0


def unbuilt(job: Job, error: UnsendableError) -> o.Outcome:
    """What becomes of a job whose next request cannot be built: its spec, or the job's place in it, has changed.

    Before the submit that is the end. Later there is a remote job, or there are files, and a spec that is corrected
    lets the job go on.
    """
    if job.state is State.QUEUED:
        return o.Refused(f"the submit cannot be built from the provider's spec as it is now: {error}")
    return o.Retry(f"the request cannot be built from the provider's spec as it is now; correct the spec: {error}")


def until_open(error: AccountClosedError) -> o.NotYet:
    """What becomes of a download that has to ask a provider whose account is closed: it leaves its place to others.

    It looks again before the closing ends, for a person may open the account.
    """
    return o.NotYet(str(error), min(error.wait_s, _LOOK_AGAIN_S), exact=True)


def place_of(error: Exception) -> str:
    """Where an exception was raised, as file and line: enough to find it, without the values that a traceback holds."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
