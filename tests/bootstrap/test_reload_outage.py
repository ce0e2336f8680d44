"""SIGHUP while the database is away: an outage is no fault of the file, and delays the reload."""

import os
import signal
from pathlib import Path

from tests.support.daemon_in_process import staged
from tests.support.postgres import refusing
from tidewaiter.domain.job import State

LANES = "BEFORE INSERT ON lanes FOR EACH STATEMENT"


async def test_a_reload_waits_for_the_database(tmp_path: Path, postgres_url: str) -> None:
    """Nobody has to hang up again: the outage is told as one, and the new account is served when it is over."""
    async with staged(tmp_path, postgres_url) as stage:
        stage.write(stage.account("shop"))
        async with stage.serving():
            await stage.said("lane.taken")
            stage.write(stage.account("shop"), stage.account("new"))
            async with refusing(postgres_url, LANES):
                os.kill(os.getpid(), signal.SIGHUP)
                (told,) = await stage.said("store.unavailable", "config.refused", "config.reloaded")
                assert (told["event"], told["waiting"]) == ("store.unavailable", 0)
                assert "shutting down" in str(told["reason"])
            (reloaded,) = await stage.said("config.reloaded")
            assert reloaded["changed"] == ["accounts.new"]
            (job,) = await stage.until(await stage.submit("new"))
            assert job.state is State.SUCCEEDED
        assert stage.lines("config.refused", "daemon.failed") == []


async def test_a_reload_that_waits_holds_up_no_end(tmp_path: Path, postgres_url: str) -> None:
    """Asked to stop meanwhile, the daemon drains and ends as ever, with what it had."""
    async with staged(tmp_path, postgres_url) as stage:
        stage.write(stage.account("shop"))
        async with stage.serving():
            await stage.said("lane.taken")
            stage.write(stage.account("shop"), stage.account("new"))
            async with refusing(postgres_url, LANES):
                os.kill(os.getpid(), signal.SIGHUP)
                await stage.said("store.unavailable")
                os.kill(os.getpid(), signal.SIGTERM)
                (stopped,) = await stage.said("daemon.stopped")
                assert stopped["clean"] is True
        assert stage.code == 0
        assert stage.lines("config.refused", "config.reloaded", "daemon.failed") == []
