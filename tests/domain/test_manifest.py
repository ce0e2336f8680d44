"""Names and manifests of landed files."""

import json

from tidewaiter.domain.manifest import Artifact, folder_of, render_manifest


def test_folder_tells_account_operation_day_and_job() -> None:
    """The layout of local storage, by the UTC day of the submission."""
    assert folder_of("acme", "statistics", 1_700_000_000.0, 42) == "acme/statistics/2023/11/14/42"


def test_manifest_lists_artifacts_in_order() -> None:
    """The manifest is plain JSON, sorted by number."""
    files = [Artifact(n, f"{n}.json", "x", f"k/{n}.json", n, "ab", "application/json", 1.0) for n in (1, 0)]
    document = json.loads(
        render_manifest(job_id=3, account="a", operation="b", handle="h", status=None, artifacts=files, finished_at=2.0)
    )
    assert [one["number"] for one in document["artifacts"]] == [0, 1]
    assert (document["job"], document["handle"]) == (3, "h")
