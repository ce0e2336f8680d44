"""Checks of this machine: the SQLite version, the file system, free space."""

from pathlib import Path

import pytest

from tidewaiter.doctor.data_checks import (
    creatable_result,
    file_system_result,
    free_space_result,
    nearest_existing,
    sqlite_result,
)
from tidewaiter.doctor.findings import CheckStatus


@pytest.mark.parametrize(
    "version", [(3, 6, 23), (3, 44, 6), (3, 44, 9), (3, 50, 7), (3, 51, 3), (3, 52, 0), (3, 53, 1), (4, 0, 0)]
)
def test_fixed_libraries(version: tuple[int, ...]) -> None:
    """Versions before the fault, fixed branches, and all later versions."""
    verdict = sqlite_result(version)
    assert verdict.status is CheckStatus.OK
    assert verdict.message == f"SQLite {'.'.join(map(str, version))}"


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        ((3, 7, 0), "SQLite 3.51.3 or newer"),
        ((3, 40, 1), "SQLite 3.51.3 or newer"),
        ((3, 44, 5), "SQLite 3.44.6, or with 3.51.3 or newer"),
        ((3, 45, 1), "SQLite 3.51.3 or newer"),
        ((3, 50, 6), "SQLite 3.50.7, or with 3.51.3 or newer"),
        ((3, 51, 2), "SQLite 3.51.3 or newer"),
    ],
)
def test_libraries_with_the_fault(version: tuple[int, ...], remedy: str) -> None:
    """A library older than the fix of its branch is reported with the version that has the fix."""
    verdict = sqlite_result(version)
    assert verdict.status is CheckStatus.WARNING
    assert "WAL-reset bug" in verdict.message
    assert verdict.remedy.startswith(f"run Tidewaiter with {remedy}")


@pytest.mark.parametrize(
    ("kind", "status"),
    [("ext4", CheckStatus.OK), ("nfs4", CheckStatus.WARNING), ("fuse.sshfs", CheckStatus.WARNING), (None, "info")],
)
def test_file_systems(kind: str | None, status: str) -> None:
    """A network file system is warned of; one that nobody tells is no fault."""
    assert file_system_result(kind, Path("/srv/tidewaiter.db")).status == status


@pytest.mark.parametrize(
    ("free", "status"),
    [(2_000_000_000, CheckStatus.OK), (999_999_999, CheckStatus.WARNING), (99_999_999, CheckStatus.FAILURE)],
)
def test_room(free: int, status: CheckStatus) -> None:
    """Little room is a warning, next to none a failure, each with what to do."""
    verdict = free_space_result(free, Path("/srv"))
    assert verdict.status is status
    assert bool(verdict.remedy) is (status is not CheckStatus.OK)


def test_what_is_not_there_yet(tmp_path: Path) -> None:
    """A path can be made below a folder, and not below a file."""
    assert nearest_existing(tmp_path / "a" / "b") == tmp_path
    assert creatable_result(tmp_path / "a" / "b").status is CheckStatus.INFO
    (tmp_path / "file").touch()
    verdict = creatable_result(tmp_path / "file" / "b")
    assert verdict.status is CheckStatus.FAILURE
    assert "is no folder" in verdict.message
