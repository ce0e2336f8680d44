"""The kind of file system of a path: SQLite's locks and shared memory need a local one."""

import re
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")
# https://www.sqlite.org/wal.html: all processes that use a WAL database must be on the same host computer.
_OVER_NETWORK: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
)
_IN_USER_SPACE_OVER_NETWORK: Final = ("ceph", "gluster", "goofys", "nfs", "rclone", "s3fs", "smb", "sshfs")


def kind_of(path: Path) -> str | None:
    """The kind of file system of a path, existing or not, such as ``ext4``; ``None`` if unknown."""
    try:
        mounts = _MOUNTS.read_text("utf-8", "surrogateescape")
        place = path.resolve()
    except (OSError, RuntimeError):  # a system without /proc, or links in a circle
        return None
    return kind_among(mounts, place)


def kind_among(mounts: str, place: Path) -> str | None:
    """The same for an absolute path, from the lines of a ``mountinfo`` file (``proc_pid_mountinfo(5)``)."""
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        before, separator, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if not separator or len(fields) < 5 or not kinds:
            continue
        point = Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # Of two mounts on one point the later one counts.
        if place.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), kinds[0]
    return None if found is None else found[1]


def is_over_network(kind: str) -> bool:
    """Whether the name of this kind of file system means that its files are on another machine."""
    kind = kind.lower()
    behind = kind.removeprefix("fuse.")
    return kind in _OVER_NETWORK or (behind != kind and behind.startswith(_IN_USER_SPACE_OVER_NETWORK))
