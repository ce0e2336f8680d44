"""Tests of the test bed: an honest server succeeds, every fault occurs, and the claims find wrong results."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lying.batches import BATCH, batches, story
from tests.lying.catalogue import FAULTS, draw
from tests.lying.claims import broken
from tests.lying.plan import Fault, FilePlan, Plan
from tests.lying.run import Ended, run
from tidewaiter.domain.job import State


@pytest.mark.slow
def test_an_honest_server(template: Path) -> None:
    """Without faults every job succeeds, nothing is asked for twice, and every claim holds."""
    plans = [replace(draw(seed), faults=(), cancel_at=None, last_page="absent") for seed in range(70)]
    for ended in run(plans, template):
        assert ended.job.state is State.SUCCEEDED, story(ended)
        assert broken(ended) == []
        asked = Counter(one.request.target for one in ended.remote.asked if one.kind not in ("poll", "cleanup"))
        assert not asked or max(asked.values()) == 1, story(ended)


def test_a_seed_is_one_mix() -> None:
    """The same seed gives the same plan, and other seeds give others."""
    assert draw(7) == draw(7)
    assert len({draw(seed).faults for seed in range(200)}) > 150


def test_every_fault_is_drawn() -> None:
    """The seeds of the property test show each fault of the catalogue several times, on each kind of exchange."""
    drawn = Counter(
        (name.rstrip("0123456789"), fault.name)
        for plans in batches(0, 20 * BATCH)
        for plan in plans
        for name, faults in plan.faults
        for fault in faults
        if fault is not None
    )
    by_name = Counter[str]()
    for (_, name), times in drawn.items():
        by_name[name] += times
    assert {name for name in FAULTS if by_name[name] < 5} == set()
    kinds = {kind for kind, _ in drawn}
    assert kinds == {
        "login", "submit", "adopt", "poll", "resolve", "page", "inline", "answer", "file", "cleanup", "cancel",
        "search", "before", "start", "folders", "folder",
    }  # fmt: skip


@pytest.fixture(scope="module")
def landed(template: Path) -> Ended:
    """A job with two files that has succeeded."""
    files = (FilePlan("a", 200), FilePlan("b", 300))
    (ended,) = run([Plan(1, "list", files=files, faults=(("poll", (Fault("trickle"),)),))], template)
    assert broken(ended) == []
    return ended


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("wrong bytes", lambda data: data[:-1]),
        ("wrong bytes", lambda data: data[10:]),
        ("wrong bytes", lambda data: data + b"x"),
        ("wrong bytes", lambda _: b"<!DOCTYPE html>"),
    ],
)
def test_other_bytes_break_a_claim(landed: Ended, kind: str, stored: object) -> None:
    """A byte less, a later slice, a byte more and a page of HTML are all found."""
    assert callable(stored)
    (name,) = (one.name for one in landed.artifacts if one.label == "a")
    changed = replace(landed, stored={**landed.stored, name: stored(landed.stored[name])})
    assert kind in {sentence.partition(":")[0] for sentence in broken(changed)}


def test_other_files_break_a_claim(landed: Ended) -> None:
    """A file that is missing, that came twice, or that nobody listed is found."""
    one, two = landed.artifacts
    missing = replace(landed, artifacts=[one])
    assert {"missing file", "manifest"} <= {sentence.partition(":")[0] for sentence in broken(missing)}
    twice = replace(landed, stored={**landed.stored, two.name: landed.stored[one.name]})
    assert {"missing file", "wrong bytes"} <= {sentence.partition(":")[0] for sentence in broken(twice)}
    more = replace(landed, stored={**landed.stored, "x": b""})
    assert "manifest" in {sentence.partition(":")[0] for sentence in broken(more)}


def test_other_ends_break_a_claim(landed: Ended) -> None:
    """A failure without a reason, or after faults that end no job, is found; so is a job that never ends."""
    failed = replace(landed, job=landed.job.but(state=State.FAILED, reason=None))
    assert {"reason", "liveness"} <= {sentence.partition(":")[0] for sentence in broken(failed)}
    waiting = replace(landed, job=landed.job.but(state=State.POLLING))
    assert "end" in {sentence.partition(":")[0] for sentence in broken(waiting)}
