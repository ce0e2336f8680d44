"""Signing in, in whole steps and whole daemons: what a login means for the job that waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.domain import outcome as o
from app.domain.job import Job, State
from app.domain.machine import Update
from app.domain.schedule import Limits
from app.log import configure
from app.storage.local import LocalStorage
from app.storage.threads import StorageThreads
from app.store.accounts import AccountStore
from app.store.engine import Database
from app.store.jobs import JobStore
from app.transport.aiohttp_wire import AiohttpWire
from app.transport.budget import Budget
from app.transport.client import AccountClient, ClientSettings
from app.worker.fetch import Fetcher
from app.worker.hold import Hold
from app.worker.narrator import Narrator
from app.worker.pauses import Pauses
from app.worker.recorder import Verdict
from app.worker.session import SignedClient
from app.worker.steps import Stepper
from app.worker.visit import Visit
from tests.providers.samples import job_with, provider_of
from tests.store.scene import StandingClock
from tests.worker.shop import Answer, config_for, daemon_for, shop_with
from tests.worker.signing import Api, spec_with

LEASE_S = 60.0


async def _taken(update: Update) -> Verdict:
    return Verdict.ACCEPTED


class Workshop:
    """A stepper with everything that it stands on, and an API whose logins take as long as a test wants."""

    def __init__(self, api: Api, stepper: Stepper, visit: Visit, clock: StandingClock) -> None:
        self.api = api
        self.stepper = stepper
        self.visit = visit
        self.clock = clock


@asynccontextmanager
async def workshop(database: Database, folder: Path, job: Job) -> AsyncIterator[Workshop]:
    """A step that is about to be taken for a job."""
    api, clock, log = Api(), StandingClock(), configure("json", "error", [], strict=True)
    jobs = JobStore(database)
    with StorageThreads() as threads:
        async with TestServer(api.application(), host="127.0.0.1") as server, AiohttpWire() as wire:
            settings = {"server": str(server.make_url("")), "password": "canary-password"}
            account = provider_of(spec_with()).bind("shop", settings)
            budget = Budget(clock, Random(1), Limits())
            client = AccountClient(
                wire,
                ClientSettings(account.origin, True, 65_536),
                account.credentials,
                budget,
            )
            signed = SignedClient(
                client, account.session, budget=budget, clock=clock, rand=Random(1), log=log, lane=1, account="shop"
            )
            stepper = Stepper(
                Fetcher(LocalStorage(folder, threads), jobs, clock, Narrator(log, clock, jobs), rand=Random(1)),
                jobs,
                clock=clock,
                rand=Random(1),
                log=log,
                pauses=Pauses(AccountStore(database), {"shop": settings}, Random(1), log),
                clean=log.redactor.clean,
            )
            hold = Hold(1, 1, clock, LEASE_S)
            due = replace(job, created_at=clock.now(), deadline_at=clock.now() + 3600)
            yield Workshop(api, stepper, Visit(due, account.operations["report"], signed, budget, hold, _taken), clock)
    log.close()


def queued() -> Job:
    """A job that has not been submitted."""
    return replace(job_with(None, intent=None), state=State.QUEUED)


async def test_a_lease_that_ends_during_a_login(database: Database, tmp_path: Path) -> None:
    """The submit does not leave: by now the lane may be another daemon's, and the job with it."""
    async with workshop(database, tmp_path, queued()) as shop:
        shop.api.on_login = lambda: setattr(shop.clock, "at", shop.clock.at + LEASE_S + 1)
        outcome = await shop.stepper.take(shop.visit)
    assert outcome == o.Unsent("the lane's lease ran out before the request was sent")
    assert [what for what, _ in shop.api.asked] == ["login"]
    assert not shop.visit.sent


async def test_a_submit_that_is_stopped_during_its_login(database: Database, tmp_path: Path) -> None:
    """It surely was not sent, so nothing has to be reconciled and nobody is asked."""
    async with workshop(database, tmp_path, queued()) as shop:
        shop.api.let_in.clear()
        step = asyncio.ensure_future(shop.stepper.take(shop.visit))
        await shop.api.asked_in.wait()
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        shop.api.let_in.set()
    assert shop.visit.job.state is State.SUBMITTING
    assert shop.stepper.interrupted(shop.visit) == o.Interrupted()


async def test_a_submit_that_is_stopped_while_its_token_is_renewed(database: Database, tmp_path: Path) -> None:
    """The API has refused it unread, which is as good as not sent."""
    async with workshop(database, tmp_path, queued()) as shop:
        second = asyncio.Event()

        def on_login() -> None:
            if shop.api.logins == 2:
                shop.api.let_in.clear()
                second.set()

        shop.api.refuses_all, shop.api.on_login = True, on_login
        step = asyncio.ensure_future(shop.stepper.take(shop.visit))
        await second.wait()
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        shop.api.let_in.set()
    assert [what for what, _ in shop.api.asked] == ["login", "POST", "login"]
    assert shop.stepper.interrupted(shop.visit) == o.Interrupted()


@pytest.mark.parametrize(("status", "kind"), [(401, o.Unauthorized), (429, o.Throttled), (502, o.Unsent)])
async def test_a_login_that_fails_before_a_submit(
    database: Database, tmp_path: Path, status: int, kind: type[o.Outcome]
) -> None:
    """Nothing was sent, whatever the reason is."""
    async with workshop(database, tmp_path, queued()) as shop:
        shop.api.login_status = status
        outcome = await shop.stepper.take(shop.visit)
    assert type(outcome) is kind
    assert not shop.visit.sent


@pytest.mark.parametrize(("status", "kind"), [(401, o.Unauthorized), (429, o.Throttled), (502, o.Retry)])
async def test_a_login_that_fails_before_a_poll(
    database: Database, tmp_path: Path, status: int, kind: type[o.Outcome]
) -> None:
    """The same of a step that may be repeated."""
    async with workshop(database, tmp_path, job_with("42")) as shop:
        shop.api.login_status = status
        assert type(await shop.stepper.take(shop.visit)) is kind


async def test_a_job_expires_though_its_account_cannot_sign_in(database: Database, tmp_path: Path) -> None:
    """The remote cannot be told, which is no reason to keep the job for ever."""
    async with workshop(database, tmp_path, job_with("42")) as shop:
        shop.api.login_status = 401
        shop.clock.at += 3601
        outcome = await shop.stepper.take(shop.visit)
    assert outcome == o.DeadlinePassed("after 3600 s the job was still polling; the remote could not be told")


# --- the daemon -------------------------------------------------------------------------------------------------------

SPEC = """
[operations.report.submit]
url = "/v1/reports"
handle = "id"

[operations.report.poll]
url = "/v1/reports/${handle}"

[[operations.report.poll.rules]]
word = "state"
words = { WORKING = "pending", DONE = "ready" }

[operations.report.results]
url = "/v1/reports/${handle}/file"

[auth]
type = "session"
login = { url = "/v1/login", form = { user = "export" }, token = "token" }
"""


def _left_behind(folder: Path) -> str:
    """Everything that is on the disk."""
    return "".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


async def test_no_token_is_left_behind(tmp_path: Path, sqlite_url: str) -> None:
    """A provider that shows the token in all that it says: no log line, no reason and no byte of the disk has it."""
    statuses = iter((429, 200, 418))

    async def echo(request: web.Request) -> web.StreamResponse:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        status = next(statuses, 401) if request.method == "GET" else 201
        said = {"error": f"{status} for {token}", "state": f"lost {token}", "id": "r-1"}
        return web.json_response(said, status=status, headers={"Retry-After": "1", "X-Token": token})

    logins = iter(range(1, 100))

    async def login(_: web.Request) -> web.StreamResponse:
        return web.json_response({"token": f"canary-token-{next(logins)}"})

    answers: dict[str, Answer] = {"POST /v1/login": login, "POST /v1/reports": echo, "GET /v1/reports/r-1": echo}
    async with shop_with(answers) as shop:
        config = config_for(tmp_path, SPEC, shop.url, sqlite_url)
        async with daemon_for(config) as running:
            failed = await running.run()
            waiting = await running.submit()
            paused = await running.said("account.refused")
            kept = [await running.jobs.history(job) for job in (failed.id, waiting.id)]
            seen = f"{failed} {kept} {paused} {running.output.getvalue()}"
    assert "418 for [redacted]" in seen
    assert "429 for [redacted]" in seen
    assert "session.renewed" in seen
    assert "canary" not in seen
    assert "canary" not in _left_behind(tmp_path)
    assert next(logins) == 3


async def test_a_whole_export_behind_a_login(tmp_path: Path, sqlite_url: str) -> None:
    """Submit, polls and file go with one token, or with the next where it is revoked; nothing is done twice."""
    good: list[str] = []
    states = iter(("WORKING", "WORKING", "DONE"))

    async def login(_: web.Request) -> web.StreamResponse:
        good.append(f"token-{len(good)}-canary")
        return web.json_response({"token": good[-1]})

    def signed(body: object, status: int = 200) -> Answer:
        async def answer(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Authorization") != f"Bearer {good[-1]}":
                return web.json_response({"error": "renew"}, status=401)
            said = {"state": next(states)} if body is None else body
            return web.Response(body=said) if isinstance(said, bytes) else web.json_response(said, status=status)

        return answer

    answers: dict[str, Answer] = {
        "POST /v1/login": login,
        "POST /v1/reports": signed({"id": "r-1"}, 201),
        "GET /v1/reports/r-1": signed(None),
        "GET /v1/reports/r-1/file": signed(b"a,b\n"),
    }
    async with shop_with(answers) as shop, daemon_for(config_for(tmp_path, SPEC, shop.url, sqlite_url)) as running:
        job = await running.submit()
        await running.until(job.id, State.POLLING)
        good.append("somebody else's")
        done = await running.until(job.id)
        file = await running.file(job.id)
    assert (done.state, file) == (State.SUCCEEDED, b"a,b\n")
    assert shop.times("POST /v1/login") == 2
    assert shop.times("POST /v1/reports") == 1
