"""PgQueuer, as its documentation recommends: entrypoints that are retried, and heartbeats that find dead workers."""

import asyncio
import json
import sys
from datetime import timedelta

import asyncpg
from exports_client import DSN, POLL_S, fetch, link, make
from pgqueuer import PgQueuer
from pgqueuer.core.executors import DatabaseRetryEntrypointExecutor
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries


async def main() -> None:
    """Make the tables and the job, or work."""
    connection = await asyncpg.connect(DSN)
    driver = AsyncpgDriver(connection)
    queries = Queries(driver)
    if sys.argv[1] == "prepare":
        await queries.install()
        await queries.enqueue(["submit"], [b'{"job": "1"}'], [0])
        return
    queue = PgQueuer(driver)

    async def later(step: str, seconds: float, **what: str) -> None:
        await queries.enqueue([step], [json.dumps(what).encode()], [0], [timedelta(seconds=seconds)])

    @queue.entrypoint("submit", executor_factory=DatabaseRetryEntrypointExecutor)
    async def submit(job: Job) -> None:
        given = json.loads(job.payload or b"")
        await later("poll", POLL_S, job=given["job"], export=await make(given["job"]))

    @queue.entrypoint("poll", executor_factory=DatabaseRetryEntrypointExecutor)
    async def poll(job: Job) -> None:
        given = json.loads(job.payload or b"")
        url = await link(given["export"])
        if url is None:
            await later("poll", POLL_S, **given)
        else:
            await later("land", 0, job=given["job"], url=url)

    @queue.entrypoint("land", executor_factory=DatabaseRetryEntrypointExecutor)
    async def land(job: Job) -> None:
        given = json.loads(job.payload or b"")
        await fetch(given["url"], given["job"])

    await queue.run(dequeue_timeout=timedelta(seconds=1))


asyncio.run(main())
