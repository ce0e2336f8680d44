"""Remote jobs that fail for a passing reason, through power cuts, with every invariant checked."""

from pathlib import Path

import pytest

from tests.simulation.one_job import fault, tell
from tests.simulation.world import World
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind

_WAIT_S = 600.0


def again(world: World) -> None:
    """The provider's ERROR counts as passing."""
    table = f"[operations.statistics.again]\ntimes = 2\nwait_s = {_WAIT_S}\n\n[operations.statistics.submit]"

    def change(text: str) -> str:
        assert 'ERROR = "failed"' in text
        # The examples describe the spec as it was.
        text = text.partition("[[examples]]")[0].replace('ERROR = "failed"', 'ERROR = "again"')
        return text.replace("[operations.statistics.submit]", table, 1)

    world.use_spec(change)


@pytest.mark.slow
@pytest.mark.parametrize("lives_s", [(), (30.0, 200.0, 400.0, 300.0), (90.0, 90.0)], ids=["whole", "cut", "cut early"])
def test_two_failures_and_a_success(template: Path, lives_s: tuple[float, ...]) -> None:
    """Three submits, each after its wait, whatever the power does; the log names each failure once."""
    told = tell(template, again, fault("create", FaultKind.ERROR_STATUS, 2), lives_s=lives_s, patience_s=7200.0)
    assert (told.job.state, told.job.agains, told.job.resubmits) == (State.SUCCEEDED, 2, 0)
    assert told.world.emulator.count("create") == 3
    assert told.outcomes.count("FailedForNow") == len(told.events("job.postponed")) == 2
    submits = [entry.at for entry in told.history if entry.outcome == "Intended"]
    failures = [entry.at for entry in told.history if entry.outcome == "FailedForNow"]
    waits = [later - failed for failed, later in zip(failures, submits[1:], strict=True)]
    assert waits[0] >= _WAIT_S
    assert waits[1] >= 2 * _WAIT_S


@pytest.mark.slow
def test_a_failure_that_does_not_pass(template: Path) -> None:
    """After the last submit the job fails, with the reason that the provider gives."""
    told = tell(template, again, fault("create", FaultKind.ERROR_STATUS, None), patience_s=7200.0)
    assert (told.job.state, told.world.emulator.count("create")) == (State.FAILED, 3)
    assert (told.job.reason or "").startswith("submitted again 2 times, without success: the provider says ERROR")
