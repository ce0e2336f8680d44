"""A disk that loses, tears or keeps what was not synced when the power is cut.

While it is watched, each function of ``os`` by which a storage changes files below a root is an effect. A file's bytes
are certain once the file was synced, a name once its folder was (see fsync(2)).
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from tests.simulation.cuts.effects import Effects


class Fate(Enum):
    """What becomes of that which was not synced."""

    GONE = "gone"
    TORN = "torn"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of a folder's names that is not synced, and how it is undone below another root."""

    folder: str
    undo: Callable[[Path], None]
    removed: str = ""


@dataclass(slots=True)
class Disk:
    """The files below ``root``, and what of them is certain."""

    root: Path
    effects: Effects
    _synced: dict[int, bytes] = field(default_factory=dict)
    _changes: list[_Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        """What a disk has when it is switched on is certain."""
        self._synced.update((path.stat().st_ino, path.read_bytes()) for path in self._files())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Every change of the files is an effect of the process."""
        with mock.patch.multiple(
            os,
            open=self._around(os.open, self._after_open, lambda _, flags, *__, **___: bool(flags & os.O_CREAT)),
            mkdir=self._around(os.mkdir, self._after_mkdir),
            replace=self._replacing(os.replace),
            rename=self._replacing(os.rename),
            unlink=self._unlinking(os.unlink),
            remove=self._unlinking(os.remove),
            write=self._around(os.write, None),
            writev=self._around(os.writev, None),
            ftruncate=self._around(os.ftruncate, None),
            fsync=self._around(os.fsync, self._after_fsync),
        ):
            yield

    @property
    def uncertain(self) -> bool:
        """Whether a power cut could lose anything here."""
        return bool(self._changes) or any(
            self._synced.get(path.stat().st_ino, b"") != path.read_bytes() for path in self._files()
        )

    def lose(self, copy: Path, fate: Fate, rand: Random) -> set[str]:
        """Let the power cut take its toll of a copy of the root that was just made.

        Returns:
            The names of files that had been removed and are there again.
        """
        if fate is Fate.KEPT:
            return set()
        for path in self._files():
            found, certain = path.read_bytes(), self._synced.get(path.stat().st_ino, b"")
            if found != certain:
                left = certain if fate is Fate.GONE else found[: rand.randint(0, len(found))]
                (copy / path.relative_to(self.root)).write_bytes(left)
        for change in reversed(self._changes):
            if fate is Fate.GONE or rand.random() < 0.5:
                change.undo(copy)
        return {Path(change.removed).name for change in self._changes if (copy / change.removed).is_file()}

    def _files(self) -> list[Path]:
        return [path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink()]

    # --- the functions of os ------------------------------------------------------------------------------------------

    def _around(
        self,
        function: Callable[..., Any],
        after: Callable[..., None] | None,
        counts: Callable[..., bool] = lambda *_, **__: True,
    ) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            path = self._path(args[0], kwargs.get("dir_fd"))
            if path is None or not counts(*args, **kwargs):
                return function(*args, **kwargs)
            self.effects.before()
            existed = path.exists()
            result = function(*args, **kwargs)
            if after is not None:
                after(path, existed)
            self.effects.happened(f"{function.__name__} {path.name}")
            return result

        called.__name__ = function.__name__  # it may be taken again, by the watch of the next daemon
        return called

    def _replacing(self, function: Callable[..., None]) -> Callable[..., None]:
        def called(source: str, target: str, **kwargs: Any) -> None:
            old = self._path(source, kwargs.get("src_dir_fd"))
            new = self._path(target, kwargs.get("dst_dir_fd"))
            if old is None or new is None:
                return function(source, target, **kwargs)
            self.effects.before()
            replaced = new.read_bytes() if new.exists() else None
            function(source, target, **kwargs)
            before, after = self._below(old), self._below(new)

            def undo(copy: Path) -> None:
                if not (copy / after).exists():
                    return
                (copy / before).parent.mkdir(parents=True, exist_ok=True)
                (copy / after).replace(copy / before)
                if replaced is not None:
                    (copy / after).write_bytes(replaced)

            self._changes.append(_Change(self._below(new.parent), undo))
            self.effects.happened(f"replace {new.name}")
            return None

        return called

    def _unlinking(self, function: Callable[..., None]) -> Callable[..., None]:
        def called(name: str, **kwargs: Any) -> None:
            path = self._path(name, kwargs.get("dir_fd"))
            if path is None:
                return function(name, **kwargs)
            self.effects.before()
            content = path.read_bytes() if path.is_file() else None
            function(name, **kwargs)
            below = self._below(path)

            def undo(copy: Path) -> None:
                if content is not None and (copy / below).parent.exists():
                    (copy / below).write_bytes(content)

            self._changes.append(_Change(self._below(path.parent), undo, removed=below))
            self.effects.happened(f"unlink {path.name}")
            return None

        return called

    def _after_open(self, path: Path, existed: bool) -> None:
        if not existed:
            self._synced.pop(path.stat().st_ino, None)  # of a file that was removed
            self._changes.append(_Change(self._below(path.parent), self._removal(path)))

    def _after_mkdir(self, path: Path, existed: bool) -> None:
        self._changes.append(_Change(self._below(path.parent), self._removal(path)))

    def _after_fsync(self, path: Path, existed: bool) -> None:
        if path.is_dir():
            below = self._below(path)
            self._changes = [change for change in self._changes if change.folder != below]
        elif path.is_file():
            self._synced[path.stat().st_ino] = path.read_bytes()

    def _removal(self, path: Path) -> Callable[[Path], None]:
        below = self._below(path)

        def undo(copy: Path) -> None:
            if (copy / below).is_dir():
                shutil.rmtree(copy / below)
            else:
                (copy / below).unlink(missing_ok=True)

        return undo

    def _below(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    def _path(self, given: object, folder: int | None) -> Path | None:
        """The file or folder that a call is about; ``None`` if it is not below the root."""
        if isinstance(given, int):
            path = _of_descriptor(given)
        elif folder is not None:
            path = _of_descriptor(folder) / os.fspath(given)  # type: ignore[call-overload]  # as os takes it
        else:
            path = Path(os.fspath(given))  # type: ignore[call-overload]  # as os takes it
        return path if path.is_relative_to(self.root) else None


def _of_descriptor(descriptor: int) -> Path:
    return Path(str(Path(f"/proc/self/fd/{descriptor}").readlink()).removesuffix(" (deleted)"))
