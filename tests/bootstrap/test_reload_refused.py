"""SIGHUP: what is faulty changes nothing, what needs a restart is kept, and credentials that are mended are tried."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.support.daemon_in_process import OTHER_TOKEN, Stage
from tidewaiter.bootstrap import lane_maker
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import State
from tidewaiter.worker.pauses import Pauses


async def test_a_faulty_file_changes_nothing(stage: Stage) -> None:
    """Every fault is an ERROR with file, key and reason; no value is shown; the old configuration goes on."""
    stage.write(stage.account("shop"), stage.account("other"))
    async with stage.serving():
        (running,) = await stage.submit("shop")
        (stage.folder / "new.secret").write_text("not-yet-known-canary")
        stage.write(
            stage.account("shop").replace("interval_s = 0.1", 'interval_s = "canary"'),
            '[accounts.bad]\nprovider = "symplfy"\n[accounts.bad.settings]\ntoken_file = "new.secret"\n',
            worker="drain_s = -1",
        )
        await stage.reload()
        told = await stage.said("config.refused", more_than=2)
        assert {line["key"] for line in told} == {
            "worker.drain_s", "accounts.shop.schedule.interval_s", "accounts.bad.provider",
        }  # fmt: skip
        assert {line["level"] for line in told} == {"error"}
        assert {line["file"] for line in told} == {str(stage.path)}
        jobs = await stage.until([running, *await stage.submit("other")])
        assert {job.state for job in jobs} == {State.SUCCEEDED}
        schedule = '[schedules.daily]\naccount = "nobody"\noperation = "statistics"\ncron = "0 6 * * *"\n'
        stage.write(stage.account("shop"), schedule)
        assert (await stage.reload())["key"] == "schedules.daily.account"
        stage.path.write_text("[accounts")
        assert "is not TOML" in str((await stage.reload())["reason"])
        stage.path.unlink()
        assert "cannot be read" in str((await stage.reload())["reason"])
    assert stage.lines("config.reloaded") == []
    assert len(stage.lines("lane.taken")) == 2
    assert "canary" not in stage.output.getvalue()


async def test_a_changed_secret_resumes_a_refused_account(stage: Stage) -> None:
    """Who mends the file of a refused key needs nothing but SIGHUP; the key's name is logged, no key ever."""
    stage.write(stage.account("shop", token=OTHER_TOKEN), stage.account("other"))
    async with stage.serving():
        numbers = await stage.submit("shop")
        await stage.said("account.refused")
        stage.emulator.customer = replace(stage.emulator.customer, token="a-third-canary")
        (stage.folder / "shop.token").write_text("a-third-canary\n")
        told = await stage.reload()
        assert told["changed"] == ["accounts.shop.settings.token"]
        assert told["origins"] == [str(stage.folder / "shop.token")]
        (job,) = await stage.until(numbers)
        assert job.state is State.SUCCEEDED
        (line,) = stage.lines("account.resumed")
        assert (line["account"], line["reason"]) == ("shop", "the settings have changed")
    assert "canary" not in stage.output.getvalue()


async def test_what_is_refused_again_stays_paused(stage: Stage) -> None:
    """Another wrong key is tried once, and pauses the account again; a change of something else ends no pause."""
    stage.write(stage.account("shop", token=OTHER_TOKEN))
    async with stage.serving():
        numbers = await stage.submit("shop")
        await stage.said("account.refused")
        stage.write(stage.account("shop", interval_s=0.2))
        await stage.reload()
        (stage.folder / "shop.token").write_text("wrong-as-well-canary")
        await stage.reload()
        await stage.said("account.resumed")
        await stage.asked("create", 2)
        await stage.until(numbers, State.QUEUED)
    assert len(stage.lines("account.resumed")) == 1
    assert stage.emulator.count("create") == 2


async def test_what_needs_a_restart_is_kept_and_named(stage: Stage) -> None:
    """It is told as a WARNING with its keys; everything beside it is swapped, the level of the log included."""
    stage.write(stage.account("shop"))
    async with stage.serving():
        stage.write(stage.account("shop", "shards = 2"), "[retention]\nfinished_days = 1\n[log]\nlevel = 'error'",
                    lease_s=9)  # fmt: skip
        stage.path.write_text(stage.path.read_text().replace('root = "landed"', 'root = "elsewhere"'))
        before = len(stage.lines("config.kept"))
        os.kill(os.getpid(), signal.SIGHUP)
        (kept,) = await stage.said("config.kept", more_than=before)
        assert kept["keys"] == ["accounts.shop.shards", "storage.root", "worker.lease_s"]
        (job,) = await stage.until(await stage.submit("shop"))
        assert job.state is State.SUCCEEDED
        assert (stage.folder / "landed" / "shop").exists()
        assert not (stage.folder / "elsewhere").exists()
    assert stage.lines("job.finished", "daemon.stopped", "config.reloaded") == []


async def test_what_cannot_be_built_changes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that shows only when lanes are built is found before anything is touched."""
    stage.write(stage.account("shop"))
    async with stage.serving():
        await stage.said("lane.taken")
        stage.write(stage.account("shop", interval_s=0.2), stage.account("new"))

        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("no such thing")

        with monkeypatch.context() as patched:
            patched.setattr(lane_maker, "Budget", broken)
            told = await stage.reload()
        assert (told["event"], told["reason"]) == ("config.refused", "ZeroDivisionError: no such thing")
        (job,) = await stage.until(await stage.submit("shop"))
        assert job.state is State.SUCCEEDED
        assert (await stage.reload())["changed"] == ["accounts.new", "accounts.shop.schedule.interval_s"]


@pytest.mark.parametrize("times", [1, 2])
async def test_what_fails_all_the_same(stage: Stage, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The old configuration is put back and the error told; where even that fails the daemon ends, to be restarted."""
    left = [ZeroDivisionError("no such thing")] * times
    apply_settings = Pauses.apply_settings

    async def broken(self: Pauses, settings: Mapping[str, Mapping[str, Json]]) -> None:
        if left:
            raise left.pop()
        await apply_settings(self, settings)

    stage.write(stage.account("shop"))
    async with stage.serving():
        await stage.said("lane.taken")
        stage.write(stage.account("shop", interval_s=0.2), stage.account("new"))
        monkeypatch.setattr(Pauses, "apply_settings", broken)
        if times == 1:
            assert (await stage.reload())["reason"] == "ZeroDivisionError: no such thing"
            (job,) = await stage.until(await stage.submit("shop"))
            assert job.state is State.SUCCEEDED
            assert len(stage.lines("lane.taken")) == 1
        else:
            os.kill(os.getpid(), signal.SIGHUP)
            (line,) = await stage.said("daemon.failed")
            assert "no such thing" in str(line["reason"])
    assert stage.code == times - 1
    assert len(stage.lines("lane.given_back")) == 1
