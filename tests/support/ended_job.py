"""A job that has ended, and its file."""

from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.manifest import Artifact

AT = 1_750_000_000.25


JOB = Job(
    id=7,
    lane=1,
    account="acme",
    operation="statistics",
    params={"token": "canary"},
    state=State.SUCCEEDED,
    version=5,
    due_at=None,
    created_at=AT - 60.0,
    deadline_at=AT + 60.0,
    unique_key="nightly",
    handle="https://provider.example/canary",
    intent_key="canary",
    links=(Link("https://files.example/canary"),),
    callback_hash="canary",
    finished_at=AT,
)


FILE = Artifact(0, "opens.csv", "canary label", "acme/opens.csv", 12, "ab" * 32, "text/csv", AT, 3)
