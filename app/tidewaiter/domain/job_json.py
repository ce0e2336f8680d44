"""The public view of a job, its history and its files. Every output is made from it.

The HTTP API, the command line's ``--json``, webhooks, the page and the terminal show these members and no others. One
page may list a thousand jobs, so a view is built without reflection.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

from tidewaiter.domain.formatting import rfc3339
from tidewaiter.domain.http_values import JsonObject
from tidewaiter.domain.job import HistoryEntry, Job, State
from tidewaiter.domain.job_context import JobContext
from tidewaiter.domain.manifest import Artifact


class JobView(NamedTuple):
    """A job without its secrets: no links, no intent key, no hash of its callback's token.

    Times are epoch seconds. ``handle`` is the provider's identifier of the remote job; the query of an address is left
    out.
    """

    id: int
    account: str
    operation: str
    params: JsonObject
    state: State
    version: int
    lane: int
    unique_key: str | None
    retry_of: int | None
    cancel_requested: bool
    handle: str | None
    shared: bool
    remote_status: str | None
    progress: str | None
    reason: str | None
    polls: int
    failures: int
    crashes: int
    submits: int
    resubmits: int
    agains: int
    fetches: int
    files_listed: int | None
    created_at: float
    due_at: float | None
    deadline_at: float
    intent_at: float | None
    submitted_at: float | None
    moved_at: float | None
    ready_at: float | None
    landed_at: float | None
    finished_at: float | None
    handled_at: float | None
    handled_by: str | None
    retried_as: int | None
    former_key: str | None
    cause: str | None
    requested_by: str | None
    schedule: str | None
    scheduled_for: float | None
    batch: str | None
    labels: Mapping[str, str]
    traceparent: str | None
    stage: str | None
    kept: Mapping[str, str]

    @classmethod
    def of(cls, job: Job) -> "JobView":
        """The view of a job."""
        return cls._make(_members_of(job))

    @property
    def remote_words(self) -> str:
        """The provider's last status and progress. A job that has succeeded shows no progress."""
        progress = None if self.state is State.SUCCEEDED else self.progress
        return " ".join(word.strip() for word in (self.remote_status, progress) if word)

    def as_json(self) -> dict[str, Any]:
        """The job for programs, with times as RFC 3339."""
        shown = self._asdict()
        for name in _TIMES:
            if (at := shown[name]) is not None:
                shown[name] = rfc3339(at)
        shown["labels"] = dict(self.labels)
        return shown


_SHOWN: Final = {"handle": "shown_handle", "kept": "shown_kept"}
_WHERE: Final = _SHOWN | {name: f"context.{name}" for name in JobContext.__slots__}
_members_of: Final = attrgetter(*(_WHERE.get(name, name) for name in JobView._fields))
_TIMES: Final = (*(name for name in JobView._fields if name.endswith("_at")), "scheduled_for")


def job_json(job: Job) -> dict[str, Any]:
    """A job for programs."""
    return JobView.of(job).as_json()


def jobs_json(jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """Jobs for programs, in their order."""
    return [job_json(job) for job in jobs]


def entry_json(entry: HistoryEntry) -> dict[str, Any]:
    """A row of a job's history for programs."""
    return {
        "version": entry.version,
        "at": rfc3339(entry.at),
        "state_from": entry.state_from,
        "state": entry.state,
        "outcome": entry.outcome,
        "detail": entry.detail,
    }


def artifact_json(job_id: int | None, artifact: Artifact) -> dict[str, Any]:
    """A landed file for programs; ``job_id`` is ``None`` where no API serves it."""
    return {
        "number": artifact.number,
        "name": artifact.name,
        "label": artifact.label,
        "key": artifact.key,
        "size": artifact.size,
        "sha256": artifact.sha256,
        "media_type": artifact.media_type,
        "landed_at": rfc3339(artifact.landed_at),
        "count": artifact.count,
        "location": None if job_id is None else f"/v1/jobs/{job_id}/artifacts/{artifact.number}",
    }
