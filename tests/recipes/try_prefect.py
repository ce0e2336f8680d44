"""Runs a flow with the recipe's task: a retried task, a retried flow, and an export that was cancelled before."""

import asyncio
import os
from pathlib import Path

from prefect import flow, task
from prefect.context import FlowRunContext
from tidewaiter_prefect import export, key_of

from tidewaiter.client import AsyncClient, State

HERE = Path(os.environ["RECIPE_FOLDER"])
OPENS = {"export_type": "OPENS", "period": "LAST_DAY"}
CLICKS = {"export_type": "CLICKS", "period": "LAST_DAY"}


@task
async def lose_the_worker() -> None:
    """Fails in the first run of the flow."""
    mark = HERE / "died"
    if not mark.exists():
        mark.touch()
        raise RuntimeError("the worker died")


@flow(retries=1)
async def exports() -> list[Path]:
    """Two exports; the second one was requested and cancelled before."""
    context = FlowRunContext.get()
    assert context is not None
    if not (HERE / "died").exists():
        async with AsyncClient(os.environ["TIDEWAITER_URL"]) as client:
            key = key_of("newsletter", "statistics", CLICKS)
            job = await client.submit("newsletter", "statistics", CLICKS, unique_key=key)
            await client.cancel(job.id)
            assert (await client.wait(job.id)).state is State.CANCELLED
    paths = await export("newsletter", "statistics", OPENS, str(HERE / "files"))
    await lose_the_worker()
    return paths + await export("newsletter", "statistics", CLICKS, str(HERE / "files"))


paths = asyncio.run(exports())
assert len(paths) == 2, paths
