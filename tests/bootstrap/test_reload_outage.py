"""SIGHUP while the database is down: the reload waits, and the file is not blamed."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.daemon_in_process import open_daemon_setup
from tests.support.postgres import refusing
from tidewaiter.domain.job import State

LANES = "BEFORE INSERT ON lanes FOR EACH STATEMENT"


@pytest.mark.slow
async def test_a_reload_waits_for_the_database(tmp_path: Path, postgres_url: str) -> None:
    """Nobody has to hang up again: the outage is told as one, and the new account is served when it is over."""
    async with open_daemon_setup(tmp_path, postgres_url) as setup:
        setup.write(setup.account("shop"))
        async with setup.serving():
            await setup.logged("lane.taken")
            setup.write(setup.account("shop"), setup.account("new"))
            async with refusing(postgres_url, LANES):
                os.kill(os.getpid(), signal.SIGHUP)
                (told,) = await setup.logged("store.unavailable", "config.refused", "config.reloaded")
                assert (told["event"], told["waiting"]) == ("store.unavailable", 0)
                assert "shutting down" in str(told["reason"])
            (reloaded,) = await setup.logged("config.reloaded")
            assert reloaded["changed"] == ["accounts.new"]
            (job,) = await setup.until(await setup.submit("new"))
            assert job.state is State.SUCCEEDED
        assert setup.lines("config.refused", "daemon.failed") == []


async def test_a_reload_that_waits_holds_up_no_end(tmp_path: Path, postgres_url: str) -> None:
    """Asked to stop meanwhile, the daemon drains and ends as ever, with what it had."""
    async with open_daemon_setup(tmp_path, postgres_url) as setup:
        setup.write(setup.account("shop"))
        async with setup.serving():
            await setup.logged("lane.taken")
            setup.write(setup.account("shop"), setup.account("new"))
            async with refusing(postgres_url, LANES):
                os.kill(os.getpid(), signal.SIGHUP)
                await setup.logged("store.unavailable")
                os.kill(os.getpid(), signal.SIGTERM)
                (stopped,) = await setup.logged("daemon.stopped")
                assert stopped["clean"] is True
        assert setup.code == 0
        assert setup.lines("config.refused", "config.reloaded", "daemon.failed") == []
