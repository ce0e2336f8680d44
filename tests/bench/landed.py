"""A landed job: submit, three pending polls, ready, a file of 10 KB; beside a loop written by hand with aiohttp.

Both are measured in processor time of their process (for PostgreSQL with that of its server), so that the load of the
machine matters little. A further run on SQLite counts crossings, statements, commits and syncs.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

from tests.bench.account import ACCOUNT, CONCURRENCY
from tests.bench.daemon_under_test import DaemonUnderTest
from tests.bench.databases import Fresh, postgres_copies, sqlite_copies
from tests.bench.landed_loop import INTERVAL_S, loop_s
from tests.bench.processes import Cores, cpu_of, cpu_of_children, wait_until
from tests.bench.remote import Stub, landing_stub
from tests.bench.report import Finding, at_most
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import NewJob

_JOBS: Final = 1000
_ROUNDS: Final = 3
_WITHIN_S: Final = 180.0
_SQLITE_TARGET: Final = 3.0
_POSTGRESQL_TARGET: Final = 4.0
_CROSSINGS_TARGET: Final = 4.0
_DEADLINE_S: Final = 86_400.0

_Say: TypeAlias = Callable[[str], None]


def measure(folder: Path, cores: Cores, say: _Say) -> list[Finding]:
    """Processor time of landed jobs on both databases beside that of the loop, and counts.

    Args:
        folder: for databases, files and logs.
        cores: the clients get one, the servers the others.
        say: told of each run.
    """
    used: dict[str, list[float]] = {"loop": [], "sqlite": [], "postgresql": []}
    with postgres_copies(0) as fresh_postgres:
        fresh_sqlite = sqlite_copies(folder, 0)
        for number in range(_ROUNDS):
            used["loop"].append(loop_s(folder, cores, number, _JOBS))
            used["sqlite"].append(_daemon_s(folder / f"sqlite-{number}", cores, fresh_sqlite))
            used["postgresql"].append(
                _daemon_s(folder / f"postgresql-{number}", cores, fresh_postgres, fresh_postgres.server_pid)
            )
            say("  " + ", ".join(f"{name} {runs[-1]:.2f} s" for name, runs in used.items()))
        counts = _counts(folder / "counted", cores, fresh_sqlite)
    crossings = counts["crossings"]
    say(f"  counts for {_JOBS} landed jobs on SQLite: {counts}")
    return [
        _ratio("CPU of a landed job, SQLite", used, "sqlite", _SQLITE_TARGET),
        _ratio("CPU of a landed job, PostgreSQL with its server", used, "postgresql", _POSTGRESQL_TARGET),
        at_most("crossings for a landed job", f"{crossings}", f"{_JOBS} jobs", crossings / _JOBS, _CROSSINGS_TARGET),
        *(
            Finding(f"{name} for a landed job", f"{counts[name]}", f"{_JOBS} jobs", counts[name] / _JOBS)
            for name in ("statements", "commits", "syncs")
        ),
    ]


def _ratio(what: str, used: dict[str, list[float]], name: str, target: float) -> Finding:
    ratio = median(run / beside for run, beside in zip(used[name], used["loop"], strict=True))
    measured, reference = median(used[name]), median(used["loop"])
    return at_most(what, f"{measured:.2f} ms", f"{reference:.2f} ms", ratio, target)


def configured(folder: Path, database: str, remote: Stub) -> DaemonUnderTest:
    """A daemon whose jobs are polled every second."""
    first = f"first_delay_s = {INTERVAL_S}\n"
    # As many files at once as the loop downloads.
    return DaemonUnderTest.configure(
        folder, database, remote.origin, first, interval_s=INTERVAL_S, downloads=CONCURRENCY
    )


def _daemon_s(folder: Path, cores: Cores, fresh: Fresh, server: int | None = None) -> float:
    """Seconds of processor time of a daemon, and of the database server, from the first job on."""
    database = fresh()
    with landing_stub(folder.parent, cores.others) as remote:
        daemon = configured(folder, database, remote)
        with daemon.serve(cores.measured) as process:
            wait_until(lambda: any(daemon.events("lane.taken")), _WITHIN_S, process, daemon.log)
            time.sleep(1.0)

            def used_s() -> float:
                return cpu_of(process.pid).all_s + (0.0 if server is None else cpu_of_children(server))

            before = used_s()
            asyncio.run(submit(database, _JOBS))
            until_landed(daemon, process, _JOBS)
            return used_s() - before


def _counts(folder: Path, cores: Cores, fresh: Fresh) -> dict[str, int]:
    database = fresh()
    path = folder.parent / "counts.json"
    with landing_stub(folder.parent, cores.others) as remote:
        daemon = configured(folder, database, remote)
        with daemon.serve(cores.measured, "tests.bench.counted_database", str(path)) as process:
            wait_until(lambda: any(daemon.events("lane.taken")), _WITHIN_S, process, daemon.log)
            asyncio.run(submit(database, _JOBS))
            until_landed(daemon, process, _JOBS)
    counts: dict[str, int] = json.loads(path.read_text())
    return counts


def until_landed(daemon: DaemonUnderTest, process: "subprocess.Popen[bytes]", jobs: int) -> None:
    """Wait until so many jobs have ended.

    Raises:
        BenchError: they do not, or the daemon has ended.
    """

    def landed() -> bool:
        time.sleep(0.2)
        return sum(1 for _ in daemon.events("job.finished")) >= jobs

    wait_until(landed, _WITHIN_S, process, daemon.log)


async def submit(url: str, jobs: int, each_s: float = 0.0, times: int = 1) -> None:
    """Store so many jobs that are due at once, as another process does, and again every ``each_s``."""
    clock = SystemClock()
    database = Database.open(url, clock)
    try:
        (lane,) = await LaneStore(database).ids(ACCOUNT)
        new = NewJob(ACCOUNT, "statistics", {"export_type": "OPENS", "period": "LAST_DAY"}, _DEADLINE_S)
        began = clock.monotonic()
        for number in range(times):
            await asyncio.sleep(max(0.0, began + number * each_s - clock.monotonic()))
            await JobStore(database).add_many([(new, lane)] * jobs, clock.now())
    finally:
        await database.close()
