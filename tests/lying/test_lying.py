"""The property: whatever a server does, landed files are right, and every other job has a reason.

`make test-slow` runs three hundred mixes, `make chaos-short` the others of the first five hundred, and
`make lies FIRST=100000 COUNT=20000` more. One alone, with its story: ``python -m tests.lying SEED --shrink 1``.
"""

from pathlib import Path

import pytest

from tests.lying.batches import BATCH, batches, summary
from tests.lying.claims import broken
from tests.lying.run import run
from tests.support.effort import seeds


@pytest.mark.fault(27, 38, 39, 40, 41, 63, 68)
@pytest.mark.invariant(6, 7)
@pytest.mark.slow
@pytest.mark.parametrize("first", seeds(300, 3000, BATCH, variable="TIDEWAITER_MIXES"))
def test_whatever_a_server_does(first: int, template: Path) -> None:
    """A job that succeeded has exactly the bytes that a correct client gets; any other end says why, in time."""
    (plans,) = batches(first, BATCH)
    found = [(ended, sentence) for ended in run(plans, template) for sentence in broken(ended)]
    assert not found, summary(found)
