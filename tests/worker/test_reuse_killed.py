"""Jobs that use remote jobs again, with a daemon that is killed at each durable point."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.killable_daemon import serving_process, submitted_by_command
from tests.support.scripted_provider import Answer, ScriptedProvider, answering, config_for, daemon_for, open_provider
from tests.worker.reuse_setup import SPEC, Remote
from tidewaiter.domain.job import Job, State


@pytest.mark.slow
async def test_a_kill_within_the_search(tmp_path: Path, sqlite_url: str) -> None:
    """The next daemon searches again; nothing was submitted."""
    remote, stall = Remote("theirs"), _Stall()
    answers = {**remote.answers(), "GET /jobs": stall.before(remote.index)}
    shop, job = await _killed(tmp_path, sqlite_url, answers, stall)
    assert (job.state, job.handle, job.submits) == (State.SUCCEEDED, "theirs", 0)
    assert (shop.times("GET /jobs?"), shop.times("POST")) == (2, 0)


@pytest.mark.slow
async def test_a_kill_after_the_search(tmp_path: Path, sqlite_url: str) -> None:
    """The next daemon goes on with the remote job that was found, and searches no more."""
    remote, stall = Remote("theirs"), _Stall()
    answers = {**remote.answers(), "GET /jobs/theirs": stall.before(remote.status)}
    shop, job = await _killed(tmp_path, sqlite_url, answers, stall)
    assert (job.state, job.handle, job.submits) == (State.SUCCEEDED, "theirs", 0)
    assert (shop.times("GET /jobs?"), shop.times("POST")) == (1, 0)


@pytest.mark.slow
async def test_a_kill_within_the_submit_after_it(tmp_path: Path, sqlite_url: str) -> None:
    """The remote job that was reused had vanished: the job has submitted, and does not search again."""
    remote, stall = Remote("theirs"), _Stall()
    remote.lists = False
    gone = answering({"error": "deleted"}, status=404)
    answers = {**remote.answers(), "GET /jobs/theirs": gone, "POST /jobs": stall.before(remote.create)}
    spec = SPEC.replace("[operations.report.submit]", "[operations.report.submit]\nrepeatable = true")
    shop, job = await _killed(tmp_path, sqlite_url, answers, stall, spec)
    assert (job.state, job.submits) == (State.SUCCEEDED, 2)
    assert (shop.times("GET /jobs?"), shop.times("POST")) == (1, 2)


class _Stall:
    """The first request waits until the daemon that sent it is dead."""

    def __init__(self) -> None:
        self.arrived, self.over = asyncio.Event(), asyncio.Event()

    def before(self, answer: Answer) -> Answer:
        """The same answer, later."""

        async def stalled(request: web.Request) -> web.StreamResponse:
            if not self.arrived.is_set():
                self.arrived.set()
                await self.over.wait()
            return await answer(request)

        return stalled


async def _killed(
    folder: Path, database_url: str, answers: dict[str, Answer], stall: _Stall, spec: str = SPEC
) -> tuple[ScriptedProvider, Job]:
    """One job, whose first daemon is killed while the provider keeps it waiting."""
    async with open_provider(answers) as shop:
        config = config_for(folder, spec, shop.url, database_url)
        with serving_process(folder) as process:
            await submitted_by_command(folder)
            async with asyncio.timeout(30):
                await stall.arrived.wait()
            process.kill()
        stall.over.set()
        async with daemon_for(config) as running:
            return shop, await running.until(1)
