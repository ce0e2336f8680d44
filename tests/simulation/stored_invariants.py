"""What must be true of any world at rest, by its database and its exports; the numbers are those of the faults."""

import hashlib
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from tidewaiter.domain.job import TERMINAL, State


def history_faults(database: sqlite3.Connection) -> Iterator[str]:
    """Invariant 4: a history row begins where the last one ended, nothing follows an end, and the job is at its end."""
    last: dict[int, str] = {}
    for row in database.execute("SELECT job_id, state_from, state FROM history ORDER BY job_id, version"):
        before = last.get(row["job_id"])
        if row["state_from"] != before:
            yield f"4: job {row['job_id']} went from {row['state_from']} to {row['state']} but was {before}"
        if before is not None and State(before) in TERMINAL:
            yield f"4: job {row['job_id']} changed after it had ended"
        last[row["job_id"]] = row["state"]
    for row in database.execute("SELECT id, state FROM jobs"):
        if last.get(row["id"]) != row["state"]:
            yield f"4: job {row['id']} is {row['state']}, its history ends with {last.get(row['id'])}"


def file_faults(database: sqlite3.Connection, exports: Path, job: int, files: Collection[bytes]) -> Iterator[str]:
    """Invariant 6: the job has exactly these files, as they are recorded, and a manifest of them."""
    expected = sorted(hashlib.sha256(content).hexdigest() for content in files)
    rows = database.execute("SELECT key, sha256 FROM artifacts WHERE job_id = ?", (job,)).fetchall()
    if sorted(row["sha256"] for row in rows) != expected:
        yield f"6: job {job} has {len(rows)} files recorded, not the {len(expected)} that there are"
    for row in rows:
        path = exports / row["key"]
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no file"
        if found != row["sha256"]:
            yield f"6: job {job}: {row['key']} is {found}, recorded is {row['sha256']}"
        if not (path.parent / "manifest.json").exists():
            yield f"6: job {job} has no manifest"


def rate_faults(sent_at: Sequence[float], requests: int, period_s: float) -> Iterator[str]:
    """Invariant 8: no period has more requests than the limit permits."""
    for first, last in zip(sent_at, sent_at[requests:], strict=False):
        if last - first < period_s - 1e-6:
            yield f"8: {requests + 1} requests in {last - first:.3f} s at {first:.1f}, not {requests} in {period_s} s"


def token_faults(database: sqlite3.Connection, output: str, token: str) -> Iterator[str]:
    """Invariant 10: the token is nowhere in the database, and in no line of the log."""
    if token in output or any(token in statement for statement in database.iterdump()):
        yield "10: the token is in the log or in the database"
