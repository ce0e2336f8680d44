"""Runs the DAG in a whole Airflow: scheduler, triggerer, DAG processor and API server, as ``airflow standalone`` does."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(os.environ["RECIPE_FOLDER"])
AIRFLOW = str(Path(sys.executable).with_name("airflow"))
WITHIN_S = 300


def airflow(*words: str) -> str:
    """What a command prints."""
    done = subprocess.run([AIRFLOW, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def state() -> str:
    """The state of the run."""
    lines = airflow("dags", "list-runs", "exports", "-o", "plain").splitlines()
    return next((word for line in lines for word in line.split() if word in {"success", "failed"}), "running")


def main() -> None:
    """Start Airflow, run the DAG once, and stop Airflow."""
    (HERE / "dags").mkdir()
    shutil.copy(Path(__file__).with_name("airflow_dag.py"), HERE / "dags")
    with (HERE / "airflow.log").open("w") as log:
        server = subprocess.Popen([AIRFLOW, "standalone"], stdout=log, stderr=log, start_new_session=True)
    try:
        ends_at = time.monotonic() + WITHIN_S
        while "exports" not in subprocess.run(
            [AIRFLOW, "dags", "list", "-o", "plain"], capture_output=True, text=True, check=False
        ).stdout:
            assert time.monotonic() < ends_at, (HERE / "airflow.log").read_text()
            time.sleep(2)
        airflow("dags", "unpause", "-y", "exports")
        airflow("dags", "trigger", "exports")
        while (found := state()) == "running":
            assert time.monotonic() < ends_at, (HERE / "airflow.log").read_text()
            time.sleep(2)
        assert found == "success", (HERE / "airflow.log").read_text()
    finally:
        os.killpg(server.pid, 15)
        server.wait(60)


main()
