"""The folder of one step's unfinished files, which its successor takes away. Blocking.

It is ``.partial/<job>-<token>.step``, with a new token for every step. A step that goes on after its lease has nothing
to publish, and can make no new file, once the next step of the job has removed its folder: every rename and every new
file goes through a descriptor of that folder. A part that it went on with is beside its folder; the next step takes the
name of that part away.
"""

import os
import re
import secrets
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from tidewaiter.storage.base import ContentHash, Landed
from tidewaiter.storage.checkpoints import Checkpoint, content_of
from tidewaiter.storage.durable_files import remove, write_all
from tidewaiter.storage.safe_paths import (
    FILE_MODE,
    PRIVATE_FOLDER_MODE,
    Place,
    create,
    folder_of,
    made_folder,
    names_at,
    open_folder,
    refuse_link,
    set_mode,
)

PARTIAL: Final = (".partial",)
_STEP_NAME: Final = re.compile(r"(\d+)-[0-9a-f]+\.step")
_KEPT_NAME: Final = re.compile(r"(\d+-(\d+))(?:-[0-9a-f]+)?\.(?:part|json|tmp)")
_CHECKPOINT_NAME: Final = re.compile(r"\d+-\d+\.json")
_TRIES: Final = 8


class StepFolder:
    """The unfinished files of one step, and the folders that its files land in.

    Args:
        root: of the storage.
        job_id: whose step it is. What its earlier steps have left is taken out of their folders first.
    """

    def __init__(self, root: Path, job_id: int) -> None:
        self._root = root
        self._name = f"{job_id}-{secrets.token_hex(8)}.step"
        self._targets: dict[tuple[str, ...], int] = {}
        self._unsynced: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        with made_folder(root, PARTIAL, PRIVATE_FOLDER_MODE) as folder:
            take_over(root, folder, job_id)
            prefix = f"{job_id}-"
            found = [_KEPT_NAME.fullmatch(name) for name in names_at(folder) if name.startswith(prefix)]
            os.mkdir(self._name, PRIVATE_FOLDER_MODE, dir_fd=folder)
            self._folder = open_folder(folder, self._name)
        self.unfinished = {int(match[2]) for match in found if match is not None}
        """The numbers of files of which a part or a checkpoint is there."""

    @property
    def folders(self) -> tuple[str, ...]:
        """The names of the folders that lead to it."""
        return (*PARTIAL, self._name)

    def land(
        self, final: Place, pieces: Sequence[bytes], *, sha256: str | None, size: int | None, md5: str | None
    ) -> Landed:
        """Write, hash, verify, sync and rename a small file: all of it, so that it costs one hand-off to a thread.

        The name is durable after :meth:`sync`.
        """
        digest = ContentHash(md5=md5 is not None)
        for piece in pieces:
            digest.update(piece)
        digest.verify(sha256=sha256, size=size, md5=md5)
        temporary = f"{secrets.token_hex(8)}.tmp"
        try:
            descriptor = create(self._folder, temporary)
            try:
                write_all(descriptor, pieces)
                set_mode(descriptor, FILE_MODE)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            target = self._target(final)
            refuse_link(target, final.name, final.path)
            os.replace(temporary, final.name, src_dir_fd=self._folder, dst_dir_fd=target)
        except BaseException:  # a program that is ended in the middle leaves nothing behind either
            remove(self._folder, temporary)
            raise
        with self._lock:
            self._unsynced.add(final.folders)
        return digest.landed

    def sync(self) -> None:
        """Make the names of all files durable that have landed so far.

        One call at a time: the second would find nothing to do while the first is not done. What fails is done again.
        """
        with self._syncing:
            with self._lock:
                unsynced, self._unsynced = self._unsynced, set()
            try:
                for folders in unsynced:
                    os.fsync(self._targets[folders])
            except BaseException:  # whatever ended it, the next call must sync them
                with self._lock:
                    self._unsynced |= unsynced
                raise

    def end(self) -> None:
        """Close everything, and remove the folder; a part with a checkpoint stays."""
        for descriptor in (*self._targets.values(), self._folder):
            os.close(descriptor)
        self._targets.clear()
        with suppress(FileNotFoundError), folder_of(self._root, PARTIAL) as folder:
            clear_step(folder, self._name)

    def _target(self, final: Place) -> int:
        """A descriptor of the folder that a file lands in; it is opened once for all files of the step."""
        with self._lock:
            if (found := self._targets.get(final.folders)) is None:
                with made_folder(final.root, final.folders) as folder:
                    found = self._targets[final.folders] = os.dup(folder)
        return found


def is_step(name: str) -> int | None:
    """The job of a step's folder with this name; ``None`` for any other name."""
    match = _STEP_NAME.fullmatch(name)
    return None if match is None else int(match[1])


def take_over(root: Path, folder: int, job_id: int) -> None:
    """Make sure that the earlier steps of a job, which may go on after their lease, publish nothing any more.

    Their folders are removed, and the parts without a checkpoint. A part whose owner had not ended gets another name.

    Args:
        root: of the storage.
        folder: a descriptor of the folder of unfinished files.
        job_id: whose steps they are.
    """
    clear_steps(folder, job_id)
    names = [name for name in names_at(folder) if name.startswith(f"{job_id}-")]
    kept = set[str]()
    for stem in [name.removesuffix(".json") for name in names if _CHECKPOINT_NAME.fullmatch(name)]:
        with suppress(FileNotFoundError):
            place = Place(root, PARTIAL, f"{stem}.json")
            found = Checkpoint.read(content_of(folder, place))
            if found is None or not re.fullmatch(rf"{stem}-[0-9a-f]+\.part", found.part):
                continue
            kept.add(found.part)
            if found.live:
                mine = replace(found, part=f"{stem}-{secrets.token_hex(8)}.part")
                os.replace(found.part, mine.part, src_dir_fd=folder, dst_dir_fd=folder)
                mine.write(folder, place)
    for name in names:
        if name.endswith(".part") and _KEPT_NAME.fullmatch(name) and name not in kept:
            remove(folder, name)


def clear_steps(folder: int, job_id: int) -> None:
    """Remove the folders of all steps of a job, as :func:`clear_step` does."""
    for name in names_at(folder):
        if is_step(name) == job_id:
            clear_step(folder, name)


def clear_step(folder: int, name: str) -> int:
    """Remove the folder of a step that is over, or that must not go on; parts with a checkpoint move out of it.

    Args:
        folder: a descriptor of the folder of unfinished files.
        name: of the folder of the step.

    Returns:
        How many files were removed.
    """
    removed = 0
    for _ in range(_TRIES):  # its step may still make files
        try:
            inner = open_folder(folder, name)
        except FileNotFoundError:
            break
        try:
            removed += _empty(folder, inner)
        finally:
            os.close(inner)
        with suppress(OSError):
            os.rmdir(name, dir_fd=folder)
            break
    return removed


def newest_in(folder: int, name: str) -> float:
    """When the folder of a step, or a file in it, was last changed."""
    inner = open_folder(folder, name)
    try:
        times = [os.fstat(inner).st_mtime]
        for one in names_at(inner):
            with suppress(FileNotFoundError):
                times.append(os.stat(one, dir_fd=inner, follow_symlinks=False).st_mtime)
        return max(times)
    finally:
        os.close(inner)


def _empty(folder: int, inner: int) -> int:
    removed = 0
    left = names_at(inner)
    checkpoints = frozenset(one for one in names_at(folder) if one.endswith(".json")) if left else frozenset()
    for one in left:
        match = _KEPT_NAME.fullmatch(one)
        if match is not None and f"{match[1]}.json" in checkpoints:
            with suppress(FileNotFoundError):
                os.replace(one, one, src_dir_fd=inner, dst_dir_fd=folder)
        else:
            removed += remove(inner, one)
    return removed
