"""What must be true of a world that has come to rest, however often its power was cut."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from tests.model.traces import first_impossible
from tests.simulation.cuts.cut_world import ENDS, PERIOD_S, REQUESTS, CutWorld
from tests.simulation.cuts.export_provider import TOKEN, Export
from tests.simulation.stored_invariants import file_faults, history_faults, rate_faults, token_faults
from tidewaiter.domain.job import State


def broken_invariants(world: CutWorld) -> list[str]:
    """Every invariant that does not hold, as sentences; their numbers are those of the catalogue of faults."""
    world.observe()
    with closing(sqlite3.connect(world.database)) as database:
        database.row_factory = sqlite3.Row
        return [
            *_jobs_are_there(world, database),
            *_submits(world),
            *_exports_are_known(world, database),
            *history_faults(database),
            *_files(world, database),
            *files_are_whole(world),
            *rate_faults(world.provider.asked_at, REQUESTS, PERIOD_S),
            *token_faults(database, world.output.getvalue(), TOKEN),
            *_parts(world, database),
            *_told(world, database),
            *_resumed(world),
            *_model(world),
            *world.provider.wrong,
        ]


def _jobs_are_there(world: CutWorld, database: sqlite3.Connection) -> Iterator[str]:
    """Invariants 1 and 7."""
    states = {row["id"]: State(row["state"]) for row in database.execute("SELECT id, state FROM jobs")}
    yield from (f"7: job {job} is still {state}" for job, state in states.items() if state not in ENDS)
    if world.purges:
        yield from _forgotten_whole(world, database)
        return
    yield from (f"1: job {job} has vanished" for job in world.asked_for if job not in states)
    new = database.execute("SELECT count(*) FROM jobs WHERE retry_of IS NULL").fetchone()[0]
    if new != len(world.asked_for) + world.ticks:
        yield f"1: {new} jobs were made for {len(world.asked_for)} requests and {world.ticks} ticks"
    if not world.may_fail:
        good = {State.SUCCEEDED, State.CANCELLED}
        yield from (f"7: job {job} is {state}" for job, state in states.items() if state not in good)


def _forgotten_whole(world: CutWorld, database: sqlite3.Connection) -> Iterator[str]:
    """Retention deletes a job with all its rows or not at all, and none of its files.

    A daemon looks for old jobs at its start, when its configuration changes and every hour, so what is left after a cut
    is for the next hour.
    """
    if not world.cuts and database.execute("SELECT count(*) FROM jobs").fetchone()[0]:
        yield "1: retention has deleted nothing"
    for table in ("history", "artifacts", "job_terms"):
        query = f"SELECT count(*) FROM {table} WHERE job_id NOT IN (SELECT id FROM jobs)"  # noqa: S608  # names of ours
        if count := database.execute(query).fetchone()[0]:
            yield f"1: {count} rows of {table} belong to no job"
    if (manifests := len([*world.exports.rglob("manifest.json")])) != len(world.asked_for):
        yield f"6: {manifests} manifests of {len(world.asked_for)} jobs are left"


def _resumed(world: CutWorld) -> Iterator[str]:
    """A transfer that breaks half way is continued; after a power cut it may begin again."""
    provider = world.provider
    if provider.breaks and not world.cuts and provider.resumed != len(provider.downloads):
        yield f"{provider.resumed} of {len(provider.downloads)} transfers were continued"


def _submits(world: CutWorld) -> Iterator[str]:
    """Invariant 2: one POST for each job, or more only where a repeated one is harmless or a person asked for it."""
    for job, posts in world.provider.posts.items():
        most = 1 + world.cuts if world.provider.repeatable else 1 + world.retried.get(job, 0)
        if posts > most:
            yield f"2: {posts} POSTs for job {job}"


def _model(world: CutWorld) -> Iterator[str]:
    """Each job went a way through the model of the protocol."""
    for job, steps in world.observed.by_job.items():
        if (at := first_impossible(world.kind, steps)) is not None:
            yield f"2: the model cannot take step {at} of job {job}: {steps}"


def _exports_are_known(world: CutWorld, database: sqlite3.Connection) -> Iterator[str]:
    """Invariant 3: a remote job is followed by its job, or was. Where jobs are forgotten, it was cleaned up before."""
    known = {row["handle"] for row in database.execute("SELECT handle FROM jobs")}
    known |= {
        row["detail"].removeprefix("handle ")
        for row in database.execute("SELECT detail FROM history WHERE detail LIKE 'handle %'")
    }
    for name, one in world.provider.exports.items():
        if name not in known and not (world.purges and one.deleted):
            yield f"3: export {name} belongs to nobody"


def _files(world: CutWorld, database: sqlite3.Connection) -> Iterator[str]:
    """Invariant 6: what has succeeded has every file, as it was recorded, and a manifest of them."""
    for job in database.execute("SELECT id FROM jobs WHERE state = 'succeeded'"):
        yield from missing_files(world, database, job["id"])


def missing_files(world: CutWorld, database: sqlite3.Connection, job: int) -> Iterator[str]:
    """What is wrong with the recorded files of a job."""
    files = [
        world.provider.file_of(name, number)
        for name, one in world.provider.exports.items()
        if one.job == job and name == _handle(database, job)
        for number in range(one.files)
    ]
    yield from file_faults(database, world.exports, job, files)


def _handle(database: sqlite3.Connection, job: int) -> str:
    return str(database.execute("SELECT handle FROM jobs WHERE id = ?", (job,)).fetchone()[0])


def files_are_whole(world: CutWorld) -> Iterator[str]:
    """Invariant 6, at every moment: what can be seen is whole, and a manifest names files that are there."""
    whole = {
        hashlib.sha256(world.provider.file_of(name, number)).hexdigest()
        for name, one in world.provider.exports.items()
        for number in range(one.files)
    }
    for path in world.exports.rglob("*"):
        if not path.is_file() or ".partial" in path.parts:
            continue
        content = path.read_bytes()
        if path.name != "manifest.json":
            if hashlib.sha256(content).hexdigest() not in whole:
                yield f"6: {path.name} is no whole file"
            continue
        try:
            named = [one["name"] for one in json.loads(content)["artifacts"]]
        except ValueError:
            yield f"6: half a manifest: {content[:40]!r}"
            continue
        yield from (
            f"6: {path} names {name}, which is not there" for name in named if not (path.parent / name).exists()
        )


def _parts(world: CutWorld, database: sqlite3.Connection) -> Iterator[str]:
    """Invariant 12: nothing half is left of a job that has ended, but what a cut brought back: the sweep takes that."""
    ended = {
        str(row["id"]) for row in database.execute("SELECT id FROM jobs WHERE state IN ('succeeded', 'cancelled')")
    }
    for path in (world.exports / ".partial").glob("*"):
        if path.name.split("-")[0] in ended and path.name not in world.back_again:
            yield f"12: {path.name} was left behind"


def _told(world: CutWorld, database: sqlite3.Connection) -> Iterator[str]:
    """Every end is told under one id with one body."""
    if not world.tables.get("notifications"):
        return
    rows = {row["message_id"]: row for row in database.execute("SELECT * FROM notifications")}
    yield from (
        f"{name} was told in {len(bodies)} ways" for name, bodies in world.provider.told.items() if len(bodies) > 1
    )
    if world.purges:
        if len(world.provider.told) != len(world.asked_for):
            yield f"{len(world.asked_for)} jobs, {len(world.provider.told)} ends were told"
        return
    ends = database.execute(
        "SELECT count(*) FROM history WHERE state IN ('succeeded', 'failed', 'expired', 'parked')"
        " AND state_from <> state"
    ).fetchone()[0]
    if len(rows) != ends:
        yield f"{ends} ends, {len(rows)} notifications"
    if set(rows) != set(world.provider.told):
        yield f"{sorted(world.provider.told)} were told, {sorted(rows)} are written"


def may_be_deleted(world: CutWorld, export: Export) -> str | None:
    """Why an export must not be deleted now: its files must be durable and recorded before."""
    with closing(sqlite3.connect(world.database)) as database:
        database.row_factory = sqlite3.Row
        row = database.execute("SELECT state FROM jobs WHERE id = ?", (export.job,)).fetchone()
        if row["state"] == "cancelling":
            return None
        wrong = [*missing_files(world, database, export.job)]
    return f"deleted too early: {wrong[0]}" if wrong else None
