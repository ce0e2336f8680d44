"""A Dagster resource that requests exports and fetches their files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from tidewaiter.client import ENDED, Client, State, require_success


def key_of(context: dg.OpExecutionContext | dg.AssetExecutionContext, name: str) -> str:
    """One key for each step and export, the same in every try and when the run is executed again from its failure."""
    step = context.get_step_execution_context().step.key
    return f"dagster/{context.run.root_run_id or context.run.run_id}/{step}/{name}"


class Tidewaiter(dg.ConfigurableResource):
    """A daemon. The token is best given as ``dg.EnvVar("TIDEWAITER_TOKEN")``."""

    url: str
    token: str | None = None

    def export(
        self,
        context: dg.OpExecutionContext | dg.AssetExecutionContext,
        account: str,
        operation: str,
        params: Mapping[str, Any],
        folder: str | Path,
        *,
        name: str = "export",
    ) -> list[Path]:
        """The files of an export, which is requested once for each step.

        Args:
            context: of the op or the asset.
            account: of the daemon.
            operation: of the account's provider.
            params: of the operation.
            folder: for the files; it is made.
            name: tells the exports of one step apart.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with Client(self.url, self.token) as client:
            job = client.submit(account, operation, params, unique_key=key_of(context, name))
            if job.state in ENDED - {State.SUCCEEDED, State.PARKED}:  # an earlier try has failed
                job = client.retry(job.id)
            context.log.info("job %s is %s", job.id, job.state)
            job = require_success(client.wait(job.id))
            return [client.download(file, folder) for file in client.files(job.id)]
