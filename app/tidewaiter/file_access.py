"""Why this process may not use a path, in words that name the path, both users and the remedy."""

import errno
import os
import stat
from pathlib import Path

_READ_ONLY = (
    "is on a file system that is mounted read-only; mount it for writing (in a systemd unit: ReadWritePaths=), "
    "or use another folder"
)


def why_denied(path: Path, wanted: int = os.R_OK) -> str:
    """Which path on the way denies the access, to whom it belongs, and what to do.

    Args:
        path: what could not be used; it need not exist.
        wanted: the access, as for ``os.access``.

    Returns:
        A sentence without a capital and a full stop; empty if nothing on the way denies it any more.
    """
    user, group = os.geteuid(), os.getegid()
    for folder in reversed(path.absolute().parents):
        if _exists(folder) and not _may(folder, os.X_OK):
            remedy = f"let that user enter it: chmod o+x {folder}, or chgrp {group} {folder} and chmod g+x {folder}"
            return f"{_owned(folder)}, and this process runs as user {user}; {remedy}"
    found = next((one for one in (path, *path.parents) if _exists(one)), path)
    if found != path:
        wanted = os.W_OK | os.X_OK  # it is to be created there
    if _may(found, wanted):
        return ""
    if wanted & os.W_OK and os.statvfs(found).f_flag & os.ST_RDONLY:
        return f"{found} {_READ_ONLY}"
    if found.is_dir():
        remedy = f"give it to that user: chown {user}:{group} {found} (for the volume of a container, on its host)"
    elif wanted & os.W_OK:
        remedy = f"give it to that user: chown {user}:{group} {found}"
    else:
        remedy = f"let that user read it: chown {user} {found}, or chgrp {group} {found} and chmod g+r {found}"
    return f"{_owned(found)}, and this process runs as user {user}; {remedy}"


def reason_of(error: OSError, path: Path, wanted: int = os.R_OK) -> str:
    """An error of the system in words; for a denied access, or a read-only file system, with :func:`why_denied`."""
    reason = error.strerror or type(error).__name__
    is_denied = isinstance(error, PermissionError) or error.errno == errno.EROFS
    why = why_denied(path, wanted) if is_denied else ""
    return f"{reason}; {why}" if why else reason


def _exists(path: Path) -> bool:
    """As far as this process can see: below a folder that may not be entered nothing exists."""
    return os.access(path, os.F_OK)


def _may(path: Path, wanted: int) -> bool:
    return os.access(path, wanted, effective_ids=os.access in os.supports_effective_ids)


def _owned(path: Path) -> str:
    found = path.stat()
    return f"{path} belongs to user {found.st_uid}, group {found.st_gid} (mode {stat.S_IMODE(found.st_mode):04o})"
