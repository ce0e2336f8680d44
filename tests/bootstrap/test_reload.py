"""SIGHUP: changed accounts are replaced, unchanged ones go on, and no work is lost."""

import asyncio
from pathlib import Path

import pytest

from tests.support.daemon_in_process import TOKEN, DaemonSetup, open_daemon_setup
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind, FaultRule, InjectedFault


@pytest.mark.slow
async def test_a_new_account_works(tmp_path: Path, database_url: str) -> None:
    """An account that came with the reload is served at once, on both databases; the other's lane goes on."""
    async with open_daemon_setup(tmp_path, database_url) as setup:
        setup.write(setup.account("shop"))
        async with setup.serving():
            await setup.logged("lane.taken")
            setup.write(setup.account("shop"), setup.account("new"))
            told = await setup.reload()
            assert (told["event"], told["changed"], told["lanes"]) == ("config.reloaded", ["accounts.new"], 0)
            assert told["origins"] == [str(setup.path)]
            (job,) = await setup.until(await setup.submit("new"))
            assert job.state is State.SUCCEEDED
            assert [line["account"] for line in setup.lines("lane.taken")] == ["shop", "new"]
            assert setup.lines("lane.given_back") == []
        assert setup.code == 0
        assert len(setup.lines("lane.given_back")) == 2
        assert len(setup.lines("daemon.started")) == 1


async def test_nothing_has_changed(setup: DaemonSetup) -> None:
    """The same values, however they are written: one line says so, and not even a lane is touched."""
    setup.write(setup.account("shop"))
    async with setup.serving():
        await setup.logged("lane.taken")
        setup.path.write_text(setup.path.read_text() + '\n# the same\n[log]\nlevel = "info"\n')
        told = await setup.reload()
        assert (told["event"], told["changed"], told["lanes"]) == ("config.reloaded", [], 0)
    assert len(setup.lines("lane.taken")) == 1


@pytest.mark.slow
async def test_an_account_that_vanished(setup: DaemonSetup) -> None:
    """Its jobs wait, which is told once with their number; when it is back they go on where they were."""
    setup.write(setup.account("shop"), setup.account("other"))
    setup.emulator.faults.add("status", InjectedFault(FaultKind.NEVER_ENDS), times=None)
    async with setup.serving():
        waiting = await setup.submit("shop", 3)
        await setup.until(waiting, State.POLLING)
        setup.write(setup.account("other"))
        told = await setup.reload()
        assert (told["changed"], told["lanes"]) == (["accounts.shop"], 1)
        (line,) = await setup.logged("account.vanished")
        assert (line["level"], line["account"], line["jobs"]) == ("warning", "shop", 3)
        assert [line["account"] for line in await setup.logged("lane.given_back")] == ["shop"]
        asked = len(setup.emulator.requests)
        setup.emulator.faults.clear()
        (other,) = await setup.until(await setup.submit("other"))
        assert other.state is State.SUCCEEDED
        polls = {request.path_qs for request in setup.emulator.requests[asked:] if request.route == "status"}
        assert len(polls) == 1  # those of the other's job
        setup.write(setup.account("shop"), setup.account("other"))
        await setup.reload()
        assert {job.state for job in await setup.until(waiting)} == {State.SUCCEEDED}
        assert len(setup.lines("account.vanished")) == 1
    assert setup.emulator.count("create") == 4


@pytest.mark.invariant(8)
@pytest.mark.slow
async def test_the_limit_holds_across_reloads(tmp_path: Path, database_url: str) -> None:
    """Lanes that are exchanged while they are busy hand their window on: never one request too many, nor a lost one."""
    requests, period_s = 6, 1.5
    async with open_daemon_setup(tmp_path, database_url) as setup:

        def write(interval_s: float) -> None:
            setup.write(setup.account("shop", interval_s=interval_s), setup.limited("shop", requests, period_s))

        write(0.1)
        setup.emulator.faults.add("status", InjectedFault(FaultKind.NEVER_ENDS), times=None)
        async with setup.serving():
            await setup.submit("shop", 10)
            for number in range(8):
                await setup.asked("status", 3 + 2 * number)
                write(0.11 + number / 100)
                assert (await setup.reload())["lanes"] == 1
            await setup.asked("status", 30)
        assert setup.emulator.busiest_window(period_s) == requests
        times = [asked.at for asked in setup.emulator.requests]
        # A lane that began with a full window, or an empty one, would have lost or overdrawn whole periods.
        assert len(times) >= 0.75 * requests * (times[-1] - times[0]) / period_s
        assert len(setup.lines("lane.taken")) == 1


@pytest.mark.slow
async def test_a_submit_under_way_ends_properly(setup: DaemonSetup) -> None:
    """Its lane comes to rest only when the answer is here: nothing is sent twice, and nothing is in doubt."""
    setup.write(setup.account("shop"))
    setup.emulator.faults.extend([FaultRule("create", 1, InjectedFault(FaultKind.LATENCY, seconds=1.5))])
    async with setup.serving():
        numbers = await setup.submit("shop")
        await setup.asked("create", 1)
        setup.write(setup.account("shop", interval_s=0.15))
        told = await setup.reload()
        assert told["lanes"] == 1
        assert float(str(told["took_s"])) > 1
        (job,) = await setup.until(numbers)
        assert (job.state, job.submits) == (State.SUCCEEDED, 1)
        async with setup.store() as (store, _):
            assert "unknown" not in [entry.outcome for entry in await store.history(job.id)]
    assert setup.emulator.count("create") == 1


@pytest.mark.slow
async def test_a_download_that_is_cut_off_goes_on(setup: DaemonSetup) -> None:
    """One that outlasts ``drain_s`` is resumed by the new lane, uncharged; other accounts go on meanwhile."""
    setup.write(setup.account("shop"), setup.account("other"), worker="drain_s = 0.5")
    setup.files.faults.add("file", InjectedFault(FaultKind.STALL, size=150_000))
    async with setup.serving():
        numbers = await setup.submit("shop")
        await setup.until(numbers, State.FETCHING)
        await setup.comes(lambda: setup.files.count("file") == 1)
        setup.write(setup.account("shop", interval_s=0.2), setup.account("other"), worker="drain_s = 0.5")
        reloading = asyncio.create_task(setup.reload())
        others = await setup.submit("other", export_type="SENT")
        (job,) = await setup.until(numbers)
        assert (await reloading)["lanes"] == 1
        assert (job.state, job.failures, job.crashes) == (State.SUCCEEDED, 0, 0)
        (landed,) = [line for line in setup.lines("file.landed") if line["job"] == job.id]
        assert landed["resumed_from"] == 150_000
        assert (await setup.until(others))[0].state is State.SUCCEEDED
    assert sorted(str(line["account"]) for line in setup.lines("lane.taken")) == ["other", "shop"]


@pytest.mark.slow
async def test_twenty_reloads_under_load(setup: DaemonSetup) -> None:
    """Forty jobs of two accounts, of which one changes twenty times: each ends once, whole, after one submit."""
    more = setup.limited("shop", 500, 1)
    setup.write(setup.account("shop"), more, setup.account("other"))
    setup.emulator.faults.extend([FaultRule("create", 40, InjectedFault(FaultKind.LATENCY, seconds=0.1))])
    async with setup.serving():
        numbers = [*await setup.submit("shop", 20), *await setup.submit("other", 20, "SENT")]
        for number in range(20):
            setup.write(setup.account("shop", interval_s=0.1 + number / 100), more, setup.account("other"))
            assert (await setup.reload())["event"] == "config.reloaded"
        jobs = await setup.until(numbers)
        async with setup.store() as (store, _):
            artifacts = [len(await store.artifacts(number)) for number in numbers]
    assert {(job.state, job.submits) for job in jobs} == {(State.SUCCEEDED, 1)}
    assert artifacts == [1] * 40
    assert setup.emulator.count("create") == 40
    assert setup.files.violations == []
    assert setup.lines("update.dropped", "lane.lost", "job.crashed", "store.unavailable") == []
    assert TOKEN not in setup.output.getvalue()
