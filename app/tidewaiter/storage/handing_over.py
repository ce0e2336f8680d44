"""Moves the landed files of one job out of a storage folder into a folder of a person's choice, replacing nothing."""

import errno
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tidewaiter.domain.manifest import MANIFEST_NAME, Artifact
from tidewaiter.storage.durable_files import as_storage_errors

# What a file system answers that has no hard links, or not for this file.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


def hand_over(root: Path, job_folder: str, artifacts: Sequence[Artifact], out: Path, job_id: int) -> list[Artifact]:
    """Move a job's files into ``out``, the manifest last; each appears whole or not at all.

    A name that is taken stays as it is: the new file gets the job's number before its extension, the manifest too.

    Args:
        root: the storage root that the files have landed in; on the file system of ``out``.
        job_folder: the key of the job's folder.
        artifacts: the files.
        out: the folder that takes them.
        job_id: the job's number.

    Returns:
        The files with their names in ``out``, which are their keys, too.

    Raises:
        StorageError: a file could not be moved; those that were not are still below ``root``.
    """
    with as_storage_errors(f"move the files from {root} to {out}"):
        moved = [_moved(root, one, out, job_id) for one in artifacts]
        _sync(out)
        manifest = root / job_folder / MANIFEST_NAME
        if manifest.is_file():
            _rewrite(manifest, {one.number: one for one in moved})
            _move(manifest, out, MANIFEST_NAME, job_id)
            _sync(out)
    return moved


def _moved(root: Path, artifact: Artifact, out: Path, job_id: int) -> Artifact:
    name = _move(root / artifact.key, out, artifact.name, job_id)
    return replace(artifact, name=name, key=name)


def _move(source: Path, out: Path, name: str, job_id: int) -> str:
    """Give a file the first of its names that is free; returns this name."""
    for free in _names(name, job_id):
        target = out / free
        try:
            _publish(source, target)
        except FileExistsError:
            continue
        return free
    raise FileExistsError(errno.EEXIST, f"all names for {name} are taken", str(out))


def _names(name: str, job_id: int) -> Sequence[str]:
    stem, dot, extension = name.rpartition(".")
    if not dot:
        stem, extension = name, ""
    numbered = [f"{stem}-{job_id}", *(f"{stem}-{job_id}-{number}" for number in range(2, 100))]
    return [name, *(f"{one}{dot}{extension}" for one in numbered)]


def _publish(source: Path, target: Path) -> None:
    """Move a file to a name that must be free.

    A hard link is refused when the name is taken, however late another program took it; a rename is not.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        source.rename(target)
    else:
        source.unlink()


def _rewrite(manifest: Path, moved: dict[int, Artifact]) -> None:
    """Let the manifest say the names that the files have now."""
    document: dict[str, Any] = json.loads(manifest.read_bytes())
    for one in document["artifacts"]:
        here = moved[one["number"]]
        one |= {"name": here.name, "key": here.key}
    with manifest.open("wb") as opened:
        opened.write((json.dumps(document, indent=2, sort_keys=True) + "\n").encode())
        opened.flush()
        os.fsync(opened.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
