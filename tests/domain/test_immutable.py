"""Values that are made for each step: what they have of frozen dataclasses, and what making one costs."""

import sys
from collections import Counter
from types import FrameType
from typing import Any

from tests.domain.sample_jobs import job
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.immutable import immutable
from tidewaiter.domain.job import Job, State


@immutable(frozen=True, slots=True)
class _Point:
    x: int
    y: int = 0


def _calls_into_c(work: object) -> Counter[str]:
    """How often functions in C are called while ``work()`` runs."""
    calls: Counter[str] = Counter()

    def count(_frame: FrameType, event: str, called: object) -> None:
        if event == "c_call":
            calls[getattr(called, "__qualname__", "")] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        assert callable(work)
        work()
    finally:
        sys.setprofile(before)
    return calls


def test_a_value_compares_and_hashes_by_its_members() -> None:
    """As a frozen dataclass does, and it takes no other members."""
    assert _Point(1) == _Point(1, 0) != _Point(2)
    assert len({_Point(1), _Point(1), _Point(2)}) == 2
    assert not hasattr(_Point(1), "__dict__")


def test_a_copy_of_a_job_is_made_without_a_call_for_each_member() -> None:
    """A job has some fifty members, and a landed job is copied twenty times."""
    one = job(State.POLLING)
    calls = _calls_into_c(lambda: one.but(polls=one.polls + 1))
    assert calls["object.__setattr__"] == 0
    members: list[Any] = [7 if name == "polls" else getattr(one, name) for name in Job.__slots__]
    assert one.but(polls=7) == Job(*members)


def test_a_request_is_made_without_a_call_for_each_member() -> None:
    """Each request is copied at least once, with its credentials."""
    calls = _calls_into_c(lambda: WireRequest("GET", "https://api.example.com/"))
    assert calls["object.__setattr__"] == 0
