"""Names and manifests of landed files."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.domain.manifest import Artifact, file_name, folder_of, render_manifest


def test_folder_tells_account_operation_day_and_job() -> None:
    """The layout of local storage, by the UTC day of the submission."""
    assert folder_of("acme", "statistics", 1_700_000_000.0, 42) == "acme/statistics/2023/11/14/42"


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Patient", "Patient.ndjson"),
        ("report.CSV", "report.csv"),
        ("../../etc/passwd", "passwd.ndjson"),
        ("..\\..\\windows\\system32", "system32.ndjson"),
        ("", "export.ndjson"),
        ("...", "export.ndjson"),
        ("\x00\u202e日本", "export.ndjson"),
        (".bashrc", "bashrc.ndjson"),
        ("manifest.json", "file-manifest.json"),
    ],
)
def test_labels_become_names(label: str, expected: str) -> None:
    """What a provider calls a file is a label only (fault 45)."""
    assert file_name(label, 0, 1, "application/fhir+ndjson", "export") == expected


@given(label=st.text(max_size=5000), number=st.integers(0, 99_999), total=st.integers(1, 100_000))
def test_names_are_always_safe(label: str, number: int, total: int) -> None:
    """No label whatever makes a name that is empty, long, hidden, or a path."""
    name = file_name(label, number, total, None, "export")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", name)
    assert name != "manifest.json"


def test_several_files_never_share_a_name() -> None:
    """Equal labels of one job are kept apart by their numbers."""
    assert len({file_name("same", number, 3, None, "export") for number in range(3)}) == 3


def test_manifest_lists_artifacts_in_order() -> None:
    """The manifest is plain JSON, sorted by number."""
    files = [Artifact(n, f"{n}.json", "x", f"k/{n}.json", n, "ab", "application/json", 1.0) for n in (1, 0)]
    document = json.loads(
        render_manifest(job_id=3, account="a", operation="b", handle="h", status=None, artifacts=files, finished_at=2.0)
    )
    assert [one["number"] for one in document["artifacts"]] == [0, 1]
    assert (document["job"], document["handle"]) == (3, "h")
