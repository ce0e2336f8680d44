"""What must be true of a fleet at rest, by account and by job; the numbers are those of the catalogue of faults."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from tests.simulation.cuts.export_provider import TOKEN
from tests.simulation.fleet.fleet_world import FleetWorld, Provider
from tests.simulation.stored_invariants import file_faults, history_faults, rate_faults, token_faults
from tidewaiter.domain.job import TERMINAL, State

_REPEATS = (
    "('Unsent', 'Absent', 'Undecidable', 'Gone', 'RetryDecided', 'Throttled', 'Unauthorized', 'Interrupted', 'Crashed')"
)


def broken_invariants(world: FleetWorld) -> list[str]:
    """Every invariant that does not hold, as sentences."""
    with closing(sqlite3.connect(world.database)) as database:
        database.row_factory = sqlite3.Row
        found = [
            *_jobs(world, database),
            *history_faults(database),
            *_epochs(database),
            *token_faults(database, world.output.getvalue(), TOKEN),
            *_left_over(world, database),
        ]
        for name, provider in world.providers.items():
            found += [f"{wrong} ({name}, {provider.kind})" for wrong in _account(world, database, name, provider)]
        return found + _told(world, database)


def _account(world: FleetWorld, database: sqlite3.Connection, name: str, provider: Provider) -> Iterator[str]:
    yield from _submits(database, name, provider)
    yield from _exports(database, name, provider)
    yield from _files(world, database, name, provider)
    yield from rate_faults(provider.sent, world.limits.requests, world.limits.period_s)
    yield from (f"5: {stray}" for stray in provider.strays)
    yield from provider.exports.wrong


def _jobs(world: FleetWorld, database: sqlite3.Connection) -> Iterator[str]:
    """Invariants 1 and 7, for each job."""
    states = {row["id"]: State(row["state"]) for row in database.execute("SELECT id, state FROM jobs")}
    yield from (f"1: job {job} has vanished" for job in world.asked_for if job not in states)
    yield from (f"7: job {job} is still {state}" for job, state in states.items() if state not in TERMINAL)
    ticks = database.execute("SELECT count(*) FROM jobs WHERE id NOT IN (SELECT value FROM json_each(?))",
                             (json.dumps(world.asked_for),)).fetchone()[0]  # fmt: skip
    keys = database.execute("SELECT count(DISTINCT unique_key) FROM jobs WHERE unique_key IS NOT NULL").fetchone()[0]
    if ticks != keys:
        yield f"1: {ticks} jobs of schedules, {keys} ticks"


def _submits(database: sqlite3.Connection, account: str, provider: Provider) -> Iterator[str]:
    """Invariant 2, for each job: a POST more than one has a reason in its history; a blind one has a person's."""
    for job, posts in provider.exports.posts.items():
        row = database.execute("SELECT account, submits FROM jobs WHERE id = ?", (job,)).fetchone()
        if row is None or row["account"] != account:
            yield f"2: a POST for job {job}, which is not of this account"
            continue
        reasons = database.execute(
            "SELECT count(*) FROM history WHERE job_id = ? AND state IN ('queued') AND state_from IS NOT NULL"  # noqa: S608
            f" AND outcome IN {_REPEATS}",
            (job,),
        ).fetchone()[0]
        decided = database.execute(
            "SELECT count(*) FROM history WHERE job_id = ? AND outcome IN ('RetryDecided', 'Unsent', 'Gone')", (job,)
        ).fetchone()[0]
        if posts > row["submits"] or posts > 1 + (decided if provider.kind == "blind" else reasons):
            yield f"2: {posts} POSTs for job {job}, {row['submits']} intents, {reasons} reasons, {decided} decisions"


def _exports(database: sqlite3.Connection, account: str, provider: Provider) -> Iterator[str]:
    """Invariant 3, for each remote job: its own job follows it, or did, or was in doubt when it was cancelled."""
    for name, export in provider.exports.exports.items():
        known = database.execute(
            "SELECT count(*) FROM jobs LEFT JOIN history ON job_id = id WHERE id = ? AND account = ?"
            " AND (handle = ? OR detail LIKE ? OR (jobs.state = 'cancelled' AND history.state = 'reconciling'))",
            (export.job, account, name, f"handle {name}%"),
        ).fetchone()[0]
        if not known:
            yield f"3: export {name} of job {export.job} belongs to nobody"


def _epochs(database: sqlite3.Connection) -> Iterator[str]:
    """Invariant 5, for each job: the epochs of its rows never fall."""
    epochs: dict[int, int] = {}
    for row in database.execute("SELECT job_id, stamp FROM history WHERE stamp IS NOT NULL ORDER BY job_id, version"):
        job, epoch = row["job_id"], row["stamp"] >> 40
        if epoch < epochs.get(job, 0):
            yield f"5: job {job} was written by epoch {epoch} after {epochs[job]}"
        epochs[job] = epoch


def _files(world: FleetWorld, database: sqlite3.Connection, account: str, provider: Provider) -> Iterator[str]:
    """Invariant 6, for each job that has succeeded: the files of its own remote job, and the manifest."""
    found = database.execute("SELECT id, handle FROM jobs WHERE state = 'succeeded' AND account = ?", (account,))
    for job in found.fetchall():
        export = provider.exports.exports[job["handle"]]
        files = [provider.exports.file_of(job["handle"], number) for number in range(export.files)]
        yield from file_faults(database, world.exports, job["id"], files)


def times_used_up(world: FleetWorld, provider: Provider) -> int:
    """How often the limit made a request wait: it left within a second after the first of the window had left it."""
    requests, period_s = world.limits.requests, world.limits.period_s
    return sum(
        last - first < period_s + 1.0 for first, last in zip(provider.sent, provider.sent[requests:], strict=False)
    )


def _left_over(world: FleetWorld, database: sqlite3.Connection) -> Iterator[str]:
    """Invariant 12: nothing half is left of a job that has succeeded."""
    done = {str(row["id"]) for row in database.execute("SELECT id FROM jobs WHERE state = 'succeeded'")}
    for path in (world.exports / ".partial").glob("*"):
        if path.name.split("-")[0] in done:
            yield f"12: {path.name} was left behind"


def _told(world: FleetWorld, database: sqlite3.Connection) -> list[str]:
    """Every end was told, under one id with one body."""
    told: dict[str, set[bytes]] = {}
    for provider in world.providers.values():
        for name, bodies in provider.exports.told.items():
            told.setdefault(name, set()).update(bodies)
    rows = {row["message_id"] for row in database.execute("SELECT message_id FROM notifications")}
    missing = [f"{name} was not told" for name in rows - told.keys()]
    return missing + [f"{name} was told in {len(bodies)} ways" for name, bodies in told.items() if len(bodies) > 1]
