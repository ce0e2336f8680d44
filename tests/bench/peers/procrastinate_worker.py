"""Procrastinate: three small tasks for a landed job, each of which stores the next one."""

import asyncio
import sys

import procrastinate
from landing_client import CONCURRENCY, DSN, JOBS, POLL_S, Client

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=DSN))
retry = procrastinate.RetryStrategy(max_attempts=10, wait=1)
clients: list[Client] = []


@app.task(name="submit", retry=retry)
async def submit(job: str) -> None:
    """Make the remote job; its name is stored with the next task."""
    export = await clients[0].make()
    await poll.configure(schedule_in={"seconds": POLL_S}).defer_async(job=job, export=export)


@app.task(name="poll", retry=retry)
async def poll(job: str, export: str) -> None:
    """Ask, and ask again later."""
    if await clients[0].ready(export):
        await land.defer_async(job=job, export=export)
    else:
        await poll.configure(schedule_in={"seconds": POLL_S}).defer_async(job=job, export=export)


@app.task(name="land", retry=retry)
async def land(job: str, export: str) -> None:
    """Fetch the file."""
    await clients[0].fetch(export, job)


async def main() -> None:
    """Make the tables, or the jobs, or work."""
    async with app.open_async():
        if sys.argv[5] == "tables":
            await app.schema_manager.apply_schema_async()
        elif sys.argv[5] == "jobs":
            await submit.batch_defer_async(*({"job": str(number)} for number in range(JOBS)))
        else:
            clients.append(Client())
            print("ready", flush=True)
            await app.run_worker_async(concurrency=CONCURRENCY, fetch_job_polling_interval=0.5)


asyncio.run(main())
