"""Every fault of the catalogue, on a request before the submit and on one that starts the remote job."""

from pathlib import Path

import pytest

from tests.lying.batches import summary
from tests.lying.catalogue import FAULTS
from tests.lying.claims import broken
from tests.lying.plan import STAGES, Fault, FilePlan, Plan
from tests.lying.run import Ended, run
from tidewaiter.domain.job import State

_AT_ONCE = 40
_FILES = (FilePlan("report", 200),)


def _run(plans: list[Plan], template: Path) -> list[Ended]:
    some = (plans[start : start + _AT_ONCE] for start in range(0, len(plans), _AT_ONCE))
    return [ended for batch in some for ended in run(batch, template)]


def test_an_honest_server(template: Path) -> None:
    """Each request once."""
    (ended,) = run([Plan(1, "staged", files=_FILES)], template)
    assert ended.job.state is State.SUCCEEDED
    assert [one.kind for one in ended.remote.asked] == ["before", "submit", "start", "poll", "poll", "file0"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", STAGES)
def test_whatever_a_server_does(kind: str, template: Path) -> None:
    """The file lands, or the job says why not; nothing is started twice, and no secret is told."""
    names = [name for name, trick in FAULTS.items() if kind in trick.on and trick.fits(Plan(0, "staged"), None)]
    assert len(names) > 40
    plans = [
        Plan(number, "staged", files=_FILES, faults=((kind, (Fault(name, salt),)),))
        for number, (name, salt) in enumerate(((name, salt) for name in names for salt in (0, 4)), start=1)
    ]
    ended = _run(plans, template)
    found = [(one, sentence) for one in ended for sentence in broken(one)]
    assert not found, summary(found)
    states = {one.job.state for one in ended}
    assert states <= {State.SUCCEEDED, State.FAILED, State.PARKED}
    assert (State.PARKED in states) == (kind == "start")
