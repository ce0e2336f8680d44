"""Symbolic links below the storage root are never followed, and the message names a remedy."""

import asyncio
import json
import os
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.storage.folders import descriptors, files, link, only, read, write
from tidewaiter.storage.base import StorageError, StorageThreads, StorageUnavailableError
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.storage.safe_paths import LinkError

KEY = "shop/statistics/7/result.csv"
SECRET = b"of another program"
ETAG = '"5a1c"'


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of another program, laid out as the keys of the storage are."""
    folder = tmp_path / "outside"
    for below in ("shop/statistics/7", "statistics/7", "7", "."):
        write(folder / below / "result.csv", SECRET)
    return folder


async def _land(storage: LocalStorage, key: str = KEY) -> None:
    async with await storage.open(key, 7, 0) as landing:
        await landing.write(b"ours")
        await landing.finish()


async def _read(storage: LocalStorage) -> bytes:
    async with storage.reading(KEY) as content:
        return b"" if content is None else b"".join([piece async for piece in content.pieces(0, content.size)])


async def _copy_from(storage: LocalStorage) -> None:
    await storage.copy(KEY, "elsewhere/copy.csv")


async def _copy_to(storage: LocalStorage) -> None:
    await storage.put("elsewhere/source.csv", b"ours")
    await storage.copy("elsewhere/source.csv", KEY)


ACTS: dict[str, Callable[[LocalStorage], Awaitable[object]]] = {
    "land": _land,
    "put": lambda storage: storage.put(KEY, b"ours"),
    "copy from": _copy_from,
    "copy to": _copy_to,
    "find": lambda storage: storage.find(KEY),
    "read": _read,
    "measure": lambda storage: storage.measure(KEY),
    "list": lambda storage: storage.list("shop/statistics/7"),
    "remove": lambda storage: storage.remove(KEY),
}


def _everything(folder: Path) -> dict[str, bytes]:
    return {name: read(folder / name) for name in files(folder)}


@pytest.mark.parametrize("at", ["shop", "shop/statistics", "shop/statistics/7"])
@pytest.mark.parametrize("act", ACTS)
async def test_a_folder_that_is_a_link(storage: LocalStorage, root: Path, outside: Path, act: str, at: str) -> None:
    """No act goes through it at any depth; the error names the link and what to do, and nothing outside changes."""
    link(root / at, outside)
    before, held = _everything(outside), descriptors()
    with pytest.raises(LinkError) as caught:
        await ACTS[act](storage)
    assert str(caught.value).startswith(f"{root / at} is a symbolic link, ")
    assert "storage.root" in str(caught.value)
    assert not isinstance(caught.value, StorageUnavailableError)
    assert _everything(outside) == before
    assert files(root / ".partial") == []
    assert descriptors() == held


@pytest.mark.parametrize("act", [act for act in ACTS if act not in {"list", "remove"}])
async def test_a_file_that_is_a_link(storage: LocalStorage, root: Path, outside: Path, act: str) -> None:
    """It is neither read nor replaced: who has made it is told, and what it leads to stays as it was."""
    link(root / KEY, outside / "result.csv")
    before = _everything(outside)
    with pytest.raises(LinkError, match=f"^{root / KEY} is a symbolic link, "):
        await ACTS[act](storage)
    assert _everything(outside) == before
    assert (root / KEY).is_symlink()


async def test_listing_and_removing_a_link(storage: LocalStorage, root: Path, outside: Path) -> None:
    """A link among the files of a job is listed, and removing removes the link and not what it leads to."""
    link(root / KEY, outside / "result.csv")
    assert await storage.list("shop/statistics/7") == [KEY]
    await storage.remove(KEY)
    assert not (root / KEY).is_symlink()
    assert read(outside / "result.csv") == SECRET


async def test_a_link_in_place_of_the_unfinished_files(storage: LocalStorage, root: Path, outside: Path) -> None:
    """Nothing is begun through it and nothing swept; it concerns every job, so downloads wait and charge none."""
    link(root / ".partial", outside)
    write(outside / "7-0-0123456789abcdef.part", SECRET)
    before = _everything(outside)
    acts: list[Awaitable[object]] = [storage.open(KEY, 7, 0), storage.put(KEY, b""), storage.check()]
    acts += [storage.sweep(2e9, ()), storage.drop_partials(7)]
    for act in acts:
        with pytest.raises(StorageUnavailableError, match=r"\.partial is a symbolic link"):
            await act
    assert _everything(outside) == before


@pytest.mark.parametrize("kind", ["a link to a part", "a second name of a part", "a link to a checkpoint"])
async def test_an_unfinished_file_that_is_another(storage: LocalStorage, root: Path, outside: Path, kind: str) -> None:
    """A download never goes on in a file that may be another program's: it begins anew, and that file stays."""
    partial, victim = root / ".partial", outside / "result.csv"
    await storage.check()
    part = partial / "7-0-0123456789abcdef.part"
    match kind:
        case "a link to a part":
            part.symlink_to(victim)
        case "a second name of a part":
            part.hardlink_to(victim)
        case _:
            write(part, SECRET)
    sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    document = {"part": part.name, "offset": 0, "validator": ETAG, "sha256": sha256}
    there = outside / "checkpoint.json" if kind == "a link to a checkpoint" else partial / "7-0.json"
    write(there, json.dumps(document).encode())
    if kind == "a link to a checkpoint":
        (partial / "7-0.json").symlink_to(there)
    landing = await storage.open(KEY, 7, 0)
    assert (landing.offset, landing.validator) == (0, None)
    assert only(root, ".partial/*").name != part.name
    await landing.write(b"ours")
    await landing.finish()
    assert read(victim) == SECRET
    assert there.exists() is (kind == "a link to a checkpoint")


async def test_a_second_name_of_a_landed_file(storage: LocalStorage, root: Path, outside: Path) -> None:
    """Landing replaces the name, not the content: what else bears the same inode stays as it was."""
    (root / KEY).parent.mkdir(parents=True)
    (root / KEY).hardlink_to(outside / "result.csv")
    await _land(storage)
    assert read(root / KEY) == b"ours"
    assert read(outside / "result.csv") == SECRET


async def test_a_root_that_is_a_link(storage: LocalStorage, root: Path, tmp_path: Path) -> None:
    """The root is the operator's, and may lie behind a link."""
    (tmp_path / "disk").mkdir()
    link(root, tmp_path / "disk")
    await _land(storage)
    assert await _read(storage) == b"ours"
    assert files(tmp_path / "disk") == [KEY]


# --- swapped at the worst moment ------------------------------------------------------------------------------------


def _swap(folder: Path, outside: Path) -> None:
    """Move a folder away and put a link in its place."""
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(outside)


async def test_swapped_before_the_rename(
    storage: LocalStorage, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that becomes a link right before the file gets its name: it lands in the folder, where that is now."""
    await storage.put("shop/statistics/7/other.csv", b"")
    replace = os.replace

    def late(source: str, target: str, **more: int) -> None:
        if target == "result.csv":
            _swap(root / "shop/statistics/7", outside)
        replace(source, target, **more)

    monkeypatch.setattr(os, "replace", late)
    before = _everything(outside)
    await _land(storage)
    assert read(root / "shop/statistics/moved/result.csv") == b"ours"
    assert _everything(outside) == before


async def test_swapped_before_the_open(
    storage: LocalStorage, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same of a file that is read: its folder was entered before, so the link is not seen."""
    await _land(storage)
    opened = os.open

    def late(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "result.csv":
            monkeypatch.setattr(os, "open", opened)
            _swap(root / "shop/statistics/7", outside)
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", late)
    assert await _read(storage) == b"ours"
    assert (root / "shop/statistics/7").is_symlink()


@contextmanager
def _swapping(folder: Path, outside: Path) -> Iterator[None]:
    """Another program, which replaces a folder by a link and puts it back, as fast as it can."""
    ended = threading.Event()
    moved = folder.with_name("moved")

    def swap() -> None:
        while not ended.is_set():
            with suppress(OSError):
                folder.rename(moved)
            with suppress(OSError):
                folder.symlink_to(outside)
            if folder.is_symlink():
                folder.unlink()
            else:
                shutil.rmtree(folder, ignore_errors=True)  # the storage has made it anew
            with suppress(OSError):
                moved.rename(folder)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.slow
async def test_swapped_all_the_time(root: Path, outside: Path) -> None:
    """However a folder and a link take turns, nothing is written or removed outside, and nothing of it is read."""
    before = _everything(outside)
    seen: set[bytes] = set()
    with StorageThreads() as threads:
        storage = LocalStorage(root, threads)
        await _land(storage)
        with _swapping(root / "shop/statistics/7", outside):
            for _ in range(150):
                for act in (_land, _read, ACTS["remove"]):
                    with suppress(StorageError):
                        found = await act(storage)
                        seen |= {found} if isinstance(found, bytes) else set()
                await asyncio.sleep(0)
    assert _everything(outside) == before
    assert SECRET not in seen
