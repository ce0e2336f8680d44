"""Reading landed files back, in a folder as in a bucket."""

import random

import pytest

from tests.storage.inspected_storage import InspectedStorage
from tidewaiter.storage.base import StorageError

KEY = "shop/statistics/2026/01/31/7/result.csv"
CONTENT = random.Random(3).randbytes(9 * 2**20 + 77)


@pytest.mark.parametrize(("start", "stop"), [(0, len(CONTENT)), (5, 6), (2**20 - 1, 8 * 2**20 + 5), (7, 7)])
async def test_any_range(shelf: InspectedStorage, start: int, stop: int) -> None:
    """Every range comes as it landed, in pieces of a bounded size."""
    await shelf.storage.put(KEY, CONTENT)
    async with shelf.storage.reading(KEY) as content:
        assert content is not None
        assert content.size == len(CONTENT)
        pieces = [piece async for piece in content.pieces(start, stop)]
    assert b"".join(pieces) == CONTENT[start:stop]
    assert all(len(piece) <= 8 * 2**20 for piece in pieces)


async def test_what_is_not_there(shelf: InspectedStorage) -> None:
    """No file, no content; a key that would lead elsewhere is refused."""
    async with shelf.storage.reading(KEY) as content:
        assert content is None
    for key in ("../x", "/x", "a/./b", ".partial/x", "a\\b"):
        with pytest.raises(StorageError):
            async with shelf.storage.reading(key):
                pass


async def test_another_file_lands_meanwhile(shelf: InspectedStorage) -> None:
    """Who reads a file reads that one to its end, or is told that it is another by now: never a mixture."""
    await shelf.storage.put(KEY, CONTENT)
    read = b""
    async with shelf.storage.reading(KEY) as content:
        assert content is not None
        pieces = content.pieces(0, len(CONTENT))
        read += await anext(pieces)
        await shelf.storage.put(KEY, bytes(len(CONTENT)))
        try:
            async for piece in pieces:
                read += piece
        except StorageError:
            assert len(read) < len(CONTENT)
    assert read == CONTENT[: len(read)]
