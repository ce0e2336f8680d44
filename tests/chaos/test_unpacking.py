"""kill -9 in the middle of unpacking: the members land whole, once, and nothing else is left."""

import asyncio
import gzip
import hashlib
import io
import json
import os
import signal
import sys
import tarfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from tests.chaos.dying_unpacking import MEMBERS, MOMENTS
from tests.support.scripted_provider import answering, config_for, open_provider
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import TERMINAL, Job, NewJob, State

SPEC = """
[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { done = "ready" } }]

[operations.report.results]
url = "/jobs/${handle}/export"
label = "export"
"""
CONTENTS = {f"part-{number}/rows.csv": Random(number).randbytes(600_000) for number in range(MEMBERS)}


def _archive(kind: str) -> bytes:
    target = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, data in CONTENTS.items():
                zipped.writestr(name, data)
        return target.getvalue()
    with tarfile.open(fileobj=target, mode="w") as tarred:
        for name, data in CONTENTS.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tarred.addfile(info, io.BytesIO(data))
    return gzip.compress(target.getvalue(), 1)


@asynccontextmanager
async def _daemon(folder: Path, *how: str) -> AsyncIterator[asyncio.subprocess.Process]:
    with (folder / "daemon.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *how, "serve", cwd=folder, stdout=log, stderr=log,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


async def _end_of(jobs: JobStore, number: int) -> Job:
    async with asyncio.timeout(60):
        while True:
            job = await jobs.get(number)
            assert job is not None
            if job.state in (*TERMINAL, State.PARKED):
                return job
            await asyncio.sleep(0.05)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        pytest.param(kind, moment, marks=pytest.mark.slow if moment == "between members" and kind == "zip" else
                     pytest.mark.chaos)
        for kind in ("zip", "tar.gz")
        for moment in MOMENTS
    ],
)  # fmt: skip
async def test_a_kill_while_unpacking(tmp_path: Path, sqlite_url: str, kind: str, moment: str) -> None:
    """Before the kill there is no manifest of a part; the next daemon lands every member, and only those."""
    archive = _archive(kind)
    answers = {
        "POST /jobs": answering({"id": "r1"}),
        "GET /jobs/r1": answering({"state": "done"}),
        "GET /jobs/r1/export": answering(archive),
    }
    async with open_provider(answers) as shop:
        config_for(tmp_path, SPEC + f'unpack = "{kind}"\n', shop.url, sqlite_url)
        file = tmp_path / "tidewaiter.toml"
        file.write_text(file.read_text().replace("[worker]", "[worker]\nlease_s = 2"))
        await asyncio.to_thread(migrate.upgrade, sqlite_url)
        database = Database.open(sqlite_url, clock := SystemClock())
        jobs, lanes = JobStore(database), LaneStore(database)
        await lanes.ensure({"shop": 1})
        (lane,) = await lanes.ids("shop")
        added, _ = await jobs.add(NewJob("shop", "report", {}, 3600.0), lane, clock.now())
        try:
            async with _daemon(tmp_path, "tests.chaos.dying_unpacking", moment) as dying, asyncio.timeout(60):
                assert await dying.wait() == -signal.SIGKILL
            left = {path.name for path in _files(tmp_path / "landed")}
            assert ("manifest.json" in left) == (moment == "after the manifest")
            assert await jobs.artifacts(added.id) == []
            async with _daemon(tmp_path, "tidewaiter.cli.main"):
                job = await _end_of(jobs, added.id)
            artifacts = await jobs.artifacts(added.id)
        finally:
            await database.close()
    assert (job.state, job.reason) == (State.SUCCEEDED, None)
    assert shop.times("POST /jobs") == 1
    assert {one.label: (tmp_path / "landed" / one.key).read_bytes() for one in artifacts} == CONTENTS
    (manifest,) = (tmp_path / "landed").glob("**/manifest.json")
    listed = json.loads(manifest.read_text())["artifacts"]
    assert [(one["member"], one["sha256"]) for one in listed] == [
        (name, hashlib.sha256(data).hexdigest()) for name, data in CONTENTS.items()
    ]
    assert {one["archive"]["sha256"] for one in listed} == {hashlib.sha256(archive).hexdigest()}
    assert {path.name for path in _files(tmp_path / "landed")} == {"manifest.json", *(one.name for one in artifacts)}
    assert "Traceback" not in (tmp_path / "daemon.log").read_text()
