"""Names and manifests of landed files."""

import json

import pytest

from tidewaiter.domain.job import Job, State
from tidewaiter.domain.job_context import JobContext
from tidewaiter.domain.manifest import Artifact, folder_of, manifest_pieces, render_manifest


def test_folder_tells_account_operation_day_and_job() -> None:
    """The layout of local storage, by the UTC day of the submission."""
    assert folder_of("acme", "statistics", 1_700_000_000.0, 42) == "acme/statistics/2023/11/14/42"


JOB = Job(
    3, 1, "a", "b", {"period": "2025-05"}, State.FETCHING, 4, None, 1_000.5, 9_000.0,
    unique_key="schedule:nightly:1970-01-01T00:16:40Z", handle="https://x/job?sig=canary", submitted_at=1_001.0,
    context=JobContext(schedule="nightly", scheduled_for=1_000.0, traceparent="00-1-2-01"),
)  # fmt: skip


def test_manifest_lists_artifacts_in_order() -> None:
    """The manifest is plain JSON, sorted by number, and says what was asked for, by which tick, and when."""
    files = [Artifact(n, f"{n}.json", "x", f"k/{n}.json", n, "ab", "application/json", 1.0) for n in (1, 0)]
    text = render_manifest(
        JOB, params=JOB.params, labels={"dag": "x"}, status=None, artifacts=files, finished_at=2_000.0
    )
    document = json.loads(text)
    assert [one["number"] for one in document["artifacts"]] == [0, 1]
    assert document["artifacts"][0]["landed_at"] == "1970-01-01T00:00:01.000Z"
    assert (document["job"], document["handle"]) == (3, "https://x/job?[redacted]")
    assert document["params"] == {"period": "2025-05"}
    assert (document["schedule"], document["scheduled_for"]) == ("nightly", "1970-01-01T00:16:40.000Z")
    assert (document["labels"], document["traceparent"]) == ({"dag": "x"}, "00-1-2-01")
    assert document["created_at"] == "1970-01-01T00:16:40.500Z"
    assert document["submitted_at"] == "1970-01-01T00:16:41.000Z"
    assert document["ready_at"] == document["finished_at"] == "1970-01-01T00:33:20.000Z"
    assert b"canary" not in text


@pytest.mark.parametrize("count", [0, 1, 500, 501, 1_201])
def test_pieces_make_the_document_that_is_rendered_at_once(count: int) -> None:
    """Byte by byte; a text that looks like an empty list is no place for the artifacts. No piece has all of them."""
    params = {"artifacts": [], "text": '\n  "artifacts": []'}
    job = JOB.but(account='\n  "artifacts": []')
    files = [Artifact(n, f"{n}\n.json", "x", f"k/{n}", n, "ab", "text/csv", 1.0) for n in range(count)]
    given = {"params": params, "labels": {}, "status": None, "artifacts": files, "finished_at": 2_000.0}
    pieces = list(manifest_pieces(job, **given))  # type: ignore[arg-type]  # the names of its parameters
    document = json.loads(b"".join(pieces))
    assert b"".join(pieces) == (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()
    assert [one["name"] for one in document["artifacts"]] == [one.name for one in files]
    assert (document["params"], document["account"]) == (params, job.account)
    assert max(piece.count(b'"sha256"') for piece in pieces) <= 500
