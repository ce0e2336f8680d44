"""Accounts whose logins replace the refresh token: the doctor spares it, and a single run shares it with the daemon."""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from tests.support.doctor_run import consulted
from tests.support.ports import free_port
from tests.support.token_server import SPEC, TokenServer
from tidewaiter.bootstrap import RunBrokenError, open_job_service, run_once, serve
from tidewaiter.clock import SystemClock
from tidewaiter.config import load
from tidewaiter.database.engine import Database
from tidewaiter.database.refresh_token_store import Begun, RefreshTokenStore
from tidewaiter.database.sealing import Seal, new_key
from tidewaiter.domain.job import Job, State
from tidewaiter.log import configure
from tidewaiter.services import DAEMON

KEY = new_key()
PROBE = '[probe]\nurl = "/data"\n'


@pytest.fixture
def api() -> TokenServer:
    """What the server does."""
    return TokenServer()


@pytest.fixture
async def config(api: TokenServer, tmp_path: Path, sqlite_url: str) -> AsyncIterator[str]:
    """A configuration with one account at the server."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "rotating.toml").write_text(SPEC + PROBE)
    async with TestServer(api.application(), host="127.0.0.1") as server:
        yield (
            f'[database]\nurl = "{sqlite_url}"\nkey = "{KEY}"\n[storage]\nroot = "{tmp_path / "landed"}"\n'
            f'[providers]\nfolders = ["{tmp_path / "specs"}"]\n'
            '[accounts.shop]\nprovider = "rotating"\nallow_private = true\n'
            f'[accounts.shop.settings]\nserver = "{str(server.make_url("")).rstrip("/")}"\nlogin = "canary-rt-0"\n'
        )


async def _run(config: str, folder: Path) -> Job:
    path = folder / "tidewaiter.toml"
    await asyncio.to_thread(path.write_text, config)
    loaded = load(path, {})
    log = configure("json", "error", loaded.secrets)
    try:
        job, _ = await run_once(loaded, "shop", "report", {}, out=folder / "out", on_change=lambda _: None, log=log)
    finally:
        log.close()
    return job


async def test_the_doctor_sends_no_refresh_token(
    api: TokenServer, config: str, tmp_path: Path, sqlite_url: str
) -> None:
    """It says why, and since when there is one; not even the test of a key makes it try."""
    found = await consulted(tmp_path, config, tests_keys=True)
    message = "not tried, because a trial would spend the refresh token; "
    assert found["shop", "login"].message == f"{message}no login has replaced it yet"
    database = Database.open(sqlite_url, SystemClock())
    store = RefreshTokenStore(database, Seal([KEY]))
    begun = await store.begin("shop", "canary-rt-0", reuse=False)
    assert isinstance(begun, Begun)
    await store.finish("shop", begun.version, "canary-rt-1")
    await database.close()
    found = await consulted(tmp_path, config)
    assert found["shop", "login"].message.startswith(f"{message}the stored one is from ")
    assert api.sent == []


@pytest.mark.slow
async def test_single_runs_share_the_token(api: TokenServer, config: str, tmp_path: Path) -> None:
    """Each continues with what the one before has stored, although each has a scratch database for its job."""
    for number in range(2):
        assert (await _run(config, tmp_path)).state is State.SUCCEEDED
        assert api.sent == [f"canary-rt-{one}" for one in range(number + 1)]
    assert b"canary-rt" not in (tmp_path / "tidewaiter.db").read_bytes()


@pytest.mark.slow
async def test_a_single_run_does_not_try_a_token_in_doubt(
    api: TokenServer, config: str, tmp_path: Path, sqlite_url: str
) -> None:
    """It ends with what to do."""
    database = Database.open(sqlite_url, SystemClock())
    store = RefreshTokenStore(database, Seal([KEY]))
    begun = await store.begin("shop", "canary-rt-0", reuse=False)
    assert isinstance(begun, Begun)
    await store.leave_unknown("shop", begun.version)
    await database.close()
    with pytest.raises(RunBrokenError, match=r"log in anew and set accounts\.shop\.settings\.login, or resume"):
        await _run(config, tmp_path)
    assert api.sent == []


@pytest.mark.slow
async def test_a_daemon_with_several_lanes(api: TokenServer, config: str, tmp_path: Path) -> None:
    """Short access tokens, one renewal after the other; the page says since when the token is stored, and not which."""
    api.lasts_s = 1.0
    port = free_port()
    text = config.replace('provider = "rotating"', 'provider = "rotating"\nshards = 3')
    text += f'[http]\nlisten = "127.0.0.1:{port}"\n[worker]\nlookout_s = 0.05\n'
    path = tmp_path / "tidewaiter.toml"
    await asyncio.to_thread(path.write_text, text)
    loaded, output, stop = load(path, {}), io.StringIO(), asyncio.Event()
    log = configure("json", "info", loaded.secrets, stream=output)
    serving = asyncio.create_task(serve(loaded, log, stop=stop))
    async with open_job_service(loaded, log) as service, aiohttp.ClientSession() as session:
        jobs = [(await service.submit("shop", "report", {}, actor=DAEMON))[0] for _ in range(12)]
        async with asyncio.timeout(40):
            while api.renewals < 3 or {one.state for one in await service.jobs.find(limit=100)} != {State.SUCCEEDED}:
                if api.renewals < 3 and api.submits == len(jobs):
                    jobs.append((await service.submit("shop", "report", {}, actor=DAEMON))[0])
                await asyncio.sleep(0.1)
        async with session.get(f"http://127.0.0.1:{port}/accounts/shop") as reply:
            page = await reply.text()
    stop.set()
    assert await serving == 0
    log.close()
    assert re.search(r"<bdi>login</bdi></dt><dd><span class=.dim.>secret, is set; a login has replaced it <time", page)
    assert api.reused == []
    assert len(api.sent) == len(set(api.sent)) == api.renewals
    assert api.submits == len(jobs)
    assert "canary" not in page + output.getvalue()
