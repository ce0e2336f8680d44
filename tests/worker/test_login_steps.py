"""Logins in whole steps and whole daemons, and their effect on the waiting job."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, config_for, daemon_for, open_provider
from tests.support.spec_samples import job_with
from tests.worker.executor_setup import LEASE_S, open_login_executor, queued
from tidewaiter.database.engine import Database
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State
from tidewaiter.worker.lease import moment


@pytest.mark.fault(65)
async def test_a_lease_that_ends_during_a_login(database: Database, tmp_path: Path) -> None:
    """The submit does not leave: by now the lane may be another daemon's, and the job with it."""
    async with open_login_executor(database, tmp_path, queued()) as shop:
        shop.api.on_login = lambda: setattr(shop.clock, "at", shop.clock.at + LEASE_S + 1)
        outcome = await shop.take()
    assert outcome == o.Unsent("the lane's lease ran out before the request was sent")
    assert [what for what, _ in shop.api.asked] == ["login"]
    assert not shop.step.session.sent


async def test_a_submit_that_is_stopped_during_its_login(database: Database, tmp_path: Path) -> None:
    """It surely was not sent, so nothing has to be reconciled and nobody is asked."""
    async with open_login_executor(database, tmp_path, queued()) as shop:
        shop.api.may_log_in.clear()
        step = asyncio.ensure_future(shop.take())
        await shop.api.login_received.wait()
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        shop.api.may_log_in.set()
    assert shop.step.job.state is State.SUBMITTING
    assert shop.executor.interrupted(shop.step) == o.Interrupted()


async def test_a_submit_that_is_stopped_while_its_token_is_renewed(database: Database, tmp_path: Path) -> None:
    """The API has refused it unread, which is as good as not sent."""
    async with open_login_executor(database, tmp_path, queued()) as shop:
        second = asyncio.Event()

        def on_login() -> None:
            if shop.api.logins == 2:
                shop.api.may_log_in.clear()
                second.set()

        shop.api.refuses_all, shop.api.on_login = True, on_login
        step = asyncio.ensure_future(shop.take())
        await second.wait()
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        shop.api.may_log_in.set()
    assert [what for what, _ in shop.api.asked] == ["login", "POST", "login"]
    assert shop.executor.interrupted(shop.step) == o.Interrupted()


@pytest.mark.parametrize(("status", "kind"), [(401, o.Unauthorized), (429, o.Throttled), (502, o.Unsent)])
async def test_a_login_that_fails_before_a_submit(
    database: Database, tmp_path: Path, status: int, kind: type[o.Outcome]
) -> None:
    """Nothing was sent, whatever the reason is."""
    async with open_login_executor(database, tmp_path, queued()) as shop:
        shop.api.login_status = status
        outcome = await shop.take()
    assert type(outcome) is kind
    assert not shop.step.session.sent


@pytest.mark.parametrize(("status", "kind"), [(401, o.Unauthorized), (429, o.Throttled), (502, o.Retry)])
async def test_a_login_that_fails_before_a_poll(
    database: Database, tmp_path: Path, status: int, kind: type[o.Outcome]
) -> None:
    """The same of a step that may be repeated."""
    async with open_login_executor(database, tmp_path, job_with("42")) as shop:
        shop.api.login_status = status
        assert type(await shop.take()) is kind


async def test_a_job_expires_though_its_account_cannot_sign_in(database: Database, tmp_path: Path) -> None:
    """The remote cannot be told, which is no reason to keep the job for ever."""
    async with open_login_executor(database, tmp_path, job_with("42")) as shop:
        shop.api.login_status = 401
        shop.clock.at += 3601
        shop.lease.renewed(*moment(shop.clock))
        outcome = await shop.take()
    assert outcome == o.DeadlinePassed("after 3600 s the job was still polling; the remote job could not be cancelled")


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


@pytest.mark.fault(58)
@pytest.mark.invariant(10)
@pytest.mark.slow
async def test_no_token_is_left_behind(tmp_path: Path, sqlite_url: str) -> None:
    """A provider that shows the token in all that it says: no log line, no reason and no byte of the disk has it."""
    statuses = iter((429, 200, 418))

    async def echo(request: web.Request) -> web.StreamResponse:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        status = next(statuses, 401) if request.method == "GET" else 201
        answer_body = {"error": f"{status} for {token}", "state": f"lost {token}", "id": "r-1"}
        return web.json_response(answer_body, status=status, headers={"Retry-After": "1", "X-Token": token})

    logins = iter(range(1, 100))

    async def login(_: web.Request) -> web.StreamResponse:
        return web.json_response({"token": f"canary-token-{next(logins)}"})

    answers: dict[str, Answer] = {"POST /v1/login": login, "POST /v1/reports": echo, "GET /v1/reports/r-1": echo}
    async with open_provider(answers) as shop:
        config = config_for(tmp_path, SPEC, shop.url, sqlite_url)
        async with daemon_for(config) as running:
            failed = await running.run()
            waiting = await running.submit()
            paused = await running.logged("account.refused")
            kept = [await running.jobs.history(job) for job in (failed.id, waiting.id)]
            seen = f"{failed} {kept} {paused} {running.output.getvalue()}"
    assert "418 for [redacted]" in seen
    assert "429 for [redacted]" in seen
    assert "session.renewed" in seen
    assert "canary" not in seen
    assert "canary" not in _left_behind(tmp_path)
    assert next(logins) == 3


@pytest.mark.slow
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
            answer_body = {"state": next(states)} if body is None else body
            return (
                web.Response(body=answer_body)
                if isinstance(answer_body, bytes)
                else web.json_response(answer_body, status=status)
            )

        return answer

    answers: dict[str, Answer] = {
        "POST /v1/login": login,
        "POST /v1/reports": signed({"id": "r-1"}, 201),
        "GET /v1/reports/r-1": signed(None),
        "GET /v1/reports/r-1/file": signed(b"a,b\n"),
    }
    async with open_provider(answers) as shop, daemon_for(config_for(tmp_path, SPEC, shop.url, sqlite_url)) as running:
        job = await running.submit()
        await running.until(job.id, State.POLLING)
        good.append("somebody else's")
        done = await running.until(job.id)
        file = await running.file(job.id)
    assert (done.state, file) == (State.SUCCEEDED, b"a,b\n")
    assert shop.times("POST /v1/login") == 2
    assert shop.times("POST /v1/reports") == 1
