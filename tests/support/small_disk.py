"""A small file system of its own, which can be filled up and emptied again."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(slots=True)
class SmallDisk:
    """The file system, seen at ``path`` by programs that ``prefix`` starts, and at ``seen`` by this process."""

    path: Path
    seen: Path
    prefix: tuple[str, ...]

    def fill(self, leave: int = 0) -> None:
        """Leave no room, or so many bytes."""
        with suppress(OSError), (self.seen / "ballast").open("wb", buffering=0) as ballast:
            while ballast.write(bytes(4096)):
                pass
        if leave:
            size = (self.seen / "ballast").stat().st_size
            with (self.seen / "ballast").open("r+b") as ballast:
                ballast.truncate(size - leave)

    def empty(self) -> None:
        """Make room again."""
        (self.seen / "ballast").unlink()


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[SmallDisk]:
    """A file system of this size at a path, until the block is left; skips where nobody may mount one.

    With the rights to do so it is mounted for everybody, else in a namespace of its own.
    """
    path.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))
    if subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode == 0:
        try:
            yield SmallDisk(path, path, ())
        finally:
            subprocess.run(("umount", "--lazy", str(path)), check=True)
        return
    command = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    held = f"{shlex.join(mount)} && echo mounted && exec sleep 600"
    with subprocess.Popen((*command, held), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        try:
            assert holder.stdout is not None
            if holder.stdout.readline() != b"mounted\n":
                pytest.skip("nobody may mount a file system here")
            prefix = ("nsenter", "--target", str(holder.pid), "--user", "--preserve-credentials", "--mount")
            yield SmallDisk(path, Path(f"/proc/{holder.pid}/root{path}"), prefix)
        finally:
            holder.kill()
