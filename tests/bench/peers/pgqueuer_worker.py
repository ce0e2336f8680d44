"""PgQueuer: three entrypoints for a landed job, each of which stores the next job."""

import asyncio
import json
import sys
from datetime import timedelta

import asyncpg
from landing_client import CONCURRENCY, DSN, JOBS, POLL_S, Client
from pgqueuer import PgQueuer
from pgqueuer.core.executors import DatabaseRetryEntrypointExecutor
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries


async def main() -> None:
    """Make the tables, or the jobs, or work."""
    driver = AsyncpgDriver(await asyncpg.connect(DSN))
    queries = Queries(driver)
    if sys.argv[5] == "tables":
        await queries.install()
        return
    if sys.argv[5] == "jobs":
        payloads = [json.dumps({"job": str(number)}).encode() for number in range(JOBS)]
        await queries.enqueue(["submit"] * JOBS, list(payloads), [0] * JOBS)
        return
    queue, client = PgQueuer(driver), Client()

    async def later(step: str, seconds: float, **what: str) -> None:
        await queries.enqueue([step], [json.dumps(what).encode()], [0], [timedelta(seconds=seconds)])

    @queue.entrypoint("submit", executor_factory=DatabaseRetryEntrypointExecutor)
    async def submit(job: Job) -> None:
        given = json.loads(job.payload or b"")
        await later("poll", POLL_S, job=given["job"], export=await client.make())

    @queue.entrypoint("poll", executor_factory=DatabaseRetryEntrypointExecutor)
    async def poll(job: Job) -> None:
        given = json.loads(job.payload or b"")
        if await client.ready(given["export"]):
            await later("land", 0, **given)
        else:
            await later("poll", POLL_S, **given)

    @queue.entrypoint("land", executor_factory=DatabaseRetryEntrypointExecutor)
    async def land(job: Job) -> None:
        given = json.loads(job.payload or b"")
        await client.fetch(given["export"], given["job"])

    print("ready", flush=True)
    await queue.run(dequeue_timeout=timedelta(seconds=1), batch_size=CONCURRENCY)


asyncio.run(main())
