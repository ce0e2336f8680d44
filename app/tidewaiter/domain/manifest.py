"""Landed files: their names, numbers and keys in the storage, and the manifest that lists them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tidewaiter.domain.url import shown_handle

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
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


def described(artifact: Artifact) -> dict[str, Any]:
    """An artifact by the names of its columns, as the manifest and the command line show it."""
    return {name: value for name, value in asdict(artifact).items() if name != "identity"}


def folder_of(account: str, operation: str, created_at: float, job_id: int) -> str:
    """The folder of a job's files below the storage root: account, operation, day of submission (UTC), job."""
    day = datetime.fromtimestamp(created_at, UTC)
    return f"{account}/{operation}/{day:%Y/%m/%d}/{job_id}"


def render_manifest(
    *,
    job_id: int,
    account: str,
    operation: str,
    handle: str | None,
    status: str | None,
    artifacts: Sequence[Artifact],
    finished_at: float,
    labels: Mapping[str, str] | None = None,
    traceparent: str | None = None,
) -> bytes:
    """The manifest document of a job, written when every artifact is durable.

    ``status`` is the provider's last status, which may say that the result is partial. The query of a ``handle`` that
    is an address is left out, because the address may be signed.

    Returns:
        UTF-8 JSON; times are epoch seconds, sizes bytes.
    """
    document = {
        "job": job_id,
        "account": account,
        "operation": operation,
        "handle": None if handle is None else shown_handle(handle),
        "status": status,
        "finished_at": finished_at,
        "labels": dict(labels or {}),
        "traceparent": traceparent,
        "artifacts": [described(artifact) for artifact in sorted(artifacts, key=lambda one: one.number)],
    }
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()
