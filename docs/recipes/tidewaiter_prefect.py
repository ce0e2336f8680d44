"""A Prefect task that requests an export and fetches its files."""

import asyncio
import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.runtime import flow_run, task_run

from tidewaiter.client import ENDED, AsyncClient, State, require_success


def key_of(account: str, operation: str, params: Mapping[str, Any]) -> str:
    """One key for each question of a flow run, the same in every try of the task and of the flow."""
    question = json.dumps([account, operation, params], sort_keys=True).encode()
    return f"prefect/{flow_run.get_id() or task_run.get_id()}/{sha256(question).hexdigest()}"


@task(retries=3, retry_delay_seconds=30)
async def export(account: str, operation: str, params: Mapping[str, Any], folder: str) -> list[Path]:
    """The files of an export, which a flow run requests once.

    Args:
        account: of the daemon, whose address and token are in ``TIDEWAITER_URL`` and ``TIDEWAITER_TOKEN``.
        operation: of the account's provider.
        params: of the operation.
        folder: for the files; it is made.
    """
    target = Path(folder)
    await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True)
    async with AsyncClient(os.environ["TIDEWAITER_URL"], os.environ.get("TIDEWAITER_TOKEN")) as client:
        job = await client.submit(account, operation, params, unique_key=key_of(account, operation, params))
        if job.state in ENDED - {State.SUCCEEDED, State.PARKED}:  # an earlier try has failed
            job = await client.retry(job.id)
        get_run_logger().info("job %s is %s", job.id, job.state)
        job = require_success(await client.wait(job.id))
        return [await client.download(file, target) for file in await client.files(job.id)]
