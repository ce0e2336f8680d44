"""A daemon with callbacks and a provider that sends them. Numbers are rows of the catalogue of faults.

Its schedules are so slow that a job ends within a test only because of a callback, unless the test says otherwise.
"""

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.log_lines import log_lines
from tests.support.ports import free_port
from tidewaiter import bootstrap
from tidewaiter.cli.exit_codes import ExitCode, command_error_of
from tidewaiter.config import Config, load
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.log import configure
from tidewaiter.services import DAEMON, JobService

SPEC = """
name = "caller"
title = "An API that calls back"
base_url = "${account.server}"
[account]
server = { type = "url", help = "the server" }
[operations.report]
title = "Report"
[operations.report.schedule]
first_delay_s = FIRST
interval_s = FIRST
cap_s = 3600
[operations.report.callback]
first_delay_s = FIRST
interval_s = FIRST
[operations.report.submit]
url = "/jobs"
json = { notify = "${callback_url}" }
handle = "id"
[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { working = "pending", done = "ready" } }]
[operations.report.results]
url = "/jobs/${handle}/file"
"""


@dataclass(slots=True)
class Caller:
    """A provider that calls back when the test wants it to."""

    state: str = "working"
    early: bool = False
    notify: list[str | None] = field(default_factory=list)
    polls: int = 0
    polled: asyncio.Event = field(default_factory=asyncio.Event)
    submitted: asyncio.Event = field(default_factory=asyncio.Event)

    async def create(self, request: web.Request) -> web.Response:
        """Take a job; one that is early calls back before it has answered."""
        self.notify.append((await request.json()).get("notify"))
        if self.early:
            assert await self.call() == 204
        self.submitted.set()
        return web.json_response({"id": f"r-{len(self.notify)}"}, status=201)

    async def status(self, _: web.Request) -> web.Response:
        """How the job is."""
        self.polls += 1
        self.polled.set()
        return web.json_response({"state": self.state})

    async def file(self, _: web.Request) -> web.Response:
        """The file."""
        return web.Response(body=b"the report")

    async def call(self, body: bytes = b"{}") -> int:
        """Call back, at the address that the last submit named."""
        assert self.notify[-1] is not None
        async with aiohttp.ClientSession() as session, session.post(self.notify[-1], data=body) as reply:
            return reply.status


@dataclass(slots=True)
class Stage:
    """The provider, the configuration, and what the daemon has logged."""

    caller: Caller
    config: Config
    port: int
    output: io.StringIO = field(default_factory=io.StringIO)

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[JobService]:
        """A daemon that runs meanwhile, and a job service."""
        log = configure("json", "debug", (), stream=self.output, strict=True)
        stop = asyncio.Event()
        async with bootstrap.open_job_service(self.config, log) as service:
            running = asyncio.ensure_future(bootstrap.serve(self.config, log, stop=stop))
            try:
                yield service
            finally:
                stop.set()
                assert await running == 0
                log.close()

    async def ended(self, service: JobService, number: int) -> Job:
        """The job, when it has come to its end."""
        async with asyncio.timeout(20):
            while True:
                job = await service.jobs.get(number)
                assert job is not None
                if job.state in TERMINAL:
                    return job
                await asyncio.sleep(0.02)

    def lines(self) -> list[dict[str, object]]:
        """What has been logged."""
        return log_lines(self.output)


Prepare = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def prepared(tmp_path: Path) -> AsyncIterator[Prepare]:
    """Prepares a stage, given the delay of both schedules, and how seldom the daemon looks out for what others did."""
    caller = Caller()
    application = web.Application()
    application.router.add_post("/jobs", caller.create)
    application.router.add_get("/jobs/{id}", caller.status)
    application.router.add_get("/jobs/{id}/file", caller.file)
    async with TestServer(application, host="127.0.0.1") as server:

        async def prepare(delay_s: float, lookout_s: float = 30.0) -> Stage:
            port = free_port()
            (tmp_path / "specs").mkdir()
            (tmp_path / "specs" / "caller.toml").write_text(SPEC.replace("FIRST", f"{delay_s:.1f}"))
            (tmp_path / "tidewaiter.toml").write_text(
                f'[worker]\nlookout_s = {lookout_s}\n[callbacks]\nlisten = "127.0.0.1:{port}"\n'
                f'public_url = "http://127.0.0.1:{port}/"\n[providers]\nfolders = ["specs"]\n'
                f'[accounts.shop]\nprovider = "caller"\nallow_private = true\n'
                f'[accounts.shop.settings]\nserver = "{str(server.make_url("")).rstrip("/")}"\n'
            )
            return Stage(caller, load(tmp_path / "tidewaiter.toml", {}), port)

        yield prepare


@pytest.mark.slow
async def test_a_callback_saves_the_wait(prepared: Prepare) -> None:
    """A job whose next poll is an hour away lands its file within moments of the call: the lane was woken."""
    callback_daemon = await prepared(3600.0)
    async with callback_daemon.daemon() as service:
        job, _ = await service.submit("shop", "report", {}, actor=DAEMON)
        await callback_daemon.caller.submitted.wait()
        callback_daemon.caller.state = "done"
        assert await callback_daemon.caller.call() == 204
        assert (await callback_daemon.ended(service, job.id)).state is State.SUCCEEDED
        assert await callback_daemon.caller.call() == 404
    assert callback_daemon.caller.polls == 1
    (line,) = [line for line in callback_daemon.lines() if line["event"] == "callback.received"]
    assert line["job"] == job.id
    token = str(callback_daemon.caller.notify[0]).rsplit("/", 1)[-1]
    assert len(token) == 43
    assert token not in callback_daemon.output.getvalue()


@pytest.mark.invariant(9)
@pytest.mark.fault(48)
@pytest.mark.slow
async def test_a_forged_body_is_one_poll(prepared: Prepare) -> None:
    """A call that says that all is done, while it is not, has the provider asked once; the job goes on waiting."""
    callback_daemon = await prepared(3600.0)
    async with callback_daemon.daemon() as service:
        job, _ = await service.submit("shop", "report", {}, actor=DAEMON)
        await callback_daemon.caller.submitted.wait()
        assert await callback_daemon.caller.call(b'{"state": "done", "file": "http://evil.example/"}') == 204
        await asyncio.wait_for(callback_daemon.caller.polled.wait(), 20)
        async with asyncio.timeout(20):
            while (now := await service.jobs.get(job.id)) is None or now.hinted:  # noqa: ASYNC110  # a daemon tells nobody
                await asyncio.sleep(0.02)
        assert (now.state, now.polls, callback_daemon.caller.polls) == (State.POLLING, 1, 1)
        assert now.due_at is not None
        assert now.due_at - now.created_at > 2800  # 3600, of which jitter takes a fifth at most


@pytest.mark.fault(49)
@pytest.mark.slow
async def test_a_callback_before_the_submits_answer_helps(prepared: Prepare) -> None:
    """A provider that calls back before it has answered the submit: the job is polled as soon as it has."""
    callback_daemon = await prepared(3600.0)
    callback_daemon.caller.early, callback_daemon.caller.state = True, "done"
    async with callback_daemon.daemon() as service:
        job, _ = await service.submit("shop", "report", {}, actor=DAEMON)
        await callback_daemon.caller.submitted.wait()
        ended = await callback_daemon.ended(service, job.id)
    assert (ended.state, callback_daemon.caller.polls) == (State.SUCCEEDED, 1)


@pytest.mark.fault(52)
async def test_polling_suffices(prepared: Prepare) -> None:
    """A callback that never comes costs nothing but the slower schedule."""
    callback_daemon = await prepared(0.1)
    callback_daemon.caller.state = "done"
    async with callback_daemon.daemon() as service:
        job, _ = await service.submit("shop", "report", {}, actor=DAEMON)
        assert (await callback_daemon.ended(service, job.id)).state is State.SUCCEEDED
    assert callback_daemon.caller.notify[0] is not None


async def test_each_submit_has_its_own_address(prepared: Prepare) -> None:
    """Two jobs, two addresses, of which the database knows only hashes."""
    callback_daemon = await prepared(3600.0, lookout_s=0.05)
    async with callback_daemon.daemon() as service:
        for _ in range(2):
            await service.submit("shop", "report", {}, actor=DAEMON)
            await asyncio.wait_for(callback_daemon.caller.submitted.wait(), 20)
            callback_daemon.caller.submitted.clear()
    assert len(set(callback_daemon.caller.notify)) == 2
    stored = (Path(callback_daemon.config.path).parent / "tidewaiter.db").read_bytes()
    for url in callback_daemon.caller.notify:
        assert str(url).rsplit("/", 1)[-1].encode() not in stored


async def test_without_a_listener_no_address_is_named(prepared: Prepare) -> None:
    """Where callbacks are not configured the submit leaves the key out, and the ordinary schedule holds."""
    callback_daemon = await prepared(0.1)
    callback_daemon.caller.state = "done"
    plain = callback_daemon.config.model_copy(update={"callbacks": type(callback_daemon.config.callbacks)()})
    callback_daemon.config = plain
    async with callback_daemon.daemon() as service:
        job, _ = await service.submit("shop", "report", {}, actor=DAEMON)
        assert (await callback_daemon.ended(service, job.id)).state is State.SUCCEEDED
    assert callback_daemon.caller.notify == [None]


@pytest.mark.fault(55)
async def test_a_port_that_is_taken(prepared: Prepare) -> None:
    """One sentence with the key, and no daemon starts: exit code 69, so that a supervisor tries again."""
    callback_daemon = await prepared(1.0)
    log = configure("json", "debug", (), stream=callback_daemon.output, strict=True)
    with (
        socket.create_server(("127.0.0.1", callback_daemon.port)),
        pytest.raises(OSError, match="Address already in use") as caught,
    ):
        await bootstrap.serve(callback_daemon.config, log)
    log.close()
    ended = command_error_of(caught.value)
    assert ended.code is ExitCode.UNAVAILABLE
    assert str(ended).startswith(f"callbacks.listen: 127.0.0.1:{callback_daemon.port} cannot be listened on")
    assert [line["event"] for line in callback_daemon.lines()] == []


@pytest.mark.fault(7)
@pytest.mark.slow
async def test_the_daemon_dies_with_its_listener(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing listens any more the whole daemon ends with 1 and an ERROR, to be restarted whole."""
    callback_daemon = await prepared(3600.0)
    bound: list[socket.socket] = []
    create_server = socket.create_server

    def remembered(*arguments: object, **more: object) -> socket.socket:
        bound.append(create_server(*arguments, **more))  # type: ignore[arg-type]  # passed on as they came
        return bound[-1]

    monkeypatch.setattr(socket, "create_server", remembered)
    log = configure("json", "debug", (), stream=callback_daemon.output, strict=True)
    running = asyncio.ensure_future(bootstrap.serve(callback_daemon.config, log))
    async with asyncio.timeout(60):
        while not any(line["event"] == "daemon.started" for line in callback_daemon.lines()):  # noqa: ASYNC110  # a log is a file
            await asyncio.sleep(0.02)
        bound[0].shutdown(socket.SHUT_RDWR)
        assert await running == 1
    log.close()
    (line,) = [line for line in callback_daemon.lines() if line["event"] == "daemon.failed"]
    assert "ListenerDiedError" in str(line["reason"])
