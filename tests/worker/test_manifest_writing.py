"""A manifest of many files is written piece by piece, and appears whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tidewaiter.storage.base import StorageThreads
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.worker.manifest_writing import write_manifest

KEY = "shop/report/7/manifest.json"


@pytest.mark.parametrize("is_long", [False, True])
async def test_a_manifest_appears_whole(tmp_path: Path, is_long: bool) -> None:
    """Also in place of one that another step has written; if it cannot be rendered, that one stays."""
    with StorageThreads() as threads:
        storage = LocalStorage(tmp_path, threads)

        async def size_and(pieces: Iterator[bytes]) -> int | None:
            await write_manifest(storage, KEY, 7, pieces, is_long=is_long)
            return await storage.find(KEY)

        def broken() -> Iterator[bytes]:
            yield b"half"
            raise ValueError("no JSON")

        assert await size_and(iter([b"first"])) == 5
        assert await size_and(iter([b"se", b"cond"])) == 6
        with pytest.raises(ValueError, match="no JSON"):
            await size_and(broken())
        async with storage.reading(KEY) as content:
            assert content is not None
            assert [piece async for piece in content.pieces(0, 6)] == [b"second"]
        assert list((tmp_path / ".partial").iterdir()) == []
