"""Landed files: their names, numbers and keys in the storage, and the manifest that lists them."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tidewaiter.domain.url import shown_handle

MANIFEST_NAME = "manifest.json"
_LONGEST_NAME = 120
_EXTENSIONS = {
    "application/json": ".json",
    "application/fhir+json": ".json",
    "application/ndjson": ".ndjson",
    "application/x-ndjson": ".ndjson",
    "application/fhir+ndjson": ".ndjson",
    "text/csv": ".csv",
    "text/plain": ".txt",
    "text/html": ".html",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/zip": ".zip",
    "application/gzip": ".gz",
}


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


def file_name(label: str, number: int, total: int, media_type: str | None, fallback: str) -> str:
    """A safe file name made from a label that a provider proposed.

    Path separators, control and reserved characters and leading dots are removed, and the length is limited. If a job
    has several files, the number makes the name unique.

    Args:
        label: the provider's name for the file; may be empty, hostile, or 4 kB long.
        number: the file's number, from 0.
        total: how many files the job has.
        media_type: gives the extension when the label has none.
        fallback: the stem to use if nothing of the label is left.
    """
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode("ascii")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", plain.replace("\\", "/").rsplit("/", 1)[-1]).strip(".-_")
    stem, dot, extension = plain.rpartition(".")
    if not dot or not re.fullmatch(r"[A-Za-z0-9]{1,8}", extension):
        stem, extension = plain, ""
    kind = (media_type or "").split(";", 1)[0].strip().lower()
    suffix = f".{extension.lower()}" if extension else _EXTENSIONS.get(kind, "")
    stem = (stem or fallback)[: _LONGEST_NAME - len(suffix) - 6]
    prefix = f"{number + 1:03d}-" if total > 1 else ""
    name = f"{prefix}{stem}{suffix}"
    return f"file-{name}" if name == MANIFEST_NAME else name


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


def free_places(
    kept: Mapping[int, Artifact], total: int, key_of: Callable[[int, int], str]
) -> Iterator[tuple[int, int, str]]:
    """For each file that is not kept: its place in the list, and the number and key under which it lands.

    The number is the place, if it is free. A kept file that has moved in the list keeps its number and its key until
    all files have landed; a file that would get them takes the next free number instead.

    Args:
        kept: the files that have landed already, by their place in the list now.
        total: the number of files.
        key_of: the key of a file by its place in the list and its number.
    """
    numbers = {one.number for one in kept.values()}
    keys = {one.key for one in kept.values()}
    following = total  # the next number beyond the list that has not been tried
    for place in range(total):
        if place in kept:
            continue
        number = place
        while number in numbers or key_of(place, number) in keys:
            number, following = following, following + 1
        numbers.add(number)
        key = key_of(place, number)
        keys.add(key)
        yield place, number, key
