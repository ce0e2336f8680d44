"""A DAG with the recipe's operator, mapped over two exports, whose first tries lose the worker."""

import datetime
import os
from collections.abc import Mapping
from pathlib import Path

import tidewaiter_airflow
from airflow.sdk import DAG

HERE = Path(os.environ["RECIPE_FOLDER"])


class Fragile(tidewaiter_airflow.TidewaiterExport):
    """Fails once in each task instance, where the files would be fetched."""

    def fetch(self, context: Mapping[str, object], event: Mapping[str, int]) -> list[str]:
        mark = HERE / f"died-{context['ti'].map_index}"
        if not mark.exists():
            mark.touch()
            raise RuntimeError("the worker died")
        return super().fetch(context, event)


with DAG("exports", schedule=None, start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)) as dag:
    Fragile.partial(
        task_id="export",
        account="newsletter",
        operation="statistics",
        folder=str(HERE / "files" / "{{ ti.map_index }}"),
        retries=2,
        retry_delay=datetime.timedelta(seconds=1),
    ).expand(export_params=[{"export_type": kind, "period": "LAST_DAY"} for kind in ("OPENS", "CLICKS")])
