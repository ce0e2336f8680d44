"""Unpacking messages, whatever pieces they come in."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transport.unpack import Unpacker, unpacker_for

PLAIN = b"".join(f"row {number}\n".encode() for number in range(2000))
RAW = zlib.compress(PLAIN)[2:-4]


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(PLAIN)),
        ("X-GZIP ", gzip.compress(PLAIN[:100]) + gzip.compress(PLAIN[100:])),
        ("deflate", zlib.compress(PLAIN)),
        ("Deflate", RAW),
    ],
)
@given(size=st.integers(1, 5000))
def test_it_unpacks_in_any_pieces(coding: str, packed: bytes, size: int) -> None:
    """Member borders, wrappers and sloppy capitals are all the same, wherever the network cuts."""
    unpacker = unpacker_for(coding)
    assert unpacker is not None
    plain = b"".join(unpacker.feed(packed[at : at + size], 2**20) for at in range(0, len(packed), size))
    assert plain == PLAIN
    assert unpacker.whole


@given(cut=st.integers(1, len(gzip.compress(PLAIN)) - 1))
def test_what_breaks_off_is_not_whole(cut: int) -> None:
    """However close to the end (fault 38)."""
    unpacker = Unpacker("gzip")
    unpacker.feed(gzip.compress(PLAIN)[:cut], 2**20)
    assert not unpacker.whole


@given(most=st.integers(0, len(PLAIN) + 100))
def test_it_stops_at_the_most(most: int) -> None:
    """Never a byte more than asked for (fault 41)."""
    assert Unpacker("gzip").feed(gzip.compress(PLAIN), most) == PLAIN[:most]


def test_nothing_packed_is_whole() -> None:
    """A reply to HEAD names a coding and has no body."""
    assert Unpacker("gzip").whole


@pytest.mark.parametrize("coding", [None, "", "identity", "br", "gzip, gzip"])
def test_what_it_leaves_alone(coding: str | None) -> None:
    """What was not asked for stays as it came; its status may still be of use."""
    assert unpacker_for(coding) is None
