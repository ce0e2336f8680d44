"""Jobs, files and times as they are answered; made by hand, for a page of a thousand jobs waits for nobody."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zlib import crc32

from aiohttp import web
from aiohttp.web_response import json_response

from app.domain.job import Entry, Job
from app.domain.manifest import Artifact
from app.web.api.shapes import ArtifactShape, JobShape

_TIMES: Final = frozenset(name for name in JobShape.model_fields if name.endswith("_at"))
_JOB: Final = tuple((name, name in _TIMES) for name in JobShape.model_fields)


def moment(at: float | None) -> str | None:
    """A time in UTC (RFC 3339), to the millisecond."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_json(job: Job) -> dict[str, Any]:
    """A job, without what is secret: its links, intent and callback address, and the query of a handle."""
    shown = {name: moment(getattr(job, name)) if is_time else getattr(job, name) for name, is_time in _JOB}
    return {**shown, "handle": job.shown_handle}


def entry_json(entry: Entry) -> dict[str, Any]:
    """A row of a job's history."""
    return {
        "version": entry.version,
        "at": moment(entry.at),
        "state_from": entry.state_from,
        "state": entry.state,
        "outcome": entry.outcome,
        "detail": entry.detail,
    }


def artifact_json(job_id: int, artifact: Artifact) -> dict[str, Any]:
    """A landed file."""
    known = {name: getattr(artifact, name) for name in ArtifactShape.model_fields if name != "location"}
    return {
        **known,
        "landed_at": moment(artifact.landed_at),
        "location": f"/v1/jobs/{job_id}/artifacts/{artifact.number}",
    }


def entity_tag(job: Job) -> str:
    """The strong entity tag of a job's representation, without quotes.

    A wish to cancel, a hint and a moved deadline change the job without a new version.
    """
    beside = (job.due_at, job.deadline_at, job.cancel_requested, job.id)
    return f"{job.version}-{crc32(repr(beside).encode()):08x}"


def answer(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer with a JSON body."""
    return json_response(document, status=status, headers=headers)


def jobs_json(jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """Jobs, in their order."""
    return [job_json(job) for job in jobs]
