"""kill -9 of a daemon whose login names the server: the next one logs in anew, and goes where that login leads."""

from pathlib import Path

import pytest
from aiohttp import web

from tests.support.doomed_daemon import DoomedDaemon, stored_job
from tests.support.named_server_spec import SPEC
from tests.support.scripted_provider import Answer, config_for, open_provider
from tidewaiter.domain.job import State

PATHS = {"login": "POST /login", "submit": "POST /reports", "poll": "GET /reports/r-1", "file": "GET /reports/r-1/file"}


class Shop:
    """The provider: each login has its own token and its own server, below the same address."""

    def __init__(self, daemon: DoomedDaemon, deadly: str) -> None:
        self._daemon, self._deadly = daemon, deadly
        self.logins = 0
        self.submits = 0
        self.wrong: list[str] = []
        self.url = ""

    def answers(self) -> dict[str, Answer]:
        """By method and path, for the servers that two logins name."""
        found = {PATHS["login"]: self._at("login", self._login)}
        for step, answer in (("submit", self._submit), ("poll", self._poll), ("file", self._file)):
            for server in ("/e1", "/e2", "/e3"):
                method, path = PATHS[step].split(" ")
                found[f"{method} {server}{path}"] = self._at(step, self._checked(answer))
        return found

    def _at(self, step: str, answer: Answer) -> Answer:
        return self._daemon.at(answer) if step == self._deadly else answer

    def _checked(self, answer: Answer) -> Answer:
        async def reply(request: web.Request) -> web.StreamResponse:
            self._check(request)
            return await answer(request)

        return reply

    def _check(self, request: web.Request) -> None:
        number = request.path[2]
        if request.headers.get("Authorization") != f"Bearer canary-token-{number}":
            self.wrong.append(f"{request.path} with {request.headers.get('Authorization')}")

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


def _configure(folder: Path, url: str, database_url: str) -> None:
    config_for(folder, SPEC, url, database_url)
    spec = folder / "specs" / "shop.toml"
    spec.write_text(spec.read_text().replace('base_url = "${account.server}"', 'base_url = "${login.instance}"'))


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
    daemon = DoomedDaemon(tmp_path, after_reply)
    shop = Shop(daemon, step)
    async with open_provider(shop.answers()) as provider, stored_job(sqlite_url) as stored:
        shop.url = provider.url
        _configure(tmp_path, provider.url, sqlite_url)
        try:
            await daemon.run_to_its_death()
            await daemon.start()
            job = await stored.end()
        finally:
            await daemon.kill()
    # The login of a submit comes after its intent, so a kill in it leaves as much doubt as one in the submit.
    may_park = step in ("login", "submit")
    assert job.state is State.SUCCEEDED or (may_park and job.state is State.PARKED)
    assert shop.wrong == []
    assert shop.submits == 1 or (job.state, shop.submits) == (State.PARKED, 0)
    assert "Traceback" not in daemon.log
    assert "canary" not in daemon.log
