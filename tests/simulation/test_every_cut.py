"""Power cuts after the effects of a run; see ``tests.simulation.cuts``.

A process of its own, because it forks: `make test-slow` cuts a few moments of one story, `make chaos-short` some of
each, `make chaos` all of them.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.simulation.cuts.stories import STORIES


def _cut(*arguments: str, timeout_s: float) -> list[dict[str, object]]:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.simulation.cuts", *arguments],
        capture_output=True, text=True, check=False, timeout=timeout_s,
    )  # fmt: skip
    assert not ended.stderr, ended.stderr
    assert ended.returncode == 0, ended.stdout
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.fault(1, 2, 3, 4, 13)
@pytest.mark.invariant(1, 2, 4, 6, 13)
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_few_moments_of_a_story() -> None:
    """No invariant is broken, and the same seed gives the same effects, with cuts and without."""
    story = next(iter(STORIES))
    (found,) = _cut("--share", "0.05", "--seed", "1", story, timeout_s=600)
    assert int(str(found["cuts"])) >= 3
    (again,) = _cut("--share", "0", "--seed", "1", story, timeout_s=600)
    assert again["trace"] == found["trace"]


@pytest.mark.invariant(13)
@pytest.mark.slow
def test_names_that_are_made_at_random_do_not_count() -> None:
    """Each file of a step has a name of its own, in each process another one: the trace stays the same."""
    stories = ("two jobs", "resumed")
    first, again = (_cut("--share", "0", *stories, timeout_s=600) for _ in range(2))
    assert [one["trace"] for one in first] == [one["trace"] for one in again]


@pytest.mark.fault(1, 2, 13)
@pytest.mark.invariant(2, 3)
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_moment_between_a_submit_and_its_commit() -> None:
    """Blind: a person is asked. Adoptable: the list is looked at. Repeatable: sent again. Never a second remote job."""
    (blind,) = _cut("--after", "POST /exports", "blind", timeout_s=600)
    assert (blind["cuts"], blind["parked"]) == (1, 1)
    for story in ("adoptable", "repeatable"):
        (other,) = _cut("--after", "POST /exports", story, timeout_s=600)
        assert (other["cuts"], other["parked"]) == (1, 0)


@pytest.mark.fault(1, 2, 3, 4, 13)
@pytest.mark.invariant(1, 2, 3, 4, 6, 7, 10)
@pytest.mark.chaos
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("story", STORIES)
def test_every_moment(story: str) -> None:
    """The daemon's power is cut after each effect; half of the daemons after it are cut as well."""
    (found,) = _cut("--share", os.environ.get("TIDEWAITER_CUTS", "0.1"), story, timeout_s=1100)
    assert found["broken"] == {}
