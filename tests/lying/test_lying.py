"""The property: whatever a server does, what a job lands is the truth, and every other end says why.

``make test`` runs the seeds below. More of them: ``make lies FIRST=100000 COUNT=20000``. One alone, with its story:
``python -m tests.lying SEED --shrink 1``.
"""

from pathlib import Path

import pytest

from tests.lying.batches import BATCH, batches, summary
from tests.lying.claims import broken
from tests.lying.run import run

_MIXES = 3000


@pytest.mark.parametrize("first", range(0, _MIXES, BATCH))
def test_whatever_a_server_does(first: int, template: Path) -> None:
    """A job that succeeded has exactly the bytes that a correct client gets; any other end says why, in time."""
    (plans,) = batches(first, BATCH)
    found = [(ended, sentence) for ended in run(plans, template) for sentence in broken(ended)]
    assert not found, summary(found)
