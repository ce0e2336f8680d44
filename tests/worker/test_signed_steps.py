"""Steps of an account that signs: what a refusal says, what the log may show, and a step that begins again."""

import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from textwrap import dedent

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.spec_samples import POLL, RESULTS, job_with
from tests.support.stored_jobs import NOW
from tests.worker.executor_setup import PASSWORD, ExecutorSetup, open_executor, queued
from tidewaiter.database.engine import Database
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job

_SPEC = """
name = "demo"
title = "Demo"
base_url = "${account.server}/v1"
error = "error"

[account]
server = { type = "url", help = "the server" }
password = { help = "the secret", secret = true }

[auth]
type = "hmac"
key = "${account.password}"
string_to_sign = "${request.method} ${request.target} ${time.epoch} ${nonce} ${request.body}"
headers = { X-Signature = "${signature}", X-Time = "${time.epoch}", X-Nonce = "${nonce}" }

[operations.report]
title = "Report"

[operations.report.submit]
method = "POST"
url = "/reports"
json = { kind = "orders" }
handle = "id"
repeatable = true
"""


def _signature(request: web.Request, body: bytes) -> str:
    given = request.headers
    text = f"{request.method} {request.raw_path} {given['X-Time']} {given['X-Nonce']} ".encode() + body
    return hmac.new(PASSWORD.encode(), text, "sha256").hexdigest()


@dataclass(slots=True)
class SignedApi:
    """An API that verifies every request; ``answer`` replaces what it says to a good one."""

    answer: Callable[[web.Request], web.Response] | None = None
    nonces: list[str] = field(default_factory=list)

    async def _served(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("X-Signature") != _signature(request, body):
            return web.json_response({"error": "the signature does not match"}, status=403)
        self.nonces.append(request.headers["X-Nonce"])
        if self.answer is not None:
            return self.answer(request)
        return web.json_response({"id": "42", "status": "done"})

    def application(self) -> web.Application:
        """The API as an application of aiohttp."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._served)
        return app


@asynccontextmanager
async def _setup(database: Database, folder: Path, job: Job, api: SignedApi) -> AsyncIterator[ExecutorSetup]:
    async with (
        TestServer(api.application(), host="127.0.0.1") as server,
        open_executor(
            database, folder, job, spec=dedent(_SPEC) + POLL + RESULTS, server=str(server.make_url("")).rstrip("/")
        ) as setup,
    ):
        yield setup


def _refusing(
    seconds: float | None, status: int = 403, text: str = "SignatureDoesNotMatch"
) -> Callable[[web.Request], web.Response]:
    """A refusal by a server whose clock differs from ours; ``None``: it does not say what its clock shows."""

    def answer(_request: web.Request) -> web.Response:
        date = "yesterday" if seconds is None else formatdate(NOW + seconds, usegmt=True)
        return web.json_response({"error": text}, status=status, headers={"Date": date})

    return answer


async def test_a_signed_job(database: Database, tmp_path: Path) -> None:
    """A submit and a poll are accepted by a server that verifies them."""
    api = SignedApi()
    async with _setup(database, tmp_path, queued(), api) as setup:
        outcome = await setup.take()
        assert isinstance(outcome, o.Accepted)
        assert outcome.handle == "42"
    assert len(api.nonces) == 1


@pytest.mark.parametrize(
    ("status", "seconds", "said"),
    [
        (
            403,
            -901.0,
            "The time in the signature is 901 s ahead of the provider's clock: set this machine's clock right",
        ),
        (
            401,
            3600.0,
            "The time in the signature is 3,600 s behind the provider's clock: set this machine's clock right",
        ),
        (403, -20.0, None),
        (403, 20.0, None),
        (403, None, None),
        (403, -1.7e9, "1,700,000,000 s ahead"),
    ],
)
async def test_a_wrong_clock(
    database: Database, tmp_path: Path, status: int, seconds: float | None, said: str | None
) -> None:
    """The refusal names the difference and what to do; the account is paused after one request, so there is no loop."""
    api = SignedApi(_refusing(seconds, status))
    async with _setup(database, tmp_path, job_with(), api) as setup:
        outcome = await setup.take()
        assert isinstance(outcome, o.Unauthorized)
        assert outcome.reason.startswith(f"HTTP {status}: SignatureDoesNotMatch")
        if said is None:
            assert "clock" not in outcome.reason
        else:
            assert said in outcome.reason
        assert setup.budget.paused == outcome.reason
    assert len(api.nonces) == 1


async def test_a_success_says_nothing_of_clocks(database: Database, tmp_path: Path) -> None:
    """Nor does a failure that has another cause."""
    api = SignedApi(_refusing(-901.0, 500, "out of order"))
    async with _setup(database, tmp_path, job_with(), api) as setup:
        outcome = await setup.take()
        assert isinstance(outcome, o.Retry)
        assert outcome.reason == "HTTP 500: out of order"


async def test_a_server_that_repeats_the_signature(database: Database, tmp_path: Path) -> None:
    """Neither the signature nor the text that was signed with the secret shows in the reason or in the log."""
    sent: list[str] = []

    def echo(request: web.Request) -> web.Response:
        sent.append(request.headers["X-Signature"])
        return web.json_response({"error": f"bad {sent[0]} for {PASSWORD}"}, status=403)

    async with _setup(database, tmp_path, job_with(), SignedApi(echo)) as setup:
        outcome = await setup.take()
        assert isinstance(outcome, o.Unauthorized)
        assert outcome.reason.startswith("HTTP 403: bad [redacted] for [redacted]")
        assert sent[0] not in setup.output.getvalue() + str(setup.budget.paused)


async def test_a_step_that_begins_again(database: Database, tmp_path: Path) -> None:
    """After an interruption the same request is signed anew: nothing of a signature is kept with the job."""
    api = SignedApi()
    async with _setup(database, tmp_path, job_with(), api) as setup:
        await setup.take()
        stored = await setup.stored()
        setup.clock.at += 30
        await setup.take()
    assert len(set(api.nonces)) == 2
    assert not any(nonce in repr(stored) for nonce in api.nonces)
