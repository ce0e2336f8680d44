"""Procrastinate, as its documentation recommends: small idempotent tasks, retries, and a task for stalled jobs.

https://procrastinate.readthedocs.io/en/stable/howto/production/retry_stalled_jobs.html. The cron of that page is every
ten minutes; every five seconds is kinder to it.
"""

import asyncio
import sys

import procrastinate
from exports_client import DSN, POLL_S, fetch, link, make

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=DSN))
retry = procrastinate.RetryStrategy(max_attempts=10, wait=1)


@app.task(name="submit", retry=retry)
async def submit(job: str) -> None:
    """Make the remote job; its name is stored with the next task."""
    await poll.configure(schedule_in={"seconds": POLL_S}).defer_async(job=job, export=await make(job))


@app.task(name="poll", retry=retry)
async def poll(job: str, export: str) -> None:
    """Ask, and ask again later."""
    url = await link(export)
    if url is None:
        await poll.configure(schedule_in={"seconds": POLL_S}).defer_async(job=job, export=export)
    else:
        await land.defer_async(job=job, url=url)


@app.task(name="land", retry=retry)
async def land(job: str, url: str) -> None:
    """Fetch the file."""
    await fetch(url, job)


@app.periodic(cron="* * * * * */5")
@app.task(queueing_lock="retry_stalled_jobs", pass_context=True)
async def retry_stalled_jobs(context: procrastinate.JobContext, timestamp: int) -> None:
    """What the worker of a dead process was doing is done again."""
    for job in await app.job_manager.get_stalled_jobs():
        await app.job_manager.retry_job(job)


async def main() -> None:
    """Make the tables and the job, or work."""
    async with app.open_async():
        if sys.argv[1] == "prepare":
            await app.schema_manager.apply_schema_async()
            await submit.defer_async(job="1")
        else:
            await app.run_worker_async(concurrency=4, fetch_job_polling_interval=0.5)


asyncio.run(main())
