"""Landed files: their names, numbers and keys in the storage, and the manifest that lists them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Self

from tidewaiter.domain.formatting import rfc3339
from tidewaiter.domain.immutable import immutable
from tidewaiter.domain.job import Job

MANIFEST_NAME = "manifest.json"
MANIFEST_PIECE = 500
"""So many artifacts are rendered at once."""


@immutable(frozen=True, slots=True)
class Artifact:
    """One landed file.

    ``number`` counts the files of a job from 0, in the order in which the provider listed them. ``key`` is the path
    below the storage root, with forward slashes. ``size`` is in bytes, ``sha256`` lower-case hex of the stored bytes.
    ``count`` is the number of records, where it is known. ``identity`` is a hash that identifies the file within its
    job, see :mod:`tidewaiter.domain.file_identity`; only the daemon uses it, and no output shows it.
    """

    number: int
    name: str
    label: str
    key: str
    size: int
    sha256: str
    media_type: str
    landed_at: float
    count: int | None = None
    identity: str | None = None


@immutable(frozen=True, slots=True)
class ArchiveMember:
    """A landed file that was a member of an archive: which archive, and which of its members.

    It is recorded as the identity of the artifact, so that an interrupted job knows which archives have landed as a
    whole, and that the manifest can name them. ``link`` is the identity of the archive, see
    :mod:`tidewaiter.domain.file_identity`. ``place`` counts the members from 0, ``of`` is their number. ``size``,
    ``sha256`` and ``name`` are those of the archive.
    """

    link: str
    place: int
    of: int
    size: int
    sha256: str
    name: str

    @property
    def identity(self) -> str:
        """The identity of the artifact."""
        return f"{self.link}/{self.place}/{self.of}/{self.size}/{self.sha256}/{self.name}"

    @classmethod
    def read(cls, identity: str | None) -> Self | None:
        """The member that an artifact's identity names; ``None`` for a file that was in no archive."""
        parts = (identity or "").split("/", 5)
        if len(parts) != 6:
            return None
        link, place, of, size, sha256, name = parts
        return cls(link, int(place), int(of), int(size), sha256, name)


@immutable(frozen=True, slots=True)
class StoredResult:
    """The result of a job: when it asked the provider (epoch seconds), and the files of the reply."""

    job_id: int
    asked_at: float
    artifacts: tuple[Artifact, ...]


def described(artifact: Artifact) -> dict[str, Any]:
    """An artifact by the names of its columns, as the manifest shows it; a member of an archive names both."""
    members = {name: value for name, value in asdict(artifact).items() if name != "identity"}
    member = ArchiveMember.read(artifact.identity)
    if member is not None:
        archive = {"name": member.name, "size": member.size, "sha256": member.sha256}
        members |= {"archive": archive, "member": artifact.label}
    return members | {"landed_at": rfc3339(artifact.landed_at)}


def folder_of(account: str, operation: str, created_at: float, job_id: int) -> str:
    """The folder of a job's files below the storage root: account, operation, day of submission (UTC), job."""
    day = datetime.fromtimestamp(created_at, UTC)
    return f"{account}/{operation}/{day:%Y/%m/%d}/{job_id}"


def render_manifest(
    job: Job,
    *,
    params: object,
    labels: object,
    status: str | None,
    artifacts: Sequence[Artifact],
    finished_at: float,
) -> bytes:
    """The whole manifest; see :func:`manifest_pieces`."""
    pieces = manifest_pieces(
        job, params=params, labels=labels, status=status, artifacts=artifacts, finished_at=finished_at
    )
    return b"".join(pieces)


def manifest_pieces(
    job: Job,
    *,
    params: object,
    labels: object,
    status: str | None,
    artifacts: Sequence[Artifact],
    finished_at: float,
) -> Iterator[bytes]:
    """The manifest document of a job, written when every artifact is durable; each piece has 500 artifacts at most.

    Args:
        job: the job; the query of a handle that is an address is left out, because the address may be signed.
        params: its parameters without secrets.
        labels: its labels without secrets.
        status: the provider's last status, which may say that the result is partial.
        artifacts: the landed files.
        finished_at: when the last one landed, in epoch seconds.

    Returns:
        UTF-8 JSON; times are RFC 3339 in UTC, sizes bytes.
    """
    document = {
        "job": job.id,
        "account": job.account,
        "operation": job.operation,
        "params": params,
        "requested_by": job.context.requested_by,
        "schedule": job.context.schedule,
        "scheduled_for": rfc3339(job.context.scheduled_for),
        "batch": job.context.batch,
        "labels": labels,
        "traceparent": job.context.traceparent,
        "unique_key": job.unique_key,
        "retry_of": job.retry_of,
        "handle": job.shown_handle,
        "status": status,
        "created_at": rfc3339(job.created_at),
        "submitted_at": rfc3339(job.submitted_at),
        "ready_at": rfc3339(finished_at if job.ready_at is None else job.ready_at),
        "finished_at": rfc3339(finished_at),
        "artifacts": [],
    }
    # No text before it can contain a line break, because JSON escapes them.
    before, empty, after = (json.dumps(document, indent=2, sort_keys=True) + "\n").partition('\n  "artifacts": []')
    if not artifacts:
        yield f"{before}{empty}{after}".encode()
        return
    yield f"{before}{empty.removesuffix(']')}".encode()
    in_order = sorted(artifacts, key=lambda one: one.number)
    for start in range(0, len(in_order), MANIFEST_PIECE):
        some = [described(artifact) for artifact in in_order[start : start + MANIFEST_PIECE]]
        lines = json.dumps(some, indent=2, sort_keys=True).removeprefix("[").removesuffix("\n]").replace("\n", "\n  ")
        yield f"{',' if start else ''}{lines}".encode()
    yield f"\n  ]{after}".encode()
