"""SIGKILL again and again: no marker is posted twice, no half file is ever seen, each account keeps its rate."""

import asyncio
import hashlib
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from tests.chaos.daemon_processes import drain, kill
from tests.chaos.marked_provider import SPEC, FileWatch, content, marked_provider, partial_files
from tests.support.scripted_provider import config_for
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import TERMINAL, Job, NewJob, State

KILLS = int(os.environ.get("TIDEWAITER_KILLS", "6"))
SEED = int(os.environ.get("TIDEWAITER_KILL_SEED", "14"))
ACCOUNTS = ("shop", "other")
REQUESTS, PERIOD_S = 30, 2.0
# Two requests that left 2 s apart may arrive a little closer.
JITTER_S = 0.2
LIMITS = f"limits = {{ requests = {REQUESTS}, period_s = {PERIOD_S} }}\n"
SCHEDULE = "schedule = { first_delay_s = 0.1, interval_s = 0.3, cap_s = 0.5 }\n"


async def _submit(store: JobStore, lanes: LaneStore, account: str, marker: str) -> None:
    lane = (await lanes.ids(account))[0]
    await store.add(NewJob(account, "report", {"marker": marker}, 3600.0), lane, SystemClock().now())


async def _started(folder: Path, daemon: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(60):
        while f'"pid":{daemon.pid}' not in (folder / "daemon.log").read_text().replace(" ", ""):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _start(folder: Path) -> asyncio.subprocess.Process:
    with (folder / "daemon.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tidewaiter.cli.main", "--config", str(folder / "tidewaiter.toml"), "serve",
            stdout=log, stderr=log,
        )  # fmt: skip


async def _ended(store: JobStore, within_s: float) -> Sequence[Job]:
    async with asyncio.timeout(within_s):
        while True:
            jobs = await store.find(limit=10_000)
            if all(job.state in TERMINAL or job.state is State.PARKED for job in jobs):
                return jobs
            await asyncio.sleep(0.2)


@pytest.mark.chaos
@pytest.mark.timeout(180 + 20 * KILLS)
async def test_no_marker_is_posted_twice(tmp_path: Path) -> None:
    """A submit may not be repeated blindly here: each job succeeds with one POST, or is parked (faults 1 to 4)."""
    print(f"TIDEWAITER_KILLS={KILLS} TIDEWAITER_KILL_SEED={SEED}")  # noqa: T201  # repeats the run
    rand, url = Random(SEED), f"sqlite:///{tmp_path}/jobs.db"
    await asyncio.to_thread(migrate.upgrade, url)
    async with AsyncExitStack() as stack:
        providers = {name: await stack.enter_async_context(marked_provider()) for name in ACCOUNTS}
        other = f'[accounts.other]\nprovider = "shop"\nallow_private = true\n{LIMITS}{SCHEDULE}'
        other += f'settings = {{ server = "{providers["other"].url}" }}\n'
        config_for(tmp_path, SPEC, providers["shop"].url, url, f'{LIMITS}{SCHEDULE}{other}[log]\nformat = "json"\n')
        database = Database.open(url, SystemClock())
        stack.push_async_callback(database.close)
        store, lanes = JobStore(database), LaneStore(database)
        await lanes.ensure(dict.fromkeys(ACCOUNTS, 1))
        markers = [f"m{number}" for number in range(3 * KILLS)]
        watch = FileWatch(tmp_path / "landed", {hashlib.sha256(content(one)).hexdigest() for one in markers})
        watching = asyncio.create_task(watch.run())
        for number in range(KILLS):
            for marker in markers[3 * number : 3 * number + 3]:
                await _submit(store, lanes, rand.choice(ACCOUNTS), marker)
            daemon = await _start(tmp_path)
            if rand.random() < 0.9:  # otherwise it is killed while it starts
                await _started(tmp_path, daemon)
            await asyncio.sleep(rand.uniform(0.0, 1.5))
            await kill(daemon)
        daemon = await _start(tmp_path)
        jobs = await _ended(store, 60 + KILLS)
        await _started(tmp_path, daemon)
        assert await drain(daemon) == 0
        watching.cancel()
        watch.look()

        posts = sum((provider.posts for provider in providers.values()), start=type(providers["shop"].posts)())
        assert {job.params["marker"] for job in jobs} == set(markers)
        assert {marker: number for marker, number in posts.items() if number > 1} == {}
        assert {job.state for job in jobs} <= {State.SUCCEEDED, State.PARKED}
        assert all(posts[str(job.params["marker"])] == 1 for job in jobs if job.state is State.SUCCEEDED)
        assert watch.torn == []
        landed = [path for path in watch.seen if path.name != "manifest.json"]
        assert len(landed) == sum(job.state is State.SUCCEEDED for job in jobs)
        assert partial_files(tmp_path / "landed") == []
        for provider in providers.values():
            assert provider.most_within(PERIOD_S - JITTER_S) <= REQUESTS
        parked = sum(job.state is State.PARKED for job in jobs)
        report = f"{KILLS} kills, {len(jobs)} jobs, {sum(posts.values())} POSTs, {parked} parked, {len(landed)} files"
        print(report)  # noqa: T201  # the numbers of docs/proof.md
