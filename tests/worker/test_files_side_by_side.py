"""The files of one job side by side: in order, and recorded while others come, so that a kill repeats few of them."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.killable_daemon import serving_process, submitted_by_command
from tests.support.scripted_provider import Answer, answering, config_for, open_provider, serving
from tests.worker.file_lists import LISTED, lists
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain.job import State

FILES, BEFORE = 120, 83


@pytest.mark.slow
async def test_files_come_side_by_side(tmp_path: Path, sqlite_url: str) -> None:
    """The first alone, then as many as the worker has slots, one of which is kept for the next job; in order."""
    under_way, most, together = 0, 0, asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if request.path != "/0":
            if under_way == 3:
                together.set()
            await together.wait()
        under_way -= 1
        return web.Response(body=request.path.encode())

    answers = lists([(f"/{number}", f"part {number}") for number in range(8)])
    answers |= {f"GET /{number}": slowly for number in range(8)}
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (shop, running):
        job = await running.run()
        artifacts = await running.jobs.artifacts(job.id)
        (manifest,) = running.root.glob(f"shop/report/*/*/*/{job.id}/manifest.json")
        listed = json.loads(manifest.read_bytes())["artifacts"]
        found = [(running.root / one.key).read_bytes() for one in artifacts]
    assert (job.state, most) == (State.SUCCEEDED, 3)
    assert shop.asked[2:4] == ["GET /0", "GET /1"]
    assert found == [f"/{number}".encode() for number in range(8)]
    assert [one.name for one in artifacts] == [f"{number + 1:03d}-part-{number}" for number in range(8)]
    assert [one["sha256"] for one in listed] == [one.sha256 for one in artifacts]


@pytest.mark.parametrize(("files", "tasks"), [(1, 0), (2, 1)])
async def test_a_single_file_needs_no_task_of_its_own(tmp_path: Path, sqlite_url: str, files: int, tasks: int) -> None:
    """It is downloaded in the task of the step; of several each has a task."""
    seen = list[int]()

    async def serve(request: web.Request) -> web.StreamResponse:
        names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
        seen.append(names.count("ListDownload._one"))
        return web.Response(body=request.path.encode())

    answers = lists([(f"/{number}", f"part {number}") for number in range(files)])
    answers |= {f"GET /{number}": serve for number in range(files)}
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (_, running):
        job = await running.run()
    assert (job.state, seen) == (State.SUCCEEDED, [tasks] * files)


@pytest.mark.fault(42)
@pytest.mark.slow
async def test_a_host_that_does_not_answer_keeps_no_other_waiting(tmp_path: Path, sqlite_url: str) -> None:
    """A hundred of its files come first in the list, and it answers only after the files of the other have come."""
    others: set[str] = set()
    came = asyncio.Event()

    async def listed(request: web.Request) -> web.StreamResponse:
        elsewhere = f"http://localhost:{request.url.port}"
        silent = [{"url": f"{elsewhere}/silent/{number}", "name": str(number)} for number in range(100)]
        return web.json_response({"files": [*silent, *({"url": f"/{one}", "name": one} for one in "abc")]})

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/silent/"):
            await came.wait()
        else:
            others.add(request.path)
            if len(others) == 3:
                came.set()
        return web.Response(body=request.path.encode())

    paths = [*(f"/silent/{number}" for number in range(100)), "/a", "/b", "/c"]
    answers: dict[str, Answer] = {"POST /jobs": answering({"id": 1}), "GET /jobs/1": listed}
    answers |= dict.fromkeys((f"GET {path}" for path in paths), serve)
    async with asyncio.timeout(60), serving(tmp_path, sqlite_url, LISTED, answers) as (_, running):
        job = await running.run()
        found = [(running.root / one.key).read_bytes() for one in await running.jobs.artifacts(job.id)]
    assert job.state is State.SUCCEEDED
    assert found == [path.encode() for path in paths]


@pytest.mark.fault(3)
@pytest.mark.slow
async def test_a_kill_after_83_of_120_files_fetches_37(tmp_path: Path) -> None:
    """What had landed was recorded within seconds; counted at the server."""
    url = f"sqlite:///{tmp_path}/tidewaiter.db"
    asked: Counter[str] = Counter()
    goes_on = asyncio.Event()

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.json_response({"id": 1})
        if request.path == "/jobs/1":
            files = [{"url": f"/files/{number}", "name": str(number)} for number in range(FILES)]
            return web.json_response({"files": files})
        if asked.total() >= BEFORE and not goes_on.is_set():
            await goes_on.wait()  # whoever asked this is killed meanwhile
            return web.Response(status=500)
        asked[request.path] += 1
        return web.Response(body=request.path.encode())

    paths = ["POST /jobs", "GET /jobs/1", *(f"GET /files/{number}" for number in range(FILES))]
    answers: dict[str, Answer] = dict.fromkeys(paths, serve)
    async with open_provider(answers) as shop:
        config_for(tmp_path, LISTED, shop.url, url)
        migrate.upgrade(url)
        database = Database.open(url, SystemClock())
        jobs = JobStore(database)
        try:
            async with asyncio.timeout(120):
                with serving_process(tmp_path):
                    await submitted_by_command(tmp_path)
                    while len(await jobs.artifacts(1)) < BEFORE:  # noqa: ASYNC110  # another process records them
                        await asyncio.sleep(0.1)
                assert asked.total() == BEFORE
                goes_on.set()
                with serving_process(tmp_path):
                    while (job := await jobs.get(1)) is None or job.state is State.FETCHING:  # noqa: ASYNC110  # the same
                        await asyncio.sleep(0.1)
                assert job.state is State.SUCCEEDED
            artifacts = await jobs.artifacts(1)
        finally:
            await database.close()
    assert asked == Counter({f"/files/{number}": 1 for number in range(FILES)})
    assert [(tmp_path / "landed" / one.key).read_bytes() for one in artifacts] == [
        f"/files/{number}".encode() for number in range(FILES)
    ]
