"""The landed job in peers, beside the loop written by hand: processor time of the worker, and of its PostgreSQL.

The peers' environments are those of ``make matrix``. Airflow is not here: it starts a process for each task.
``TIDEWAITER_LANDED_JOBS`` makes it fewer jobs than a thousand.
"""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

from tests.bench.landed_loop import loop_s
from tests.bench.processes import BenchError, Cores, cpu_of, cpu_of_children, started, wait_until
from tests.bench.remote import landing_stub
from tests.bench.report import Finding
from tests.support.peer_environments import prepared
from tests.support.postgres import Postgres, running_postgres

_JOBS: Final = int(os.environ.get("TIDEWAITER_LANDED_JOBS", "1000"))
_ROUNDS: Final = 3
_WITHIN_S: Final = 300.0
_WORKERS: Final = Path(__file__).with_name("peers")
_QUEUES: Final = {
    "procrastinate": ("procrastinate", "aiohttp"),
    "pgqueuer": ("pgqueuer", "asyncpg", "aiohttp"),
}
_AIRBYTE: Final = ("airbyte-cdk",)

_Say: TypeAlias = Callable[[str], None]


def measure(folder: Path, cores: Cores, say: _Say) -> list[Finding]:
    """Processor time of landed jobs in each peer beside that of the loop.

    Args:
        folder: for files and logs.
        cores: the clients get one, the servers the others.
        say: told of each run.
    """
    found = {name: prepared(name, packages) for name, packages in {**_QUEUES, "airbyte": _AIRBYTE}.items()}
    used: dict[str, list[float]] = {name: [] for name in ("loop", *found)}
    with running_postgres() as server:
        server.make_durable()
        for number in range(_ROUNDS):
            used["loop"].append(loop_s(folder, cores, number, _JOBS))
            for name in _QUEUES:
                place = folder / f"{name}-{number}"
                used[name].append(_queue_s(place, cores, found[name][0], name, server))
            used["airbyte"].append(_airbyte_s(folder / f"airbyte-{number}", cores, found["airbyte"][0]))
            say("  " + ", ".join(f"{name} {runs[-1]:.2f} s" for name, runs in used.items()))
    return [_ratio(f"CPU of a landed job, {name} {version}", used, name) for name, (_, version) in found.items()]


def _ratio(what: str, used: dict[str, list[float]], name: str) -> Finding:
    ratio = median(run / beside for run, beside in zip(used[name], used["loop"], strict=True))
    measured, reference = (f"{median(used[one]) * 1000 / _JOBS:.2f} ms" for one in (name, "loop"))
    return Finding(what, measured, reference, ratio)


def _queue_s(folder: Path, cores: Cores, python: Path, name: str, server: Postgres) -> float:
    """Seconds of processor time of a worker and of the database server, from the first job on."""
    folder.mkdir()
    output = folder.parent / f"{folder.name}.log"
    database = server.url(server.create(migrated=False))
    with landing_stub(folder.parent, cores.others) as remote:
        worker = [str(python), str(_WORKERS / f"{name}_worker.py"), remote.origin, str(folder), database, str(_JOBS)]
        subprocess.run([*worker, "tables"], check=True)
        with started([*worker, "work"], cores=cores.measured, output=output) as process:
            wait_until(lambda: "ready" in output.read_text(), _WITHIN_S, process, output)
            time.sleep(1.0)
            before = cpu_of(process.pid).all_s + cpu_of_children(server.pid)
            subprocess.run([*worker, "jobs"], check=True)

            def landed() -> bool:
                time.sleep(0.2)
                return sum(not path.name.startswith(".") for path in folder.iterdir()) == _JOBS

            wait_until(landed, _WITHIN_S, process, output)
            time.sleep(1.0)  # the last jobs are ended in the database
            return cpu_of(process.pid).all_s + cpu_of_children(server.pid) - before


def _airbyte_s(folder: Path, cores: Cores, python: Path) -> float:
    """Seconds of processor time of one read."""
    folder.mkdir()
    with landing_stub(folder.parent, cores.others) as remote:
        worker = [str(python), str(_WORKERS / "airbyte_worker.py"), remote.origin, str(folder), "-", str(_JOBS)]
        done = subprocess.run(worker, capture_output=True, check=False, timeout=_WITHIN_S)
    if done.returncode:
        raise BenchError(f"The read failed: {done.stderr.decode(errors='replace')[-500:]}")
    return float(done.stdout.split()[-1])
