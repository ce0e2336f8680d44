"""SIGHUP: what is reloaded beside the lanes, and SIGHUP together with other signals."""

import asyncio
import os
import signal
from importlib import resources

import aiohttp
import pytest

from tests.support.daemon_in_process import DaemonSetup
from tests.support.ports import free_port
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.schedule_store import ScheduleStore
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind, FaultRule, InjectedFault


async def test_signals_in_a_row_are_folded(setup: DaemonSetup) -> None:
    """Ten hang-ups at once are one reload, or two where the first had begun; the last file is the one that counts."""
    setup.write(setup.account("shop"))
    async with setup.serving():
        for number in range(10):
            setup.write(setup.account("shop", interval_s=0.2 + number / 100))
            os.kill(os.getpid(), signal.SIGHUP)
        await setup.logged("config.reloaded")
        assert (await setup.reload())["changed"] == []
        assert len(setup.lines("config.reloaded")) <= 3


@pytest.mark.fault(5)
@pytest.mark.slow
async def test_sigterm_during_a_reload(setup: DaemonSetup) -> None:
    """The reload is given up and the daemon drains as ever: exit 0, lanes given back, nothing in doubt."""
    setup.write(setup.account("shop"), worker="drain_s = 10")
    async with setup.serving():
        await setup.until(await setup.submit("shop"))
        setup.emulator.faults.extend([FaultRule("create", 1, InjectedFault(FaultKind.LATENCY, seconds=3))])
        numbers = await setup.submit("shop")
        await setup.asked("create", 2)
        retention = "[retention]\nfinished_days = 1e-9\n"
        setup.write(setup.account("shop", interval_s=0.2), retention, worker="drain_s = 10")
        os.kill(os.getpid(), signal.SIGHUP)
        await setup.logged("jobs.purged")  # by now the lane is being brought to rest, which takes as long as the submit
        os.kill(os.getpid(), signal.SIGTERM)
        (stopped,) = await setup.logged("daemon.stopped")
        assert stopped["clean"] is True
    assert setup.code == 0
    assert setup.lines("config.reloaded", "config.refused") == []
    assert len(setup.lines("lane.given_back")) == 1
    (job,) = await setup.until(numbers, State.POLLING)
    assert job.submits == 1


@pytest.mark.slow
async def test_a_standby_takes_over_with_the_new_configuration(setup: DaemonSetup) -> None:
    """SIGHUP works while another daemon has the database; the take-over uses what was read last."""
    setup.write(setup.account("shop"))
    first = DaemonSetup(setup.folder, setup.database_url, setup.emulator, setup.files)
    async with first.serving(), setup.serving(until="daemon.waited"):
        setup.write(setup.account("shop"), setup.account("new"))
        assert (await setup.reload())["changed"] == ["accounts.new"]
        first.stop.set()
        (started,) = await setup.logged("daemon.started")
        assert started["accounts"] == 2
        (job,) = await setup.until(await setup.submit("new"))
        assert job.state is State.SUCCEEDED
    assert setup.lines("account.vanished") == []


async def test_without_an_environment_a_hang_up_drains(setup: DaemonSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single run, which nobody reloads, still ends when its terminal is closed."""
    setup.write(setup.account("shop"))
    monkeypatch.setattr(setup, "environ", None)
    async with setup.serving():
        os.kill(os.getpid(), signal.SIGHUP)
        (line,) = await setup.logged("daemon.stopping")
        assert line["signal"] == "SIGHUP"
        await setup.logged("daemon.stopped")
    assert setup.code == 0


@pytest.mark.slow
async def test_tokens_of_the_listener(setup: DaemonSetup) -> None:
    """A token that came with the reload opens the door, one that went does not any more; the listener stays up."""
    port = free_port()
    http = f'[http]\nlisten = "127.0.0.1:{port}"\n[tokens.NAME]\nrole = "admin"\ntoken_file = "NAME.bearer"\n'
    for name in ("first", "second"):
        (setup.folder / f"{name}.bearer").write_text(f"canary-{name}-0123456789abcdef")

    async def status(name: str) -> int:
        headers = {"Authorization": f"Bearer canary-{name}-0123456789abcdef"}
        url = f"http://127.0.0.1:{port}/nothing"
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as reply:
            return reply.status

    setup.write(setup.account("shop"), http.replace("NAME", "first"))
    async with setup.serving():
        assert [await status("first"), await status("second")] == [404, 401]
        setup.write(setup.account("shop"), http.replace("NAME", "second"))
        told = await setup.reload()
        assert (told["changed"], told["lanes"]) == (["tokens.first", "tokens.second"], 0)
        assert [await status("first"), await status("second")] == [401, 404]
        # An address that stays must not lose its guard: what is kept is checked together with what is new.
        setup.write(setup.account("shop"), f'[http]\nlisten = "0.0.0.0:{port}"\n[tokens]\n')
        assert (await setup.reload())["key"] == "http.listen"
        assert [await status("first"), await status("second")] == [401, 404]
    assert "canary" not in setup.output.getvalue()


@pytest.mark.slow
async def test_schedules_and_retention(setup: DaemonSetup) -> None:
    """A new schedule begins, one that has gone asks for nothing, and a shorter retention deletes at once."""
    schedule = '[schedules.NAME]\naccount = "shop"\noperation = "statistics"\ncron = "0 6 * * *"\n'
    schedule += 'params = { export_type = "OPENS" }\n'
    setup.write(setup.account("shop"), schedule.replace("NAME", "daily"))
    async with setup.serving():
        await setup.until(await setup.submit("shop"))
        setup.write(setup.account("shop"), schedule.replace("NAME", "nightly"), "[retention]\nfinished_days = 1e-9\n")
        told = await setup.reload()
        assert told["changed"] == ["retention.finished_days", "schedules.daily", "schedules.nightly"]
        assert told["lanes"] == 0
        (line,) = await setup.logged("jobs.purged")
        assert line["jobs"] == 1
        database = Database.open(setup.database_url, SystemClock())
        async with asyncio.timeout(20):
            while "nightly" not in await ScheduleStore(database).progress():  # noqa: ASYNC110  # a row has no event
                await asyncio.sleep(0.01)
        await database.close()


@pytest.mark.slow
async def test_a_spec_that_changed(setup: DaemonSetup) -> None:
    """The operator's own specs are read anew too: what uses one that changed begins anew, by its new rules."""
    catalog = (resources.files("tidewaiter.providers") / "catalog" / "symplify.toml").read_text("utf-8")
    own = catalog.replace('name = "symplify"', 'name = "own"', 1)
    (setup.folder / "specs").mkdir()
    (setup.folder / "specs" / "own.toml").write_text(own)
    providers = '[providers]\nfolders = ["specs"]\n'
    setup.write(setup.account("shop").replace('"symplify"', '"own"'), setup.account("other"), providers)
    async with setup.serving():
        await setup.logged("lane.taken", more_than=1)
        (setup.folder / "specs" / "own.toml").write_text(own.replace("Symplify statistics export", "Our own"))
        told = await setup.reload()
        assert (told["changed"], told["specs"], told["lanes"]) == ([], ["own"], 1)


async def test_a_public_address_of_the_page(setup: DaemonSetup) -> None:
    """Pages go by the new configuration: its accounts, and cookies for https only once that is the way."""
    port = free_port()
    (setup.folder / "one.bearer").write_text("canary-one-0123456789abcdef")
    token = '[tokens.one]\nrole = "admin"\ntoken_file = "one.bearer"\n'
    http = f'[http]\nlisten = "127.0.0.1:{port}"\n'

    async def seen() -> tuple[bool, set[str]]:
        jar, site = aiohttp.DummyCookieJar(), f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession(cookie_jar=jar, headers={"Accept": "text/html"}) as session:
            form = {"token": "canary-one-0123456789abcdef"}
            async with session.post(f"{site}/login", data=form, allow_redirects=False) as reply:
                assert reply.status == 303
                cookie = reply.cookies["tidewaiter_session"]
            bearer = {"Authorization": "Bearer canary-one-0123456789abcdef"}
            async with session.get(f"{site}/accounts", headers=bearer) as reply:
                listed = await reply.text()
        return bool(cookie["secure"]), {name for name in ("shop", "fresh") if name in listed}

    setup.write(setup.account("shop"), http, token)
    async with setup.serving():
        assert await seen() == (False, {"shop"})
        setup.write(setup.account("fresh"), f'{http}public_url = "https://tide.example"\n', token)
        told = await setup.reload()
        assert told["changed"] == ["accounts.fresh", "accounts.shop", "http.public_url"]
        assert await seen() == (True, {"fresh"})
