"""Invariants of every world at rest, whatever happened in it (see the catalogue of faults)."""

import hashlib
import json
import sqlite3
from collections import Counter

from tests.simulation.stored_invariants import history_faults
from tests.simulation.world import ACCOUNTS, CANARY, World
from tidewaiter.domain.job import TERMINAL, State

_PERIOD_S = 60.0
_REQUESTS = 60


def broken_invariants(world: World) -> list[str]:
    """Every invariant that does not hold, as sentences; empty when all is well."""
    with sqlite3.connect(world.database_path) as database:
        database.row_factory = sqlite3.Row
        found = [
            *_nothing_vanished(world, database),
            *_one_submit_per_intent(world, database),
            *_remote_jobs_are_known(world, database),
            *history_faults(database),
            *_files_are_whole(world, database),
            *_rate_limit_held(world),
            *_no_secret_leaked(world, database),
            *_nothing_left_over(world),
        ]
    database.close()
    return found


def _nothing_vanished(world: World, database: sqlite3.Connection) -> list[str]:
    """Invariants 1 and 7: every job that was taken in is still there and has ended."""
    states = {row["id"]: State(row["state"]) for row in database.execute("SELECT id, state FROM jobs")}
    missing = [f"job {number} has vanished" for number in world.asked_for if number not in states]
    extra = [f"job {number} was never asked for" for number in states if number not in world.asked_for]
    ends = (*TERMINAL, State.PARKED)
    return missing + extra + [f"job {number} is still {state}" for number, state in states.items() if state not in ends]


def _one_submit_per_intent(world: World, database: sqlite3.Connection) -> list[str]:
    """Invariant 2: never more submits than intents, and each intent beyond the first has its reason in the history."""
    intents = database.execute("SELECT sum(submits) AS n FROM jobs").fetchone()["n"] or 0
    sent = world.emulator.count("create")
    found = [f"{sent} submits were sent for {intents} intents"] if sent > intents else []
    for row in database.execute("SELECT id, submits FROM jobs WHERE submits > 1"):
        back = database.execute(
            "SELECT count(*) AS n FROM history WHERE job_id = ? AND state = 'queued' AND state_from IS NOT NULL"
            " AND outcome IN ('Unsent','Undecidable','Absent','Gone','FailedForNow','Throttled',"
            "'Unauthorized','Interrupted')",
            (row["id"],),
        ).fetchone()["n"]
        if back < row["submits"] - 1:
            found.append(f"job {row['id']} was submitted {row['submits']} times with {back} reasons in its history")
    return found


def _remote_jobs_are_known(world: World, database: sqlite3.Connection) -> list[str]:
    """Invariant 3: every remote job was adopted by a job of ours, or the history says that one may exist."""
    handles = {row["detail"] for row in database.execute("SELECT detail FROM history WHERE detail LIKE 'handle %'")}
    unknown = sum(f"handle {batch.id}" not in handles for batch in world.emulator.batches)
    told = database.execute("SELECT count(*) AS n FROM history WHERE state = 'reconciling'").fetchone()["n"]
    if unknown > told:
        return [f"{unknown} remote jobs belong to nobody, but only {told} submits are known to be in doubt"]
    return []


def _files_are_whole(world: World, database: sqlite3.Connection) -> list[str]:
    """Invariant 6: a job that succeeded has all its files, with the recorded checksums, and its manifest."""
    found: list[str] = []
    root = world.root / "exports"
    remote = {hashlib.sha256(_bytes_of(stored.source)).hexdigest() for stored in world.files.files.values()}
    keys: Counter[str] = Counter()
    for job in database.execute("SELECT id FROM jobs WHERE state = 'succeeded'"):
        rows = database.execute("SELECT * FROM artifacts WHERE job_id = ?", (job["id"],)).fetchall()
        if len(rows) != 1:
            found.append(f"job {job['id']} succeeded with {len(rows)} files")
        for row in rows:
            keys[row["key"]] += 1
            path = root / row["key"]
            actual = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no file"
            if actual != row["sha256"] or actual not in remote:
                found.append(f"job {job['id']}: {row['key']} holds {actual}, recorded is {row['sha256']}")
            manifest = path.parent / "manifest.json"
            if not manifest.exists() or json.loads(manifest.read_text())["job"] != job["id"]:
                found.append(f"job {job['id']} has no manifest")
    return found + [f"{key} belongs to {number} jobs" for key, number in keys.items() if number > 1]


def _bytes_of(source: object) -> bytes:
    assert isinstance(source, bytes)
    return source


def _rate_limit_held(world: World) -> list[str]:
    """Invariant 8: no window ever held more requests than all accounts together may send."""
    times = sorted(asked.at for asked in world.emulator.requests)
    allowed = _REQUESTS * len(ACCOUNTS)
    first = 0
    for last, at in enumerate(times):
        while at - times[first] >= _PERIOD_S:
            first += 1
        if last - first + 1 > allowed:
            return [f"{last - first + 1} requests in {_PERIOD_S} s, {allowed} are allowed"]
    return []


def _no_secret_leaked(world: World, database: sqlite3.Connection) -> list[str]:
    """Invariant 10: the canary is in no log line, no row, and in no request to the file host."""
    found = ["the log shows the token"] if CANARY in world.output.getvalue() else []
    if any(CANARY in statement for statement in database.iterdump()):
        found.append("the database shows the token")
    return found + [f"{leak.carrier} reached the file host" for leak in world.files.violations]


def _nothing_left_over(world: World) -> list[str]:
    """Invariant 12: no part of a download outlives a job that has ended well."""
    parts = [path.name for path in (world.root / "exports" / ".partial").glob("*.part")]
    with sqlite3.connect(world.database_path) as database:
        done = {str(row[0]) for row in database.execute("SELECT id FROM jobs WHERE state = 'succeeded'")}
    database.close()
    return [f"{part} was left behind" for part in parts if part.split("-")[0] in done]
