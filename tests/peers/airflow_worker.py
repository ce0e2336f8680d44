"""A whole Airflow on one machine: API server, scheduler with its local executor, triggerer and DAG processor.

``prepare NAME`` makes the tables, ``work NAME`` works; the name tells which operator the DAG has, which runs once. What
finds dead processes waits 10 s at most in place of 30 s to 300 s, which is kinder to Airflow: each setting below with
``timeout``, ``interval`` or ``threshold``.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
HOME = Path.cwd() / "airflow"
AIRFLOW = str(Path(sys.executable).with_name("airflow"))


def free_port() -> str:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def listens(port: str) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(port))) == 0


def settings(port: str) -> dict[str, str]:
    """The environment of Airflow."""
    address = urlsplit(os.environ["DSN"])
    values = {
        "CORE__DAGS_FOLDER": str(HOME / "dags"),
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": "2",
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__WORKERS": "1",
        "API_AUTH__JWT_SECRET": "no secret at all, but long enough for the algorithm that signs with it, as it is here",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "DATABASE__SQL_ALCHEMY_CONN": address._replace(scheme="postgresql+psycopg2").geturl(),
        "DATABASE__SQL_ALCHEMY_CONN_ASYNC": address._replace(scheme="postgresql+asyncpg").geturl(),
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    named = {f"AIRFLOW__{key}": value for key, value in values.items()}
    return {
        **kept,
        **named,
        "AIRFLOW_HOME": str(HOME),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(HERE),
        "OPERATOR": sys.argv[2],
    }


def main() -> None:
    """Make the tables and the run, or work until one of the processes ends."""
    port = free_port()
    environ = settings(port)
    if sys.argv[1] == "prepare":
        (HOME / "dags").mkdir(parents=True)
        shutil.copy(HERE / "airflow_dag.py", HOME / "dags")
        subprocess.run([AIRFLOW, "db", "migrate"], env=environ, check=True)
        return
    parts = [subprocess.Popen([AIRFLOW, "api-server", "--host", "127.0.0.1", "--port", port], env=environ)]
    while not listens(port):  # a task that starts earlier fails
        time.sleep(0.2)
    parts += [
        subprocess.Popen([AIRFLOW, *part], env=environ)
        for part in (["scheduler", "--skip-serve-logs"], ["triggerer", "--skip-serve-logs"], ["dag-processor"])
    ]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while all(part.poll() is None for part in parts):
        time.sleep(0.2)
    sys.exit(1)


main()
