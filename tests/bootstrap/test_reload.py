"""SIGHUP: what changes is swapped whole, what does not change goes on, and nothing is lost over it."""

import asyncio
from pathlib import Path

from tests.support.daemon_in_process import TOKEN, Stage, staged
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind, FaultRule, InjectedFault


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


async def test_an_account_that_vanished(stage: Stage) -> None:
    """Its jobs wait, which is told once with their number; when it is back they go on where they were."""
    stage.write(stage.account("shop"), stage.account("other"))
    stage.emulator.faults.add("status", InjectedFault(FaultKind.NEVER_ENDS), times=None)
    async with stage.serving():
        waiting = await stage.submit("shop", 3)
        await stage.until(waiting, State.POLLING)
        stage.write(stage.account("other"))
        told = await stage.reload()
        assert (told["changed"], told["lanes"]) == (["accounts.shop"], 1)
        (line,) = await stage.said("account.vanished")
        assert (line["level"], line["account"], line["jobs"]) == ("warning", "shop", 3)
        assert [line["account"] for line in await stage.said("lane.given_back")] == ["shop"]
        asked = len(stage.emulator.requests)
        stage.emulator.faults.clear()
        (other,) = await stage.until(await stage.submit("other"))
        assert other.state is State.SUCCEEDED
        polls = {request.path_qs for request in stage.emulator.requests[asked:] if request.route == "status"}
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
        stage.emulator.faults.add("status", InjectedFault(FaultKind.NEVER_ENDS), times=None)
        async with stage.serving():
            await stage.submit("shop", 10)
            for number in range(8):
                await stage.asked("status", 3 + 2 * number)
                write(0.11 + number / 100)
                assert (await stage.reload())["lanes"] == 1
            await stage.asked("status", 30)
        assert stage.emulator.busiest_window(period_s) == requests
        times = [asked.at for asked in stage.emulator.requests]
        # A lane that began with a full window, or an empty one, would have lost or overdrawn whole periods.
        assert len(times) >= 0.75 * requests * (times[-1] - times[0]) / period_s
        assert len(stage.lines("lane.taken")) == 1


async def test_a_submit_under_way_ends_properly(stage: Stage) -> None:
    """Its lane comes to rest only when the answer is here: nothing is sent twice, and nothing is in doubt."""
    stage.write(stage.account("shop"))
    stage.emulator.faults.extend([FaultRule("create", 1, InjectedFault(FaultKind.LATENCY, seconds=1.5))])
    async with stage.serving():
        numbers = await stage.submit("shop")
        await stage.asked("create", 1)
        stage.write(stage.account("shop", interval_s=0.15))
        told = await stage.reload()
        assert told["lanes"] == 1
        assert float(str(told["took_s"])) > 1
        (job,) = await stage.until(numbers)
        assert (job.state, job.submits) == (State.SUCCEEDED, 1)
        async with stage.store() as (store, _):
            assert "unknown" not in [entry.outcome for entry in await store.history(job.id)]
    assert stage.emulator.count("create") == 1


async def test_a_download_that_is_cut_off_goes_on(stage: Stage) -> None:
    """One that outlasts ``drain_s`` is resumed by the new lane, uncharged; other accounts go on meanwhile."""
    stage.write(stage.account("shop"), stage.account("other"), worker="drain_s = 0.5")
    stage.files.faults.add("file", InjectedFault(FaultKind.STALL, size=150_000))
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


async def test_twenty_reloads_under_load(stage: Stage) -> None:
    """Forty jobs of two accounts, of which one changes twenty times: each ends once, whole, after one submit."""
    more = stage.limited("shop", 500, 1)
    stage.write(stage.account("shop"), more, stage.account("other"))
    stage.emulator.faults.extend([FaultRule("create", 40, InjectedFault(FaultKind.LATENCY, seconds=0.1))])
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
