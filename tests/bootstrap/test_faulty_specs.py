"""A faulty spec in a folder of specs stops its own accounts only, at a start and at a reload."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any

import aiohttp
import pytest

from tests.support.daemon_in_process import DaemonSetup
from tests.support.ports import free_port
from tidewaiter.domain.job import State

CATALOGUE = (resources.files("tidewaiter.providers") / "catalog" / "symplify.toml").read_text("utf-8")
OWN = CATALOGUE.replace('name = "symplify"', 'name = "own"', 1)
BROKEN = OWN.replace("title = ", 'titel = "x"\ntitle = ', 1)
REASON = "titel: unknown key"


class Page:
    """What the HTTP listener of the daemon says."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._base = f"http://127.0.0.1:{port}"

    async def text(self, path: str) -> tuple[int, str]:
        """The status and the text of a page."""
        async with self._session.get(self._base + path, headers={"Accept": "text/html"}) as reply:
            return reply.status, await reply.text()

    async def json(self, path: str, body: object = None) -> tuple[int, Any]:
        """The status and the JSON of a reply."""
        method = "GET" if body is None else "POST"
        async with self._session.request(method, self._base + path, json=body) as reply:
            return reply.status, await reply.json(content_type=None)


@asynccontextmanager
async def two_accounts(setup: DaemonSetup, spec: str) -> AsyncIterator[Page]:
    """A daemon with an account on a spec of the operator's own, and one on a built-in spec."""
    port = free_port()
    (setup.folder / "specs").mkdir()
    (setup.folder / "specs" / "mine.toml").write_text(spec)
    schedule = '[schedules.daily]\naccount = "shop"\noperation = "statistics"\ncron = "0 6 * * *"\n'
    schedule += 'params = { export_type = "OPENS" }\n'
    http = f'[http]\nlisten = "127.0.0.1:{port}"\n[providers]\nfolders = ["specs"]\n'
    setup.write(setup.account("shop").replace('"symplify"', '"own"'), setup.account("other"), http, schedule)
    async with setup.serving(), aiohttp.ClientSession() as session:
        yield Page(session, port)


@pytest.mark.slow
async def test_a_start_with_a_faulty_spec(setup: DaemonSetup) -> None:
    """The other account is served; the log, the API and the page say what is wrong; a repaired file is reloaded."""
    async with two_accounts(setup, BROKEN) as page:
        (told,) = await setup.logged("account.faulty")
        assert (told["level"], told["account"], told["provider"]) == ("error", "shop", "own")
        assert f"mine.toml: {REASON}" in str(told["reason"])
        (job,) = await setup.until(await setup.submit("other"))
        assert job.state is State.SUCCEEDED
        _, found = await page.json("/v1/accounts")
        assert {one["account"]: one["fault"] for one in found["accounts"]}["other"] is None
        shop = next(one for one in found["accounts"] if one["account"] == "shop")
        assert (shop["provider"], REASON in shop["fault"]) == (None, True)
        status, problem = await page.json("/v1/jobs", {"account": "shop", "operation": "statistics", "params": {}})
        assert status == 422
        assert f"account 'shop' is not served: the spec of its provider has a fault: {setup.folder}" in str(problem)
        assert (await page.json("/v1/providers/own"))[0] == 404
        (waiting,) = await setup.submit("shop")
        for path in ("/", "/accounts", "/accounts/shop", "/schedules", f"/jobs/{waiting}"):
            status, text = await page.text(path)
            assert (status, REASON in text) == (409 if path == "/accounts/shop" else 200, True), path
        (setup.folder / "specs" / "mine.toml").write_text(OWN)
        told = await setup.reload()
        assert (told["changed"], told["specs"]) == ([], ["own"])
        (job,) = await setup.until([waiting])
        assert job.state is State.SUCCEEDED
    assert len(setup.lines("account.faulty")) == 1


@pytest.mark.slow
async def test_a_reload_with_a_faulty_spec(setup: DaemonSetup) -> None:
    """Only the accounts of the spec stop; their jobs wait, and nothing says that the account had vanished."""
    async with two_accounts(setup, OWN) as page:
        await setup.logged("lane.taken", more_than=1)
        (setup.folder / "specs" / "mine.toml").write_text("name = 'own'\n[")
        told = await setup.reload()
        assert (told["event"], told["specs"], told["lanes"]) == ("config.reloaded", ["own"], 1)
        assert "is not TOML" in str((await setup.logged("account.faulty"))[0]["reason"])
        (waiting,) = await setup.submit("shop")
        (job,) = await setup.until(await setup.submit("other"))
        assert job.state is State.SUCCEEDED
        assert "is not TOML" in (await page.text(f"/jobs/{waiting}"))[1]
        assert (await page.json(f"/v1/jobs/{waiting}"))[1]["state"] == "queued"
    assert setup.lines("account.vanished", "config.refused") == []
