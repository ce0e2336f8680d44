"""The one view of a job: its fields, and what it never contains."""

import dataclasses
import json

from tests.support.ended_job import AT, FILE, JOB
from tidewaiter.domain.formatting import rfc3339
from tidewaiter.domain.job import HistoryEntry, State
from tidewaiter.domain.job_json import JobView, artifact_json, entry_json, job_json
from tidewaiter.web.api.body_schemas import ArtifactShape, EntryShape, JobShape


def test_the_view_is_what_openapi_promises() -> None:
    """The members of a job, an entry and a file are those of the published shapes."""
    assert set(JobView._fields) == set(JobShape.model_fields)
    assert set(job_json(JOB)) == set(JobShape.model_fields)
    assert set(artifact_json(7, FILE)) == set(ArtifactShape.model_fields)
    assert set(entry_json(HistoryEntry(7, 1, AT, None, State.QUEUED, "Submitted"))) == set(EntryShape.model_fields)
    JobShape.model_validate(job_json(JOB))


def test_times_are_rfc_3339() -> None:
    """Every time, and nothing else."""
    shown = job_json(JOB)
    assert shown["finished_at"] == rfc3339(AT) == "2025-06-15T15:06:40.250Z"
    assert shown["due_at"] is None
    assert all(isinstance(value, str | None) for name, value in shown.items() if name.endswith("_at"))


def test_nothing_internal_is_shown() -> None:
    """No link, no intent key, no hash of a callback's token, and of an address no query."""
    job = dataclasses.replace(JOB, params={}, handle="https://provider.example/1?sig=canary")
    shown = json.dumps(job_json(job))
    assert "canary" not in shown
    for name in ("links", "intent_key", "callback_hash", "answer_key", "hinted"):
        assert name not in job_json(job)


def test_kept_values_are_shown_like_handles() -> None:
    """Whole, but of an address no query."""
    job = dataclasses.replace(
        JOB, params={}, handle=None, stage="enqueue", kept={"file": "f 1", "place": "https://x.example/1?sig=canary"}
    )
    shown = job_json(job)
    assert (shown["stage"], shown["kept"]["file"]) == ("enqueue", "f 1")
    assert "canary" not in json.dumps(shown)
    assert shown["kept"]["place"].startswith("https://x.example/1")


def test_remote_words() -> None:
    """Status and progress as the provider gave them; no progress once the files have landed."""
    job = dataclasses.replace(JOB, remote_status=" building ", progress="3/7", state=State.POLLING)
    assert JobView.of(job).remote_words == "building 3/7"
    assert JobView.of(dataclasses.replace(job, state=State.SUCCEEDED)).remote_words == "building"
