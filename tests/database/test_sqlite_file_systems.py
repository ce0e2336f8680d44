"""Kinds of file systems: found by the mount that a path lies on, and told whether they are of this machine."""

from pathlib import Path

import pytest

from tidewaiter.database.sqlite_files import is_over_network, kind_among, kind_of

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /srv rw shared:2 master:1 - nfs4 server:/export rw
24 23 0:6 / /srv/local\\040disk rw - xfs /dev/sdb1 rw
25 22 0:7 / /data rw - ext4 /dev/sdc1 rw
26 25 0:8 / /data rw - fuse.sshfs me@there: rw
a line that is none
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/var/lib/tidewaiter.db", "ext4"),
        ("/srv/tidewaiter.db", "nfs4"),
        ("/srv/local disk/tidewaiter.db", "xfs"),
        ("/srvother/tidewaiter.db", "ext4"),
        ("/data/tidewaiter.db", "fuse.sshfs"),
    ],
)
def test_the_mount_of_a_path(place: str, kind: str) -> None:
    """The deepest mount above a path counts, and of two on one point the later; names with blanks are read."""
    assert kind_among(MOUNTS, Path(place)) == kind


def test_without_mounts() -> None:
    """Where nothing is told, nothing is guessed."""
    assert kind_among("", Path("/srv")) is None


@pytest.mark.parametrize(
    ("kind", "over_network"),
    [("ext4", False), ("overlay", False), ("fuse.bindfs", False), ("NFS", True), ("cifs", True), ("fuse.s3fs", True)],
)
def test_kinds(kind: str, over_network: bool) -> None:
    """The names of network file systems are known, those in user space too."""
    assert is_over_network(kind) is over_network


def test_this_machine(tmp_path: Path) -> None:
    """A folder of this machine lies on something, whether or not the file is there yet."""
    if Path("/proc/self/mountinfo").exists():
        assert kind_of(tmp_path / "not yet" / "tidewaiter.db")
    else:
        assert kind_of(tmp_path) is None
