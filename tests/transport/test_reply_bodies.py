"""Decoding of bodies, in any pieces and any number of codings."""

import gzip
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from tidewaiter.domain.http_values import can_decode, content_codings
from tidewaiter.transport.reply_bodies import BombError, Unpacker, UnpackError, unpacking_of

PLAIN = b"".join(f"row {number}\n".encode() for number in range(2000))
RAW = zlib.compress(PLAIN)[2:-4]
PACKED = [
    (["gzip"], gzip.compress(PLAIN)),
    (["gzip"], gzip.compress(PLAIN[:100]) + gzip.compress(PLAIN[100:])),
    (["deflate"], zlib.compress(PLAIN)),
    (["deflate"], RAW),
    (["gzip", "gzip"], gzip.compress(gzip.compress(PLAIN))),
    (["deflate", "gzip"], gzip.compress(zlib.compress(PLAIN))),
    (["gzip", "deflate", "gzip"], gzip.compress(zlib.compress(gzip.compress(PLAIN)))),
    ([], PLAIN),
]


def unpacked(codings: Sequence[str], packed: bytes, size: int = 2**20, largest: int = 2**20) -> bytes:
    """What comes of a body that arrives in pieces of ``size`` bytes."""
    unpacking = unpacking_of(codings, largest)
    pieces = [out for at in range(0, len(packed), size) for out in unpacking.feed(packed[at : at + size])]
    return b"".join([*pieces, *unpacking.finish()])


@pytest.mark.parametrize(("codings", "packed"), PACKED)
@given(size=st.integers(1, 5000))
def test_it_unpacks_in_any_pieces(codings: list[str], packed: bytes, size: int) -> None:
    """Member borders, wrappers and several codings are all the same, wherever the network cuts."""
    assert unpacked(codings, packed, size) == PLAIN


@pytest.mark.fault(38)
@pytest.mark.parametrize(("codings", "packed"), PACKED[:1] + PACKED[4:7])
@given(data=st.data())
def test_what_breaks_off_is_not_whole(codings: list[str], packed: bytes, data: st.DataObject) -> None:
    """However close to the end, and on whichever level."""
    cut = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(UnpackError):
        unpacked(codings, packed[:cut])


@pytest.mark.fault(41)
@given(most=st.integers(0, len(PLAIN) + 100))
def test_it_stops_at_the_most(most: int) -> None:
    """Never a byte more than asked for."""
    assert Unpacker("gzip").feed(gzip.compress(PLAIN), most) == PLAIN[:most]


@pytest.mark.slow
def test_a_bomb_within_a_bomb() -> None:
    """Every level is bounded, and none is unpacked in memory as a whole."""
    inner = gzip.compress(bytes(60 * 2**20))
    bomb = gzip.compress(inner)
    sizes = [len(piece) for piece in unpacking_of(["gzip", "gzip"], 10**9).feed(bomb)]
    assert sum(sizes) == 60 * 2**20
    assert max(sizes) < 10 * 2**20
    with pytest.raises(BombError, match="more than 1000 bytes"):
        unpacked(["gzip", "gzip"], bomb, largest=1000)
    with pytest.raises(BombError, match="300 times"):
        unpacked(["gzip"], gzip.compress(bytes(70 * 2**20)), largest=10**9)


def test_nothing_packed_is_whole() -> None:
    """A reply to HEAD names a coding and has no body."""
    assert unpacked(["gzip", "deflate"], b"") == b""


def test_noise_is_no_gzip() -> None:
    """The message says which coding."""
    with pytest.raises(UnpackError, match="cannot be unpacked by gzip"):
        unpacked(["gzip"], b"id,name\n")


@pytest.mark.parametrize(
    ("values", "codings"),
    [
        ((), ()),
        (("gzip",), ("gzip",)),
        ((" GZip ",), ("gzip",)),
        (("X-GZIP",), ("gzip",)),
        (("Deflate",), ("deflate",)),
        (("gzip, gzip",), ("gzip", "gzip")),
        (("deflate", "gzip"), ("deflate", "gzip")),
        (("identity",), ()),
        (("identity, gzip,identity",), ("gzip",)),
        (("aws-chunked,gzip",), ("gzip",)),
        (("gzip, aws-chunked",), ("gzip",)),
        (("",), ()),
        ((" , ,",), ()),
        (("br",), ("br",)),
        (("gzip, ZSTD",), ("gzip", "zstd")),
        (("compress",), ("compress",)),
        (("base64",), ("base64",)),
        *[
            ((word,), ())
            for word in (
                "UTF-8", "utf8", '"utf-8"', "none", "binary", "8bit", "7BIT", "ISO-8859-1", "iso-8859-15", "us-ascii",
                "windows-1252", "aws-chunked", "chunked", "text/csv", "charset=utf-8", "UTF-16LE", "null",
                "Identity;q=1",
            )
        ],
    ],
)  # fmt: skip
def test_what_a_content_encoding_names(values: tuple[str, ...], codings: tuple[str, ...]) -> None:
    """Names in any case, in order, in one field or several; what is no coding is passed over."""
    assert content_codings(CIMultiDict([("Content-Encoding", value) for value in values])) == codings


def test_what_can_be_undone() -> None:
    """Only all of them together, and no more than curl undoes."""
    assert can_decode(())
    assert can_decode(("gzip", "deflate", "gzip"))
    assert not can_decode(("br", "gzip"))
    assert not can_decode(("gzip",) * 6)
