"""SIGHUP: what is reloaded beside the lanes, and how the signal gets along with others."""

import asyncio
import os
import signal
from importlib import resources

import aiohttp
import pytest

from tests.support.daemon_in_process import Stage
from tests.support.ports import free_port
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.schedule_store import ScheduleStore
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind, FaultRule, InjectedFault


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
    async with stage.serving():
        await stage.until(await stage.submit("shop"))
        stage.emulator.faults.extend([FaultRule("create", 1, InjectedFault(FaultKind.LATENCY, seconds=3))])
        numbers = await stage.submit("shop")
        await stage.asked("create", 2)
        retention = "[retention]\nfinished_days = 1e-9\n"
        stage.write(stage.account("shop", interval_s=0.2), retention, worker="drain_s = 10")
        os.kill(os.getpid(), signal.SIGHUP)
        await stage.said("jobs.purged")  # by now the lane is being brought to rest, which takes as long as the submit
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
            while "nightly" not in await ScheduleStore(database).progress():  # noqa: ASYNC110  # a row has no event
                await asyncio.sleep(0.01)
        await database.close()


async def test_a_spec_that_changed(stage: Stage) -> None:
    """The operator's own specs are read anew too: what uses one that changed begins anew, by its new rules."""
    catalog = (resources.files("tidewaiter.providers") / "catalog" / "symplify.toml").read_text("utf-8")
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


async def test_a_public_address_of_the_page(stage: Stage) -> None:
    """Pages go by the new configuration: its accounts, and cookies for https only once that is the way."""
    port = free_port()
    (stage.folder / "one.bearer").write_text("canary-one-0123456789abcdef")
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

    stage.write(stage.account("shop"), http, token)
    async with stage.serving():
        assert await seen() == (False, {"shop"})
        stage.write(stage.account("fresh"), f'{http}public_url = "https://tide.example"\n', token)
        told = await stage.reload()
        assert told["changed"] == ["accounts.fresh", "accounts.shop", "http.public_url"]
        assert await seen() == (True, {"fresh"})
