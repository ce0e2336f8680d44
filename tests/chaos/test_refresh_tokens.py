"""kill -9 at each moment of a renewal, on a server that revokes every token when a spent one comes a second time."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from sqlalchemy import text

from tests.chaos.dying_daemon import MOMENTS
from tests.support.token_server import SPEC, TokenServer
from tidewaiter.bootstrap import open_account_service
from tidewaiter.clock import SystemClock
from tidewaiter.config import load
from tidewaiter.database.account_store import AccountStore
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.sealing import new_key
from tidewaiter.domain.job import NewJob, State
from tidewaiter.log import configure
from tidewaiter.services.actors import DAEMON

_WITHIN_S = 40.0


@dataclass(slots=True)
class RenewalRun:
    """One provider, one database, and daemons that are started one after the other."""

    folder: Path
    url: str
    server: str
    database: Database

    def write(self, login: str = "canary-rt-0") -> None:
        """The configuration."""
        (self.folder / "tidewaiter.toml").write_text(
            f'[database]\nurl = "{self.url}"\nkey_file = "tidewaiter.key"\n[storage]\nroot = "landed"\n'
            '[worker]\nlease_s = 1\nlookout_s = 0.1\n[log]\nformat = "json"\n[providers]\nfolders = ["specs"]\n'
            '[accounts.shop]\nprovider = "rotating"\nallow_private = true\n'
            f'[accounts.shop.settings]\nserver = "{self.server}"\nlogin = "{login}"\n'
        )

    @asynccontextmanager
    async def daemon(self, moment: str | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
        """A daemon, which dies by itself if a moment is given."""
        how = ["tidewaiter.cli.main"] if moment is None else ["tests.chaos.dying_daemon", moment]
        with (self.folder / "daemon.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *how, "--config", str(self.folder / "tidewaiter.toml"), "serve",
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield process
        finally:
            if process.returncode is None:
                os.kill(process.pid, signal.SIGKILL)
            await process.wait()

    async def submit(self) -> int:
        """A job for the account."""
        lanes = LaneStore(self.database)
        await lanes.ensure({"shop": 1})
        (lane,) = await lanes.ids("shop")
        job, _ = await JobStore(self.database).add(NewJob("shop", "report", {}, 3600.0), lane, SystemClock().now())
        return job.id

    async def succeeded(self, number: int) -> None:
        """Wait for the end of a job."""
        async with asyncio.timeout(_WITHIN_S):
            while (job := await JobStore(self.database).get(number)) is None or job.state is not State.SUCCEEDED:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def paused(self) -> str:
        """Wait until the account is paused; returns why."""
        async with asyncio.timeout(_WITHIN_S):
            while "shop" not in (pauses := await AccountStore(self.database).paused()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return pauses["shop"].reason

    async def let_time_pass(self) -> None:
        """As long as a renewal may take."""
        async with self.database.writing() as connection:
            await connection.execute(text("UPDATE refresh_tokens SET renewing_since = renewing_since - 200"))

    async def resume(self) -> None:
        """A person resumes the account."""
        log = configure("json", "error", ())
        async with open_account_service(load(self.folder / "tidewaiter.toml", {}), log) as service:
            await service.resume("shop", actor=DAEMON)
        log.close()


@pytest.mark.chaos
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_in_a_renewal(moment: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """No spent token is sent a second time unless a person resumes; where none is in doubt, nobody has to."""
    url: str = request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url")
    api = TokenServer()
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "rotating.toml").write_text(SPEC)
    (tmp_path / "tidewaiter.key").write_text(new_key())
    (tmp_path / "tidewaiter.key").chmod(0o600)
    database = Database.open(url, SystemClock())
    async with TestServer(api.application(), host="127.0.0.1") as server:
        run = RenewalRun(tmp_path, url, str(server.make_url("")).rstrip("/"), database)
        run.write()
        job = await run.submit()
        async with run.daemon(moment) as daemon, asyncio.timeout(_WITHIN_S):
            assert await daemon.wait() == -signal.SIGKILL
        sent = ["canary-rt-0"] if moment in {"after reply", "after commit"} else []
        assert api.sent == sent
        await run.let_time_pass()
        async with run.daemon():
            if moment in {"after departure", "after reply"}:
                assert "or resume the account to try the stored one" in await run.paused()
                assert api.sent == sent
                await run.resume()
            if moment == "after reply":
                async with asyncio.timeout(_WITHIN_S):
                    while not api.reused:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                assert "the login failed: HTTP 400: [redacted] is spent" in await run.paused()
            else:
                await run.succeeded(job)
                assert api.reused == []
        if moment == "after reply":
            assert api.reused == ["canary-rt-0"]
            api.log_in_anew("fresh-canary-0")
            run.write("fresh-canary-0")
            async with run.daemon():
                await run.succeeded(job)
        assert api.submits == 1
        assert "canary" not in (tmp_path / "daemon.log").read_text()
        assert "Traceback" not in (tmp_path / "daemon.log").read_text()
    await database.close()
