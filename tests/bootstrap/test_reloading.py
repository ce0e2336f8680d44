"""SIGHUP: what changes is swapped whole, what does not change goes on, and what is faulty changes nothing."""

import asyncio
import os
import signal
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import aiohttp
import pytest

from app.bootstrap import lanes
from app.clock import SystemClock
from app.domain.job import State
from app.domain.jsonvalue import Json
from app.emulators.faults import Fault, FaultKind, FaultRule
from app.store.engine import Database
from app.store.schedules import ScheduleStore
from app.worker.pauses import Pauses
from tests.bootstrap.stage import OTHER_TOKEN, TOKEN, Stage, staged
from tests.web.test_daemon import free_port


async def test_a_new_account_works(tmp_path: Path, database_url: str) -> None:
    """An account that came with the reload is served at once, on both databases; the other's lane goes on."""
    async with staged(tmp_path, database_url) as stage:
        stage.write(stage.account("shop"))
        async with stage.serving():
            await stage.said("lane.taken")
            stage.write(stage.account("shop"), stage.account("new"))
            told = await stage.reload()
            assert (told["event"], told["changed"], told["lanes"]) == ("config.reloaded", ["accounts.new"], 0)
            assert told["origins"] == [str(stage.path)]
            (job,) = await stage.until(await stage.submit("new"))
            assert job.state is State.SUCCEEDED
            assert [line["account"] for line in stage.lines("lane.taken")] == ["shop", "new"]
            assert stage.lines("lane.given_back") == []
        assert stage.code == 0
        assert len(stage.lines("lane.given_back")) == 2
        assert len(stage.lines("daemon.started")) == 1


async def test_nothing_has_changed(stage: Stage) -> None:
    """The same values, however they are written: one line says so, and not even a lane is touched."""
    stage.write(stage.account("shop"))
    async with stage.serving():
        await stage.said("lane.taken")
        stage.path.write_text(stage.path.read_text() + '\n# the same\n[log]\nlevel = "info"\n')
        told = await stage.reload()
        assert (told["event"], told["changed"], told["lanes"]) == ("config.reloaded", [], 0)
    assert len(stage.lines("lane.taken")) == 1


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


async def test_an_account_that_vanished(stage: Stage) -> None:
    """Its jobs wait, which is told once with their number; when it is back they go on where they were."""
    stage.write(stage.account("shop"), stage.account("other"))
    stage.emulator.faults.add("status", Fault(FaultKind.NEVER_ENDS), times=None)
    async with stage.serving():
        waiting = await stage.submit("shop", 3)
        await stage.until(waiting, State.POLLING)
        stage.write(stage.account("other"))
        told = await stage.reload()
        assert (told["changed"], told["lanes"]) == (["accounts.shop"], 1)
        (line,) = await stage.said("account.vanished")
        assert (line["level"], line["account"], line["jobs"]) == ("warning", "shop", 3)
        assert [line["account"] for line in await stage.said("lane.given_back")] == ["shop"]
        asked = len(stage.emulator.asked)
        stage.emulator.faults.clear()
        (other,) = await stage.until(await stage.submit("other"))
        assert other.state is State.SUCCEEDED
        polls = {request.path_qs for request in stage.emulator.asked[asked:] if request.route == "status"}
        assert len(polls) == 1  # those of the other's job
        stage.write(stage.account("shop"), stage.account("other"))
        await stage.reload()
        assert {job.state for job in await stage.until(waiting)} == {State.SUCCEEDED}
        assert len(stage.lines("account.vanished")) == 1
    assert stage.emulator.count("create") == 4


async def test_the_limit_holds_across_reloads(tmp_path: Path, database_url: str) -> None:
    """Lanes that are exchanged while they are busy hand their window on: never one request too many, nor a lost one."""
    requests, period_s = 6, 1.5
    async with staged(tmp_path, database_url) as stage:

        def write(interval_s: float) -> None:
            stage.write(stage.account("shop", interval_s=interval_s), stage.limited("shop", requests, period_s))

        write(0.1)
        stage.emulator.faults.add("status", Fault(FaultKind.NEVER_ENDS), times=None)
        async with stage.serving():
            await stage.submit("shop", 10)
            for number in range(8):
                await stage.asked("status", 3 + 2 * number)
                write(0.11 + number / 100)
                assert (await stage.reload())["lanes"] == 1
            await stage.asked("status", 30)
        assert stage.emulator.busiest_window(period_s) == requests
        times = [asked.at for asked in stage.emulator.asked]
        # A lane that began with a full window, or an empty one, would have lost or overdrawn whole periods.
        assert len(times) >= 0.9 * requests * (times[-1] - times[0]) / period_s
        assert len(stage.lines("lane.taken")) == 1


async def test_a_submit_under_way_ends_properly(stage: Stage) -> None:
    """Its lane comes to rest only when the answer is here: nothing is sent twice, and nothing is in doubt."""
    stage.write(stage.account("shop"))
    stage.emulator.faults.extend([FaultRule("create", 1, Fault(FaultKind.LATENCY, seconds=0.6))])
    async with stage.serving():
        numbers = await stage.submit("shop")
        await stage.asked("create", 1)
        stage.write(stage.account("shop", interval_s=0.15))
        told = await stage.reload()
        assert told["lanes"] == 1
        assert float(str(told["took_s"])) > 0.3
        (job,) = await stage.until(numbers)
        assert (job.state, job.submits) == (State.SUCCEEDED, 1)
        async with stage.store() as (store, _):
            assert "unknown" not in [entry.outcome for entry in await store.history(job.id)]
    assert stage.emulator.count("create") == 1


async def test_a_download_that_is_cut_off_goes_on(stage: Stage) -> None:
    """One that outlasts ``drain_s`` is resumed by the new lane, uncharged; other accounts go on meanwhile."""
    stage.write(stage.account("shop"), stage.account("other"), worker="drain_s = 0.5")
    stage.files.faults.add("file", Fault(FaultKind.STALL, size=150_000))
    async with stage.serving():
        numbers = await stage.submit("shop")
        await stage.until(numbers, State.FETCHING)
        await stage.comes(lambda: stage.files.count("file") == 1)
        stage.write(stage.account("shop", interval_s=0.2), stage.account("other"), worker="drain_s = 0.5")
        reloading = asyncio.create_task(stage.reload())
        others = await stage.submit("other", export_type="SENT")
        (job,) = await stage.until(numbers)
        assert (await reloading)["lanes"] == 1
        assert (job.state, job.failures, job.crashes) == (State.SUCCEEDED, 0, 0)
        (landed,) = [line for line in stage.lines("file.landed") if line["job"] == job.id]
        assert landed["resumed_from"] == 150_000
        assert (await stage.until(others))[0].state is State.SUCCEEDED
    assert sorted(str(line["account"]) for line in stage.lines("lane.taken")) == ["other", "shop"]


async def test_a_changed_secret_resumes_a_refused_account(stage: Stage) -> None:
    """Who mends the file of a refused key needs nothing but SIGHUP; the key's name is logged, no key ever."""
    stage.write(stage.account("shop", token=OTHER_TOKEN), stage.account("other"))
    async with stage.serving():
        numbers = await stage.submit("shop")
        await stage.said("account.refused")
        stage.emulator.token = "a-third-canary"
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


async def test_signals_in_a_row_are_folded(stage: Stage) -> None:
    """Ten hang-ups at once are one reload, or two where the first had begun; the last file is the one that counts."""
    stage.write(stage.account("shop"))
    async with stage.serving():
        for number in range(10):
            stage.write(stage.account("shop", interval_s=0.2 + number / 100))
            os.kill(os.getpid(), signal.SIGHUP)
        await stage.said("config.reloaded")
        assert (await stage.reload())["changed"] == []
        assert len(stage.lines("config.reloaded")) <= 3


async def test_sigterm_during_a_reload(stage: Stage) -> None:
    """The reload is given up and the daemon drains as ever: exit 0, lanes given back, nothing in doubt."""
    stage.write(stage.account("shop"), worker="drain_s = 10")
    stage.emulator.faults.extend([FaultRule("create", 1, Fault(FaultKind.LATENCY, seconds=1.0))])
    async with stage.serving():
        numbers = await stage.submit("shop")
        await stage.asked("create", 1)
        stage.write(stage.account("shop", interval_s=0.2), worker="drain_s = 10")
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.4)  # until the lane is being brought to rest, which takes as long as the submit
        os.kill(os.getpid(), signal.SIGTERM)
        (stopped,) = await stage.said("daemon.stopped")
        assert stopped["clean"] is True
    assert stage.code == 0
    assert stage.lines("config.reloaded", "config.refused") == []
    assert len(stage.lines("lane.given_back")) == 1
    (job,) = await stage.until(numbers, State.POLLING)
    assert job.submits == 1


async def test_a_standby_takes_over_with_the_new_configuration(stage: Stage) -> None:
    """SIGHUP is heeded while another daemon has the database; what counts at the take-over is what was read last."""
    stage.write(stage.account("shop"))
    first = Stage(stage.folder, stage.database_url, stage.emulator, stage.files)
    async with first.serving(), stage.serving(until="daemon.waited"):
        stage.write(stage.account("shop"), stage.account("new"))
        assert (await stage.reload())["changed"] == ["accounts.new"]
        first.stop.set()
        (started,) = await stage.said("daemon.started")
        assert started["accounts"] == 2
        (job,) = await stage.until(await stage.submit("new"))
        assert job.state is State.SUCCEEDED
    assert stage.lines("account.vanished") == []


async def test_twenty_reloads_under_load(stage: Stage) -> None:
    """Forty jobs of two accounts, of which one changes twenty times: each ends once, whole, after one submit."""
    more = stage.limited("shop", 500, 1)
    stage.write(stage.account("shop"), more, stage.account("other"))
    stage.emulator.faults.extend([FaultRule("create", 40, Fault(FaultKind.LATENCY, seconds=0.1))])
    async with stage.serving():
        numbers = [*await stage.submit("shop", 20), *await stage.submit("other", 20, "SENT")]
        for number in range(20):
            stage.write(stage.account("shop", interval_s=0.1 + number / 100), more, stage.account("other"))
            assert (await stage.reload())["event"] == "config.reloaded"
        jobs = await stage.until(numbers)
        async with stage.store() as (store, _):
            artifacts = [len(await store.artifacts(number)) for number in numbers]
    assert {(job.state, job.submits) for job in jobs} == {(State.SUCCEEDED, 1)}
    assert artifacts == [1] * 40
    assert stage.emulator.count("create") == 40
    assert stage.files.violations == []
    assert stage.lines("update.dropped", "lane.lost", "job.crashed", "store.unavailable") == []
    assert TOKEN not in stage.output.getvalue()


async def test_without_an_environment_a_hang_up_drains(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single run, which nobody reloads, still ends when its terminal is closed."""
    stage.write(stage.account("shop"))
    monkeypatch.setattr(stage, "environ", None)
    async with stage.serving():
        os.kill(os.getpid(), signal.SIGHUP)
        (line,) = await stage.said("daemon.stopping")
        assert line["signal"] == "SIGHUP"
        await stage.said("daemon.stopped")
    assert stage.code == 0


async def test_tokens_of_the_listener(stage: Stage) -> None:
    """A token that came with the reload opens the door, one that went does not any more; the listener stays up."""
    port = free_port()
    http = f'[http]\nlisten = "127.0.0.1:{port}"\n[tokens.NAME]\nrole = "admin"\ntoken_file = "NAME.bearer"\n'
    for name in ("first", "second"):
        (stage.folder / f"{name}.bearer").write_text(f"canary-{name}-0123456789abcdef")

    async def status(name: str) -> int:
        headers = {"Authorization": f"Bearer canary-{name}-0123456789abcdef"}
        url = f"http://127.0.0.1:{port}/nothing"
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as reply:
            return reply.status

    stage.write(stage.account("shop"), http.replace("NAME", "first"))
    async with stage.serving():
        assert [await status("first"), await status("second")] == [404, 401]
        stage.write(stage.account("shop"), http.replace("NAME", "second"))
        told = await stage.reload()
        assert (told["changed"], told["lanes"]) == (["tokens.first", "tokens.second"], 0)
        assert [await status("first"), await status("second")] == [401, 404]
        # An address that stays must not lose its guard: what is kept is checked together with what is new.
        stage.write(stage.account("shop"), f'[http]\nlisten = "0.0.0.0:{port}"\n[tokens]\n')
        assert (await stage.reload())["key"] == "http.listen"
        assert [await status("first"), await status("second")] == [401, 404]
    assert "canary" not in stage.output.getvalue()


async def test_schedules_and_retention(stage: Stage) -> None:
    """A new schedule begins, one that has gone asks for nothing, and a shorter retention deletes at once."""
    schedule = '[schedules.NAME]\naccount = "shop"\noperation = "statistics"\ncron = "0 6 * * *"\n'
    schedule += 'params = { export_type = "OPENS" }\n'
    stage.write(stage.account("shop"), schedule.replace("NAME", "daily"))
    async with stage.serving():
        await stage.until(await stage.submit("shop"))
        stage.write(stage.account("shop"), schedule.replace("NAME", "nightly"), "[retention]\nfinished_days = 1e-9\n")
        told = await stage.reload()
        assert told["changed"] == ["retention.finished_days", "schedules.daily", "schedules.nightly"]
        assert told["lanes"] == 0
        (line,) = await stage.said("jobs.purged")
        assert line["jobs"] == 1
        database = Database.open(stage.database_url, SystemClock())
        async with asyncio.timeout(20):
            while "nightly" not in await ScheduleStore(database).ticked():  # noqa: ASYNC110  # a row has no event
                await asyncio.sleep(0.01)
        await database.close()


async def test_a_spec_that_changed(stage: Stage) -> None:
    """The operator's own specs are read anew too: what uses one that changed begins anew, by its new rules."""
    catalog = (resources.files("app.providers") / "catalog" / "symplify.toml").read_text("utf-8")
    own = catalog.replace('name = "symplify"', 'name = "own"', 1)
    (stage.folder / "specs").mkdir()
    (stage.folder / "specs" / "own.toml").write_text(own)
    providers = '[providers]\nfolders = ["specs"]\n'
    stage.write(stage.account("shop").replace('"symplify"', '"own"'), stage.account("other"), providers)
    async with stage.serving():
        await stage.said("lane.taken", more_than=1)
        (stage.folder / "specs" / "own.toml").write_text(own.replace("Symplify statistics export", "Our own"))
        told = await stage.reload()
        assert (told["changed"], told["specs"], told["lanes"]) == ([], ["own"], 1)
        (stage.folder / "specs" / "own.toml").write_text(own.replace("[operations.statistics]", "[operations]"))
        assert str((await stage.reload())["file"]).endswith("own.toml")
        (job,) = await stage.until(await stage.submit("shop"))
        assert job.state is State.SUCCEEDED


async def test_what_cannot_be_built_changes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that shows only when lanes are built is found before anything is touched."""
    stage.write(stage.account("shop"))
    async with stage.serving():
        await stage.said("lane.taken")
        stage.write(stage.account("shop", interval_s=0.2), stage.account("new"))

        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("no such thing")

        with monkeypatch.context() as patched:
            patched.setattr(lanes, "Budget", broken)
            told = await stage.reload()
        assert (told["event"], told["reason"]) == ("config.refused", "ZeroDivisionError: no such thing")
        (job,) = await stage.until(await stage.submit("shop"))
        assert job.state is State.SUCCEEDED
        assert (await stage.reload())["changed"] == ["accounts.new", "accounts.shop.schedule.interval_s"]


@pytest.mark.parametrize("times", [1, 2])
async def test_what_fails_all_the_same(stage: Stage, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The old configuration is put back and the error told; where even that fails the daemon ends, to be restarted."""
    left = [ZeroDivisionError("no such thing")] * times
    adopt = Pauses.adopt

    async def broken(self: Pauses, settings: Mapping[str, Mapping[str, Json]]) -> None:
        if left:
            raise left.pop()
        await adopt(self, settings)

    stage.write(stage.account("shop"))
    async with stage.serving():
        await stage.said("lane.taken")
        stage.write(stage.account("shop", interval_s=0.2), stage.account("new"))
        monkeypatch.setattr(Pauses, "adopt", broken)
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
