"""One export in Airflow, twice: a deferrable operator, and one with the mixin for jobs that survive their worker.

https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/deferring.html and
https://airflow.apache.org/docs/task-sdk/stable/resumable-job-mixin.html. Tasks are retried after a second.
"""

import asyncio
import datetime
import os
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import DAG, BaseOperator, ResumableJobMixin
from airflow.triggers.base import BaseTrigger, TriggerEvent
from exports_client import POLL_S, fetch, link, make


class Ready(BaseTrigger):
    """Polls until the export has a file."""

    def __init__(self, export: str) -> None:
        super().__init__()
        self.export = export

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and what makes it again."""
        return "airflow_dag.Ready", {"export": self.export}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll."""
        while (url := await link(self.export)) is None:  # noqa: ASYNC110  # another machine makes the file
            await asyncio.sleep(POLL_S)
        yield TriggerEvent({"url": url})


class Deferrable(BaseOperator):
    """Submits, waits in a trigger that has the export's name, and fetches."""

    def execute(self, context: dict[str, Any]) -> None:
        """Submit."""
        self.defer(trigger=Ready(asyncio.run(make("1"))), method_name="execute_complete")

    def execute_complete(self, context: dict[str, Any], event: dict[str, str]) -> None:
        """Fetch."""
        asyncio.run(fetch(event["url"], "1"))


class Resumable(ResumableJobMixin, BaseOperator):
    """Submits, stores the export's name, polls and fetches in one task.

    It fetches in ``execute``: the mixin does not call ``get_job_result`` when it goes on with a job that is active.
    """

    export = ""

    def execute(self, context: dict[str, Any]) -> None:
        """Submit, or go on with the export that an earlier try has stored; then fetch."""
        self.execute_resumable(context)
        url = asyncio.run(link(self.export))
        assert url is not None
        asyncio.run(fetch(url, "1"))

    def submit_job(self, context: dict[str, Any]) -> str:
        """Submit."""
        self.export = asyncio.run(make("1"))
        return self.export

    def get_job_status(self, external_id: str, context: dict[str, Any]) -> str:
        """Ask once."""
        self.export = external_id
        return "working" if asyncio.run(link(external_id)) is None else "ready"

    def is_job_active(self, status: str) -> bool:
        """Whether it is worth waiting."""
        return status == "working"

    def is_job_succeeded(self, status: str) -> bool:
        """Whether there is a file."""
        return status == "ready"

    def poll_until_complete(self, external_id: str, context: dict[str, Any]) -> None:
        """Poll."""
        while asyncio.run(link(external_id)) is None:
            time.sleep(POLL_S)

    def get_job_result(self, external_id: str, context: dict[str, Any]) -> None:
        """Nothing: the file is fetched in ``execute``."""


OPERATORS = {"airflow": Deferrable, "airflow-resumable": Resumable}
with DAG(
    "exports", schedule="@once", start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), catchup=True
) as exports:
    OPERATORS[os.environ["OPERATOR"]](task_id="export", retries=5, retry_delay=datetime.timedelta(seconds=1))
