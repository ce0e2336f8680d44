"""An Airflow operator that requests an export and fetches its files; while it waits, it holds no worker."""

import os
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from tidewaiter.client import ENDED, AsyncClient, Client, State, require_success


def daemon() -> tuple[str, str | None]:
    """The address and the token of the daemon: the workers and the triggerer have both in their environment."""
    return os.environ["TIDEWAITER_URL"], os.environ.get("TIDEWAITER_TOKEN")


def key_of(task: Any) -> str:
    """One key for each task instance, the same in every try."""
    name = f"airflow/{task.dag_id}/{task.run_id}/{task.task_id}/{task.map_index}"
    return name if name.isascii() and len(name) <= 255 else f"airflow/{sha256(name.encode()).hexdigest()}"


class TidewaiterExport(BaseOperator):
    """Requests an export once for each task instance, and returns the paths of its files."""

    template_fields = ("account", "operation", "export_params", "folder")

    def __init__(
        self, *, account: str, operation: str, export_params: Mapping[str, Any], folder: str, **options: Any
    ) -> None:
        super().__init__(**options)
        self.account = account
        self.operation = operation
        self.export_params = export_params
        self.folder = folder

    def execute(self, context: Mapping[str, Any]) -> list[str]:
        """Submit. A later try finds the job of the first one; only if that has failed, it is submitted again."""
        with Client(*daemon()) as client:
            job = client.submit(self.account, self.operation, self.export_params, unique_key=key_of(context["ti"]))
            if job.state in ENDED - {State.SUCCEEDED, State.PARKED}:
                job = client.retry(job.id)
        if job.state not in ENDED:
            self.defer(trigger=ExportTrigger(job.id), method_name="fetch")
        return self.fetch(context, {"job": job.id})

    def fetch(self, context: Mapping[str, Any], event: Mapping[str, int]) -> list[str]:  # noqa: ARG002  # Airflow's own
        """Fetch the files of the job that has ended."""
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        with Client(*daemon()) as client:
            job = require_success(client.job(event["job"]))
            return [str(client.download(file, folder)) for file in client.files(job.id)]


class ExportTrigger(BaseTrigger):
    """Waits for a job, in the triggerer."""

    def __init__(self, job: int) -> None:
        super().__init__()
        self.job = job

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What the triggerer makes the trigger of."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"job": self.job}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait with a long poll; a daemon that restarts is waited for."""
        async with AsyncClient(*daemon()) as client:
            job = await client.wait(self.job)
        yield TriggerEvent({"job": job.id})
