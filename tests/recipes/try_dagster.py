"""Runs a job with the recipe's resource: a step that is retried, then the run again from its failure; and an asset."""

import os
from pathlib import Path

import dagster as dg
from tidewaiter_dagster import Tidewaiter

HERE = Path(os.environ["RECIPE_FOLDER"])
RESOURCES = {"tidewaiter": Tidewaiter(url=dg.EnvVar("TIDEWAITER_URL"))}


@dg.op(retry_policy=dg.RetryPolicy(max_retries=1))
def opens(context: dg.OpExecutionContext, tidewaiter: Tidewaiter) -> list[str]:
    """Fetches the export, and fails in the first two of three tries."""
    params = {"export_type": "OPENS", "period": "LAST_DAY"}
    paths = tidewaiter.export(context, "newsletter", "statistics", params, HERE / "files")
    tries = len(list(HERE.glob("died-*")))
    if tries < 2:
        (HERE / f"died-{tries}").touch()
        raise RuntimeError("the worker died")
    return [str(path) for path in paths]


@dg.job(resource_defs=RESOURCES)
def exports() -> None:
    """One step."""
    opens()


@dg.asset
def clicks(context: dg.AssetExecutionContext, tidewaiter: Tidewaiter) -> list[str]:
    """An asset, whose context is of another class."""
    params = {"export_type": "CLICKS", "period": "LAST_DAY"}
    return [str(path) for path in tidewaiter.export(context, "newsletter", "statistics", params, HERE / "files")]


def main() -> None:
    """Run the job, which fails; run it again from its failure, each in processes of its own; and make the asset."""
    instance, job = dg.DagsterInstance.get(), dg.reconstructable(exports)
    first = dg.execute_job(job, instance=instance, raise_on_error=False)
    assert not first.success
    options = dg.ReexecutionOptions.from_failure(first.run_id, instance)
    assert dg.execute_job(job, instance=instance, reexecution_options=options).success
    assert len(list(HERE.glob("died-*"))) == 2
    assert dg.materialize([clicks], instance=instance, resources=RESOURCES).success


if __name__ == "__main__":
    main()
