"""OneAll and Copernica send callbacks: emulators, a daemon with its listener, and polls too slow to matter.

Where they are called back, both are polled only after minutes, so a job ends within a test only because of a call.
"""

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.support.log_lines import log_lines
from tidewaiter import bootstrap
from tidewaiter.cli.emulate import account_table
from tidewaiter.clock import SystemClock
from tidewaiter.config import load
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.emulators import catalogue as copernica_entry
from tidewaiter.emulators import catalogue as oneall_entry
from tidewaiter.emulators.catalogue import EmulatedAccount
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.copernica import CopernicaEmulator, CopernicaVariants
from tidewaiter.emulators.copernica_login import CopernicaLogin
from tidewaiter.emulators.oneall import OneAllEmulator, OneAllVariants
from tidewaiter.emulators.server import EmulatedServer
from tidewaiter.log import configure
from tidewaiter.services import DAEMON, JobService

_BUILD_S = 0.3
_CALL = {"oneall": "pingback", "copernica": "report"}


class CallbackDaemon:
    """One emulated API, and a daemon that it can call back."""

    def __init__(self, api: EmulatedServer, account: EmulatedAccount, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as bound:
            port = bound.getsockname()[1]
        bare = EmulatedAccount(account.provider, account.settings, account.secrets)
        path = folder / "tidewaiter.toml"
        path.write_text(
            f'[callbacks]\nlisten = "127.0.0.1:{port}"\npublic_url = "http://127.0.0.1:{port}"\n'
            f"{account_table('own', bare)}"
        )
        self.api = api
        self.provider = account.provider
        self.output = io.StringIO()
        self._config = load(path, {})

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[JobService]:
        """A daemon that runs meanwhile, and a job service."""
        log = configure("json", "debug", (), stream=self.output, strict=True)
        stop = asyncio.Event()
        async with bootstrap.open_job_service(self._config, log) as service:
            running = asyncio.ensure_future(bootstrap.serve(self._config, log, stop=stop))
            try:
                yield service
            finally:
                stop.set()
                assert await running == 0
                log.close()

    async def submit(self, service: JobService) -> Job:
        """Ask for what this API has."""
        wanted: Mapping[str, tuple[str, dict[str, str]]] = {
            "oneall": ("snapshot", {"sharing_message_token": "221c7bdf"}),
            "copernica": ("subprofile_data", {"id": "17"}),
        }
        operation, params = wanted[self.provider]
        job, _ = await service.submit("own", operation, dict(params), actor=DAEMON)
        return job

    async def ended(self, service: JobService, job: Job) -> Job:
        """The job, when it has come to its end."""
        async with asyncio.timeout(30):
            while True:
                found = await service.jobs.get(job.id)
                assert found is not None
                if found.state in TERMINAL:
                    return found
                await asyncio.sleep(0.02)

    async def calls(self, number: int) -> list[int | None]:
        """The answers to that many calls, when they have been made."""
        async with asyncio.timeout(30):
            while len(self.api.callbacks.sent) < number:  # noqa: ASYNC110  # the emulator tells nobody
                await asyncio.sleep(0.02)
        return [posted.status for posted in self.api.callbacks.sent]

    def events(self, name: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        return log_lines(self.output, name)


Open: TypeAlias = Callable[[str], Awaitable[CallbackDaemon]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    """Starts one of the two APIs, and prepares a daemon for it."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:

        async def start(provider: str) -> CallbackDaemon:
            if provider == "oneall":
                variants = OneAllVariants(build_s=_BUILD_S)
                oneall = OneAllEmulator(clock=clock, public_key="public", private_key="private", variants=variants)
                await stack.enter_async_context(oneall)
                return CallbackDaemon(oneall, oneall_entry.oneall_account(oneall), tmp_path)
            login = await stack.enter_async_context(CopernicaLogin(clock=clock, access_token="access"))
            copernica = CopernicaEmulator(
                clock=clock, login=login, variants=CopernicaVariants(build_s=_BUILD_S, mime_bytes=300_000)
            )
            await stack.enter_async_context(copernica)
            return CallbackDaemon(copernica, copernica_entry.copernica_account(copernica), tmp_path)

        yield start


_BOTH = pytest.mark.parametrize("provider", ["oneall", "copernica"])


@pytest.mark.slow
@_BOTH
async def test_a_call_ends_the_wait(opened: Open, provider: str) -> None:
    """The call comes when it is ready: one poll, the file, and no trace of the secret address anywhere."""
    callback_daemon = await opened(provider)
    async with callback_daemon.daemon() as service:
        ended = await callback_daemon.ended(service, await callback_daemon.submit(service))
    assert (ended.state, ended.polls) == (State.SUCCEEDED, 1)
    (posted,) = callback_daemon.api.callbacks.sent
    token = posted.url.rpartition("/")[2]
    assert len(token) == 43
    assert token not in callback_daemon.output.getvalue()


@pytest.mark.slow
@_BOTH
async def test_a_duplicate_call(opened: Open, provider: str) -> None:
    """The second call comes after the end: 404, and nothing happens."""
    callback_daemon = await opened(provider)
    callback_daemon.api.faults.add(_CALL[provider], InjectedFault(FaultKind.DUPLICATE, seconds=2))
    async with callback_daemon.daemon() as service:
        ended = await callback_daemon.ended(service, await callback_daemon.submit(service))
        await callback_daemon.calls(2)
        assert await service.jobs.get(ended.id) == ended
    assert (ended.state, ended.polls) == (State.SUCCEEDED, 1)


@pytest.mark.slow
@_BOTH
async def test_a_forged_body(opened: Open, provider: str) -> None:
    """Whatever the body says, it is not looked at: the API is asked, and its answer counts."""
    callback_daemon = await opened(provider)
    callback_daemon.api.faults.add(
        _CALL[provider], InjectedFault(FaultKind.FORGED, text='{"response": NaN, "data": [["forged"]]')
    )
    async with callback_daemon.daemon() as service:
        ended = await callback_daemon.ended(service, await callback_daemon.submit(service))
        (artifact,) = await service.jobs.artifacts(ended.id)
    assert (ended.state, ended.polls) == (State.SUCCEEDED, 1)
    assert artifact.size > 100


@pytest.mark.slow
@_BOTH
async def test_a_late_call(opened: Open, provider: str) -> None:
    """The job ends when it comes, however late that is."""
    callback_daemon = await opened(provider)
    callback_daemon.api.faults.add(_CALL[provider], InjectedFault(FaultKind.LATENCY, seconds=2))
    async with callback_daemon.daemon() as service:
        ended = await callback_daemon.ended(service, await callback_daemon.submit(service))
    assert (ended.state, ended.polls) == (State.SUCCEEDED, 1)


@pytest.mark.slow
@_BOTH
async def test_a_lost_call(opened: Open, provider: str) -> None:
    """Nothing comes: the job goes on waiting, and will be polled before half of its time is over."""
    callback_daemon = await opened(provider)
    callback_daemon.api.faults.add(_CALL[provider], InjectedFault(FaultKind.LOST))
    async with callback_daemon.daemon() as service:
        job = await callback_daemon.submit(service)
        async with asyncio.timeout(30):
            while (now := await service.jobs.get(job.id)) is None or now.handle is None:  # noqa: ASYNC110  # tells nobody
                await asyncio.sleep(0.02)
        await callback_daemon.api.callbacks.settle()
    assert callback_daemon.api.callbacks.sent == []
    assert now.state is State.POLLING
    assert now.due_at is not None
    assert now.due_at - now.created_at <= 1800
    assert not callback_daemon.events("callback.received")
