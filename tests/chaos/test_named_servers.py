"""kill -9 of a daemon whose login names the server: the next one logs in anew, and goes where that login leads."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.named_server_spec import SPEC
from tests.support.scripted_provider import Answer, ScriptedProvider, config_for, open_provider
from tidewaiter.clock import SystemClock
from tidewaiter.config import Config
from tidewaiter.database import migrate
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import TERMINAL, Job, NewJob, State

PATHS = {"login": "POST /login", "submit": "POST /reports", "poll": "GET /reports/r-1", "file": "GET /reports/r-1/file"}


class Shop:
    """The provider: each login has its own token and its own server, below the same address."""

    def __init__(self, deadly: str, *, after_reply: bool) -> None:
        self.deadly, self.after_reply = deadly, after_reply
        self.logins = 0
        self.submits = 0
        self.wrong: list[str] = []
        self.url = ""
        self.daemon: asyncio.subprocess.Process | None = None
        self.killed = asyncio.Event()

    def answers(self) -> dict[str, Answer]:
        """By method and path, for the servers that two logins name."""
        found = {PATHS["login"]: self._deadly("login", self._login)}
        for step, answer in (("submit", self._submit), ("poll", self._poll), ("file", self._file)):
            for server in ("/e1", "/e2", "/e3"):
                method, path = PATHS[step].split(" ")
                found[f"{method} {server}{path}"] = self._deadly(step, answer)
        return found

    def _deadly(self, step: str, answer: Answer) -> Answer:
        async def reply(request: web.Request) -> web.StreamResponse:
            if step != "login":
                self._check(request)
            response = await answer(request)
            if step == self.deadly and not self.killed.is_set():
                if self.after_reply:
                    await response.prepare(request)
                    await response.write_eof()
                self.kill()
            return response

        return reply

    def _check(self, request: web.Request) -> None:
        number = request.path[2]
        if request.headers.get("Authorization") != f"Bearer canary-token-{number}":
            self.wrong.append(f"{request.path} with {request.headers.get('Authorization')}")

    def kill(self) -> None:
        """SIGKILL to the daemon, by its process id."""
        self.killed.set()
        if self.daemon is not None and self.daemon.returncode is None:
            os.kill(self.daemon.pid, signal.SIGKILL)

    async def start(self, folder: Path) -> None:
        """A daemon in a process of its own."""
        with (folder / "daemon.log").open("ab") as log:
            self.daemon = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tidewaiter.cli.main", "serve", cwd=folder, stdout=log, stderr=log,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )  # fmt: skip

    async def _login(self, _: web.Request) -> web.StreamResponse:
        self.logins += 1
        named = f"{self.url}/e{self.logins}"
        return web.json_response({"token": f"canary-token-{self.logins}", "instance_url": named})

    async def _submit(self, _: web.Request) -> web.StreamResponse:
        self.submits += 1
        return web.json_response({"id": "r-1"}, status=201)

    async def _poll(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"state": "DONE"})

    async def _file(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text="a,b\n")


def _configured(folder: Path, shop: ScriptedProvider, database_url: str) -> Config:
    config = config_for(folder, SPEC, shop.url, database_url)
    spec = folder / "specs" / "shop.toml"
    spec.write_text(spec.read_text().replace('base_url = "${account.server}"', 'base_url = "${login.instance}"'))
    migrate.upgrade(config.database.url)
    return config


async def _job_end(config: Config, shop: Shop, folder: Path) -> Job:
    """The end of one job, whose first daemon is killed."""
    database = Database.open(config.database.url, clock := SystemClock())
    try:
        jobs, lanes = JobStore(database), LaneStore(database)
        await lanes.ensure({"shop": 1})
        (lane,) = await lanes.ids("shop")
        added, _ = await jobs.add(NewJob("shop", "report", {}, 3600.0), lane, clock.now())
        await shop.start(folder)
        async with asyncio.timeout(60):
            await shop.killed.wait()
            assert shop.daemon is not None
            await shop.daemon.wait()
            await shop.start(folder)
            while True:
                job = await jobs.get(added.id)
                assert job is not None
                if job.state in (*TERMINAL, State.PARKED):
                    return job
                await asyncio.sleep(0.05)
    finally:
        await database.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("step", "after_reply"),
    [
        pytest.param("file", False, marks=pytest.mark.slow),
        *(
            pytest.param(step, after_reply, marks=pytest.mark.chaos)
            for step in PATHS
            for after_reply in (False, True)
            if (step, after_reply) != ("file", False)
        ),
    ],
)
async def test_a_kill_at_each_request(tmp_path: Path, sqlite_url: str, step: str, *, after_reply: bool) -> None:
    """Each token goes only to the server that came with it, and nothing is submitted twice."""
    shop = Shop(step, after_reply=after_reply)
    async with open_provider(shop.answers()) as provider:
        shop.url = provider.url
        config = await asyncio.to_thread(_configured, tmp_path, provider, sqlite_url)
        try:
            job = await _job_end(config, shop, tmp_path)
        finally:
            shop.kill()
            if shop.daemon is not None:
                await shop.daemon.wait()
    # The login of a submit comes after its intent, so a kill in it leaves as much doubt as one in the submit.
    may_park = step in ("login", "submit")
    assert job.state is State.SUCCEEDED or (may_park and job.state is State.PARKED)
    assert shop.wrong == []
    assert shop.submits == 1 or (job.state, shop.submits) == (State.PARKED, 0)
    log = (tmp_path / "daemon.log").read_text()
    assert "Traceback" not in log
    assert "canary" not in log
