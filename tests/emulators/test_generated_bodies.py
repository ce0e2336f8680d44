"""Bodies: made up from a seed, cut into parts, never held whole."""

import hashlib

import pytest

from tidewaiter.emulators.emulated_replies import BodySlice, BytesBody, EmulatedBody, GeneratedBody, as_body, head_of

_SIZE = 200_001


def _read(body: EmulatedBody) -> bytes:
    return b"".join(body.chunks(0, body.size))


def test_a_generated_body_follows_from_its_seed() -> None:
    """The same size and seed give the same bytes each time, another seed gives others, and the size is exact."""
    assert _read(GeneratedBody(_SIZE, 7)) == _read(GeneratedBody(_SIZE, 7))
    assert _read(GeneratedBody(_SIZE, 7)) != _read(GeneratedBody(_SIZE, 8))
    assert len(_read(GeneratedBody(_SIZE, 7))) == _SIZE


def test_a_generated_body_is_the_same_on_every_machine() -> None:
    """Its checksum is pinned: what one process downloads can be checked by another that knows only size and seed."""
    body = GeneratedBody(_SIZE, 7)
    assert body.sha256() == hashlib.sha256(_read(body)).hexdigest()
    assert body.sha256() == "4c1aa95313c9aac15fcc18c9749971979c0410e1f8db275897a0642d3ff165c0"


def test_a_generated_body_comes_in_small_pieces() -> None:
    """No piece is above 64 KiB, so a body of any size costs little memory."""
    first = next(GeneratedBody(10**15, 1).chunks(10**14, 10**15))
    assert len(first) <= 65_536


@pytest.mark.parametrize("body", [GeneratedBody(_SIZE, 3), BytesBody(bytes(range(256)) * 800)])
@pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 1), (65_535, 65_537), (131_071, 200_000)])
def test_any_part_equals_that_part_of_the_whole(body: EmulatedBody, start: int, stop: int) -> None:
    """A part read by itself is byte for byte what the whole holds there, also across block borders."""
    assert _read(BodySlice(body, start, stop)) == _read(body)[start:stop]
    assert BodySlice(body, start, stop).size == stop - start


def test_the_head_of_a_body_is_bounded() -> None:
    """Asking for more than there is gives what there is."""
    assert head_of(as_body(b"abc"), 2) == b"ab"
    assert head_of(as_body(b"abc"), 9) == b"abc"
