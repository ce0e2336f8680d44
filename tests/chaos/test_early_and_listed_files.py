"""kill -9 at each request of a job whose files come from lists while its remote job runs: each file lands whole."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, answering, config_for, open_provider
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import TERMINAL, Job, NewJob, State

SPEC = """
[operations.report.submit]
url = "/reports"
handle = "id"

[operations.report.poll]
url = "/reports/${handle}"
rules = [{ status = 202, then = "pending" }, { status = 200, then = "ready" }]

[operations.report.results]
while_running = "listed"

[[operations.report.results.lists]]
url = "/reports/${handle}/groups"
items = "groups"
values = { group = "id" }

[[operations.report.results.lists]]
url = "/groups/${item.group}"
items = "parts"

[operations.report.results.files]
label = "id"
values = { part = "id" }
download = { method = "POST", url = "/files", json = { part = "${item.part}" } }
"""
GROUPS = {"g1": ("a", "b"), "g2": ("c",)}


@dataclass(slots=True)
class World:
    """The provider, and the daemon that dies at one of its requests; ``polls`` is the clock of the remote job."""

    folder: Path
    line: str
    after_reply: bool
    polls: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    daemon: asyncio.subprocess.Process | None = None
    killed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def answers(self) -> dict[str, Answer]:
        every = {
            "POST /reports": answering({"id": "r1"}),
            "GET /reports/r1": self._status,
            "GET /reports/r1/groups": self._groups,
            "GET /groups/g1": self._group,
            "GET /groups/g2": self._group,
            "POST /files": self._file,
        }
        return {line: self._deadly(answer) if line == self.line else answer for line, answer in every.items()}

    async def start(self) -> None:
        """A daemon in a process of its own."""
        with (self.folder / "daemon.log").open("ab") as log:
            self.daemon = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tidewaiter.cli.main", "serve", cwd=self.folder, stdout=log, stderr=log,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )  # fmt: skip

    def shoot(self) -> None:
        """SIGKILL, by process id."""
        if self.daemon is not None and self.daemon.returncode is None:
            os.kill(self.daemon.pid, signal.SIGKILL)
        self.killed.set()

    def _deadly(self, answer: Answer) -> Answer:
        async def deadly(request: web.Request) -> web.StreamResponse:
            response = await answer(request)
            if self.killed.is_set():
                return response
            if self.after_reply:
                await response.prepare(request)
                await response.write_eof()
            self.shoot()
            return response

        return deadly

    async def _status(self, _: web.Request) -> web.StreamResponse:
        self.polls += 1
        return web.json_response({"listed": self.polls > 1}, status=202 if self.polls < 5 else 200)

    async def _groups(self, _: web.Request) -> web.StreamResponse:
        there = list(GROUPS) if self.polls >= 5 else ["g1"]
        return web.json_response({"groups": [{"id": one} for one in there]})

    async def _group(self, request: web.Request) -> web.StreamResponse:
        parts = GROUPS[request.path.rpartition("/")[2]]
        return web.json_response({"parts": [{"id": one} for one in (parts if self.polls >= 3 else parts[:1])]})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        part = (await request.json())["part"]
        self.asked[part] += 1
        return web.Response(text=f"{part}\n" * 1000)


def _manifests(folder: Path) -> list[Path]:
    return list(folder.glob("landed/**/manifest.json"))


async def _end_of(jobs: JobStore, number: int) -> Job:
    async with asyncio.timeout(60):
        while True:
            job = await jobs.get(number)
            assert job is not None
            if job.state in (*TERMINAL, State.PARKED):
                return job
            await asyncio.sleep(0.05)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("line", "after_reply"),
    [
        pytest.param("POST /files", True, marks=pytest.mark.slow),
        pytest.param("POST /files", False, marks=pytest.mark.chaos),
        *(
            pytest.param(line, after_reply, marks=pytest.mark.chaos)
            for line in ("GET /reports/r1", "GET /reports/r1/groups", "GET /groups/g1", "GET /groups/g2")
            for after_reply in (False, True)
        ),
    ],
)
async def test_a_kill_at_each_request(tmp_path: Path, sqlite_url: str, line: str, *, after_reply: bool) -> None:
    """The next daemon goes on: nothing is submitted twice, and a file is asked for again only if its row was lost."""
    world = World(tmp_path, line, after_reply)
    async with open_provider(world.answers) as shop:
        config_for(tmp_path, SPEC, shop.url, sqlite_url)
        file = tmp_path / "tidewaiter.toml"
        file.write_text(file.read_text().replace("[worker]", "[worker]\nlease_s = 2"))
        await asyncio.to_thread(migrate.upgrade, sqlite_url)
        database = Database.open(sqlite_url, clock := SystemClock())
        jobs, lanes = JobStore(database), LaneStore(database)
        await lanes.ensure({"shop": 1})
        (lane,) = await lanes.ids("shop")
        added, _ = await jobs.add(NewJob("shop", "report", {}, 3600.0), lane, clock.now())
        try:
            await world.start()
            async with asyncio.timeout(60):
                await world.killed.wait()
            assert world.daemon is not None
            await world.daemon.wait()
            assert _manifests(tmp_path) == []
            await world.start()
            job = await _end_of(jobs, added.id)
            artifacts = await jobs.artifacts(added.id)
        finally:
            world.shoot()
            if world.daemon is not None:
                await world.daemon.wait()
            await database.close()
    assert (job.state, job.reason) == (State.SUCCEEDED, None)
    assert shop.times("POST /reports") == 1
    landed = {one.label: (tmp_path / "landed" / one.key).read_text() for one in artifacts}
    assert landed == {part: f"{part}\n" * 1000 for part in "abc"}
    (manifest,) = _manifests(tmp_path)
    assert [one["label"] for one in json.loads(manifest.read_text())["artifacts"]] == ["a", "b", "c"]
    assert len(list(manifest.parent.iterdir())) == 4
    assert max(world.asked.values()) <= 2
    assert "Traceback" not in (tmp_path / "daemon.log").read_text()
