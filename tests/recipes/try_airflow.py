"""Runs the DAG in a whole Airflow: API server, scheduler, triggerer and DAG processor, each a process on loopback."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

HERE: Final = Path(os.environ["RECIPE_FOLDER"])
AIRFLOW: Final = str(Path(sys.executable).with_name("airflow"))
PARTS: Final = (
    ("api-server", "--host", "127.0.0.1", "--port", os.environ["AIRFLOW__API__PORT"]),
    ("scheduler", "--skip-serve-logs"),
    ("triggerer", "--skip-serve-logs"),
    ("dag-processor",),
)
WITHIN_S: Final = 300


def found(query: str) -> list[str]:
    """The first column of what Airflow's database has."""
    database = sqlite3.connect(f"file:{HERE}/airflow/airflow.db?mode=ro", uri=True)
    try:
        return [str(row[0]) for row in database.execute(query)]
    finally:
        database.close()


def until(is_so: Callable[[], bool], parts: list["subprocess.Popen[bytes]"]) -> None:
    """Wait, and end with Airflow's log if a part has ended or the time is over."""
    ends_at = time.monotonic() + WITHIN_S
    while not is_so():
        if time.monotonic() > ends_at or any(part.poll() is not None for part in parts):
            sys.exit((HERE / "airflow.log").read_text())
        time.sleep(0.5)


def main() -> None:
    """Start Airflow, run the DAG once, and stop Airflow."""
    (HERE / "dags").mkdir()
    shutil.copy(Path(__file__).with_name("airflow_dag.py"), HERE / "dags")
    with (HERE / "airflow.log").open("w") as log:
        subprocess.run([AIRFLOW, "db", "migrate"], stdout=log, stderr=log, check=True)
        parts = [subprocess.Popen([AIRFLOW, *part], stdout=log, stderr=log) for part in PARTS]
        try:
            until(lambda: found("SELECT dag_id FROM dag") == ["exports"], parts)
            subprocess.run([AIRFLOW, "dags", "unpause", "-y", "exports"], stdout=log, stderr=log, check=True)
            subprocess.run([AIRFLOW, "dags", "trigger", "exports"], stdout=log, stderr=log, check=True)
            until(lambda: found("SELECT state FROM dag_run")[0] in ("success", "failed"), parts)
            tasks = found(
                "SELECT task_id || ' ' || map_index || ' ' || state || ', try ' || try_number FROM task_instance"
            )
            log_text = (HERE / "airflow.log").read_text()
            print(*tasks, sep="\n")
            assert found("SELECT state FROM dag_run") == ["success"], log_text
            assert log_text.count("Pausing task as DEFERRED") == len(tasks), log_text
        finally:
            for part in parts:
                part.terminate()
            for part in parts:
                part.wait(60)


main()
