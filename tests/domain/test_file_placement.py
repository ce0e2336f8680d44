"""Numbers and keys of new files beside files that are kept."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.domain.file_names import free_places
from tidewaiter.domain.manifest import Artifact

TraceFunction = Callable[[FrameType, str, Any], Any]


def artifact(number: int, key: str | None = None) -> Artifact:
    """A file that has landed."""
    return Artifact(number, "x", "x", key or f"k/{number}", 1, "00", "a/b", 1.0)


def key_of(_: int, number: int) -> str:
    """The key that a number gives."""
    return f"k/{number}"


def test_a_place_is_the_number_where_it_is_free() -> None:
    """So it is in every first download."""
    assert list(free_places({}, 3, key_of)) == [(0, 0, "k/0"), (1, 1, "k/1"), (2, 2, "k/2")]


def test_a_kept_file_holds_its_number() -> None:
    """A file at its old place gets another place, which is not one of the list."""
    assert list(free_places({1: artifact(0)}, 2, key_of)) == [(0, 2, "k/2")]
    assert list(free_places({2: artifact(0), 0: artifact(3)}, 3, key_of)) == [(1, 1, "k/1")]


def test_a_kept_key_is_not_written_over() -> None:
    """Even where another number made it."""
    assert list(free_places({0: artifact(7, "k/1")}, 2, key_of)) == [(1, 2, "k/2")]


@given(
    st.integers(1, 8).flatmap(
        lambda total: st.tuples(
            st.just(total), st.dictionaries(st.integers(0, total - 1), st.integers(0, 12), max_size=total)
        )
    )
)
def test_nothing_collides(given_: tuple[int, dict[int, int]]) -> None:
    """No number and no key is used twice, whatever is kept where."""
    total, at = given_
    kept = {place: artifact(number) for number, place in {number: place for place, number in at.items()}.items()}
    made = list(free_places(kept, total, key_of))
    assert [place for place, _, _ in made] == [place for place in range(total) if place not in kept]
    numbers = [number for _, number, _ in made] + [one.number for one in kept.values()]
    keys = [key for _, _, key in made] + [one.key for one in kept.values()]
    assert len(set(numbers)) == total
    assert len(set(keys)) == total


def steps_of(total: int) -> int:
    """How many lines `free_places` runs where half of the files are kept, each in another's place."""
    half = total // 2
    kept = {place + half: artifact(place) for place in range(half)}
    lines = 0

    def count(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        nonlocal lines
        if frame.f_code is not free_places.__code__:
            return None
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        made = list(free_places(kept, total, key_of))
    finally:
        sys.settrace(before)
    assert len(made) == half
    return lines


def test_the_steps_grow_with_the_files_alone() -> None:
    """A long list in another order is placed in time linear in it: no number is tried again for each file."""
    assert steps_of(2000) < 3 * steps_of(1000)
