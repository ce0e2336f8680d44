"""SIGHUP: a faulty file changes nothing, some keys need a restart, and repaired credentials are tried."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.support.daemon_in_process import OTHER_TOKEN, DaemonSetup
from tidewaiter.bootstrap import lane_maker
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import State
from tidewaiter.worker.account_pauses import Pauses


@pytest.mark.fault(56)
@pytest.mark.slow
async def test_a_faulty_file_changes_nothing(setup: DaemonSetup) -> None:
    """Every fault is an ERROR with file, key and reason; no value is shown; the old configuration goes on."""
    setup.write(setup.account("shop"), setup.account("other"))
    async with setup.serving():
        (running,) = await setup.submit("shop")
        (setup.folder / "new.secret").write_text("not-yet-known-canary")
        setup.write(
            setup.account("shop").replace("interval_s = 0.1", 'interval_s = "canary"'),
            '[accounts.bad]\nprovider = "symplfy"\n[accounts.bad.settings]\ntoken_file = "new.secret"\n',
            worker="drain_s = -1",
        )
        await setup.reload()
        told = await setup.logged("config.refused", more_than=2)
        assert {line["key"] for line in told} == {
            "worker.drain_s", "accounts.shop.schedule.interval_s", "accounts.bad.provider",
        }  # fmt: skip
        assert {line["level"] for line in told} == {"error"}
        assert {line["file"] for line in told} == {str(setup.path)}
        jobs = await setup.until([running, *await setup.submit("other")])
        assert {job.state for job in jobs} == {State.SUCCEEDED}
        schedule = '[schedules.daily]\naccount = "nobody"\noperation = "statistics"\ncron = "0 6 * * *"\n'
        setup.write(setup.account("shop"), schedule)
        assert (await setup.reload())["key"] == "schedules.daily.account"
        setup.path.write_text("[accounts")
        assert "is not TOML" in str((await setup.reload())["reason"])
        setup.path.unlink()
        assert "cannot be read" in str((await setup.reload())["reason"])
    assert setup.lines("config.reloaded") == []
    assert len(setup.lines("lane.taken")) == 2
    assert "canary" not in setup.output.getvalue()


@pytest.mark.slow
async def test_a_changed_secret_resumes_a_refused_account(setup: DaemonSetup) -> None:
    """After the file of a refused key is repaired, SIGHUP is enough; the key's name is logged, never a key."""
    setup.write(setup.account("shop", token=OTHER_TOKEN), setup.account("other"))
    async with setup.serving():
        numbers = await setup.submit("shop")
        await setup.logged("account.refused")
        setup.emulator.customer = replace(setup.emulator.customer, token="a-third-canary")
        (setup.folder / "shop.token").write_text("a-third-canary\n")
        told = await setup.reload()
        assert told["changed"] == ["accounts.shop.settings.token"]
        assert told["origins"] == [str(setup.folder / "shop.token")]
        (job,) = await setup.until(numbers)
        assert job.state is State.SUCCEEDED
        (line,) = setup.lines("account.resumed")
        assert (line["account"], line["reason"]) == ("shop", "the settings have changed")
    assert "canary" not in setup.output.getvalue()


async def test_what_is_refused_again_stays_paused(setup: DaemonSetup) -> None:
    """Another wrong key is tried once, and pauses the account again; a change of something else ends no pause."""
    setup.write(setup.account("shop", token=OTHER_TOKEN))
    async with setup.serving():
        numbers = await setup.submit("shop")
        await setup.logged("account.refused")
        setup.write(setup.account("shop", interval_s=0.2))
        await setup.reload()
        (setup.folder / "shop.token").write_text("wrong-as-well-canary")
        await setup.reload()
        await setup.logged("account.resumed")
        await setup.asked("create", 2)
        await setup.until(numbers, State.QUEUED)
    assert len(setup.lines("account.resumed")) == 1
    assert setup.emulator.count("create") == 2


@pytest.mark.slow
async def test_what_needs_a_restart_is_kept_and_named(setup: DaemonSetup) -> None:
    """It is told as a WARNING with its keys; everything beside it is swapped, the level of the log included."""
    setup.write(setup.account("shop"))
    async with setup.serving():
        setup.write(setup.account("shop", "shards = 2"), "[retention]\nfinished_days = 1\n[log]\nlevel = 'error'",
                    lease_s=9)  # fmt: skip
        setup.path.write_text(setup.path.read_text().replace('root = "landed"', 'root = "elsewhere"'))
        before = len(setup.lines("config.kept"))
        os.kill(os.getpid(), signal.SIGHUP)
        (kept,) = await setup.logged("config.kept", more_than=before)
        assert kept["keys"] == ["accounts.shop.shards", "storage.root", "worker.lease_s"]
        (job,) = await setup.until(await setup.submit("shop"))
        assert job.state is State.SUCCEEDED
        assert (setup.folder / "landed" / "shop").exists()
        assert not (setup.folder / "elsewhere").exists()
    assert setup.lines("job.finished", "daemon.stopped", "config.reloaded") == []


@pytest.mark.slow
async def test_what_cannot_be_built_changes_nothing(setup: DaemonSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that shows only when lanes are built is found before anything is touched."""
    setup.write(setup.account("shop"))
    async with setup.serving():
        await setup.logged("lane.taken")
        setup.write(setup.account("shop", interval_s=0.2), setup.account("new"))

        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("no such thing")

        with monkeypatch.context() as patched:
            patched.setattr(lane_maker, "Budget", broken)
            told = await setup.reload()
        assert (told["event"], told["reason"]) == ("config.refused", "ZeroDivisionError: no such thing")
        (job,) = await setup.until(await setup.submit("shop"))
        assert job.state is State.SUCCEEDED
        assert (await setup.reload())["changed"] == ["accounts.new", "accounts.shop.schedule.interval_s"]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.slow
async def test_what_fails_all_the_same(setup: DaemonSetup, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The old configuration is put back and the error told; where even that fails the daemon ends, to be restarted."""
    left = [ZeroDivisionError("no such thing")] * times
    apply_settings = Pauses.apply_settings

    async def broken(self: Pauses, settings: Mapping[str, Mapping[str, Json]]) -> None:
        if left:
            raise left.pop()
        await apply_settings(self, settings)

    setup.write(setup.account("shop"))
    async with setup.serving():
        await setup.logged("lane.taken")
        setup.write(setup.account("shop", interval_s=0.2), setup.account("new"))
        monkeypatch.setattr(Pauses, "apply_settings", broken)
        if times == 1:
            assert (await setup.reload())["reason"] == "ZeroDivisionError: no such thing"
            (job,) = await setup.until(await setup.submit("shop"))
            assert job.state is State.SUCCEEDED
            assert len(setup.lines("lane.taken")) == 1
            # The old configuration is in use again: the same file is as new to it as before.
            assert (await setup.reload())["changed"] == ["accounts.new", "accounts.shop.schedule.interval_s"]
        else:
            os.kill(os.getpid(), signal.SIGHUP)
            (line,) = await setup.logged("daemon.failed")
            assert "no such thing" in str(line["reason"])
    assert setup.code == times - 1
    assert [line["account"] for line in setup.lines("lane.given_back")].count("shop") == 1
