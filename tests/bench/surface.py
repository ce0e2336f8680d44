"""The API under load, the page with a million jobs, and an idle daemon's memory and start time."""

import http.client
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median
from subprocess import Popen

import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.bench.account import ACCOUNT
from tests.bench.daemon_under_test import DaemonUnderTest
from tests.bench.databases import sqlite_copies
from tests.bench.processes import BenchError, Cores, memory_of, wait_until
from tests.bench.remote import stub
from tests.bench.report import Finding, at_most
from tests.bench.seeding import seed
from tests.support.postgres import running_postgres
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.domain.search_terms import file_term, parameter_terms

_POLLED_JOBS = 100_000
_MANY_JOBS = 1_000_000
_START_S = 30.0
_WARM_UP_S = 2.0
_PAUSE_S = 0.01
_LOOKS = 15
_LOOKS_AT_VIEW = 3
_IDLE_S = 10.0
_STARTED_S = 1.0
"""After which a daemon has done what it does once at its start."""
_READS_P99_MS = 50.0
_PAGE_MS = 200.0
_IDLE_MB = 80.0
_READY_S = 1.0
_READS = (
    "/v1/jobs/500",
    "/v1/jobs?limit=50",
    "/v1/jobs?state=polling&limit=50",
    "/v1/jobs/900",
)
# Four of five have ended, evenly over the last day, as in a database that is kept for a while; one of 200 has failed.
_END_SOME = """
    UPDATE jobs SET state = 'succeeded', due_at = NULL, ready_at = :now - 86400.0 * id / :jobs - 20.0,
                    landed_at = :now - 86400.0 * id / :jobs - 1.0, finished_at = :now - 86400.0 * id / :jobs
    WHERE id % 5 <> 0
"""
_FAIL_SOME = """
    UPDATE jobs SET state = 'failed', landed_at = NULL, reason = 'HTTP 404: no report ' || id,
                    cause = 'HTTP 404: no report *' WHERE id % 200 = 1
"""
_ADD_TERM = """
    INSERT INTO job_terms (term, job_id) SELECT :term, id FROM jobs WHERE id % :every = 0 ON CONFLICT DO NOTHING
"""
_RARE, _COMMON = "rare.csv", "period=LAST_DAY"
_VIEWS = (
    "/jobs",
    "/jobs?state=failed",
    "/jobs?unhandled=true",
    f"/jobs?q={_RARE}",
    f"/jobs?q={_COMMON}",
    "/jobs?q=404",
    "/jobs?q=nothing-has-this",
    f"/jobs?account={ACCOUNT}&operation=statistics",
    "/jobs/500",
    "/accounts",
    f"/accounts/{ACCOUNT}",
    "/schedules",
    "/trends",
    "/notifications",
    "/batches",
    "/jobs/new",
)
"""The views of the page; searches find one job in 100,000, every job, an id, and none."""


def measure(folder: Path, cores: Cores, seconds: float, say: Callable[[str], None]) -> list[Finding]:
    """How soon people and programs are answered, and what a daemon takes that has nothing to do.

    Args:
        folder: for databases and logs.
        cores: the daemon gets one, everybody else the others.
        seconds: for how long the API is read under load.
        say: told of each part.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores.others)
    try:
        with stub(folder, cores.others) as remote:
            return [
                *_idle(folder, cores, remote.origin, say),
                *_reads(folder, cores, remote.origin, seconds, say),
                *_pages(folder, cores, remote.origin, say),
            ]
    finally:
        os.sched_setaffinity(0, before)


def _idle(folder: Path, cores: Cores, origin: str, say: Callable[[str], None]) -> list[Finding]:
    began_at = time.monotonic()
    with _serving(folder / "idle", f"sqlite:///{folder / 'idle.db'}", origin, cores) as (process, asked):
        ready_s = time.monotonic() - began_at
        asked.get("/")
        time.sleep(_IDLE_S)
        resident, _ = memory_of(process.pid)
    say(f"an idle daemon: ready after {ready_s:.2f} s, {resident:.0f} MB after {_IDLE_S:.0f} s")
    return [
        at_most("start to ready", f"{ready_s:.2f} s", f"{_READY_S:g} s", ready_s / _READY_S, 1),
        at_most("memory of an idle daemon", f"{resident:.0f} MB", f"{_IDLE_MB:g} MB", resident / _IDLE_MB, 1),
    ]


def _reads(folder: Path, cores: Cores, origin: str, seconds: float, say: Callable[[str], None]) -> list[Finding]:
    say(f"reading the API while {_POLLED_JOBS:,} jobs are polled at full rate")
    took: list[float] = []
    with _serving(folder / "reads", sqlite_copies(folder, _POLLED_JOBS)(), origin, cores) as (_, asked):
        time.sleep(_WARM_UP_S)
        until = time.monotonic() + seconds
        for path in cycle(_READS):
            took.append(asked.get(path))
            time.sleep(_PAUSE_S)
            if time.monotonic() > until:
                break
    took.sort()
    p99_ms, p50_ms = took[int(0.99 * len(took))] * 1e3, median(took) * 1e3
    say(f"  {len(took)} reads: median {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, longest {took[-1] * 1e3:.1f} ms")
    return [
        at_most("p99 of reads under load", f"{p99_ms:.1f} ms", f"{_READS_P99_MS:g} ms", p99_ms / _READS_P99_MS, 1),
    ]


def _pages(folder: Path, cores: Cores, origin: str, say: Callable[[str], None]) -> list[Finding]:
    say(f"the page over {_MANY_JOBS:,} jobs, of which four in five have ended")
    found = [_page(folder / "sqlite", cores, origin, f"sqlite:///{folder / 'page.db'}", say)]
    with running_postgres() as server:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE page")
        found.append(_page(folder / "postgresql", cores, origin, server.url("page"), say))
    return found


def _fill(url: str) -> None:
    """Store the jobs, end some of them, and give all one search term and a few another."""
    seed(url, _MANY_JOBS, due=0)
    engine = create_engine(DatabaseAddress.parse(url).for_migrations(), poolclass=NullPool)
    (common,) = parameter_terms({"period": "LAST_DAY"}, {})
    with engine.begin() as connection:
        connection.execute(text(_END_SOME), {"now": time.time(), "jobs": _MANY_JOBS})
        connection.execute(text(_FAIL_SOME))
        connection.execute(text(_ADD_TERM), {"term": common, "every": 1})
        connection.execute(text(_ADD_TERM), {"term": file_term(_RARE), "every": 100_000})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        is_sqlite = engine.dialect.name == "sqlite"
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)" if is_sqlite else "VACUUM ANALYZE"))


def _page(folder: Path, cores: Cores, origin: str, url: str, say: Callable[[str], None]) -> Finding:
    _fill(url)
    with _serving(folder.with_name(f"{folder.name}-cold"), url, origin, cores) as (_, asked):
        asked.get("/")  # compiles the templates, once for an installation
    with _serving(folder.with_name(f"{folder.name}-at-once"), url, origin, cores) as (_, asked):
        at_once_ms = asked.get("/") * 1e3
    with _serving(folder, url, origin, cores) as (_, asked):
        time.sleep(_STARTED_S)
        first_ms = asked.get("/") * 1e3
        later = []
        for _ in range(_LOOKS):
            time.sleep(0.5)  # so that some looks find the picture too old, and it is drawn anew
            later.append(asked.get("/") * 1e3)
        views = {path: max(asked.get(path) for _ in range(_LOOKS_AT_VIEW)) * 1e3 for path in _VIEWS}
    slowest = max(first_ms, *later, *views.values())
    say(f"  {folder.name}: a first look at once {at_once_ms:.0f} ms, after {_STARTED_S:g} s {first_ms:.0f} ms")
    say(f"  later {median(later):.0f} ms, at most {max(later):.0f}")
    say("  " + ", ".join(f"{path} {took_ms:.0f} ms" for path, took_ms in views.items()))
    return at_most(
        f"slowest look at the page, {folder.name}", f"{slowest:.0f} ms", f"{_PAGE_MS:g} ms", slowest / _PAGE_MS, 1
    )


class _Asked:
    """Asks the listener on one connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, path: str) -> float:
        """The seconds from the request to the last byte of its answer.

        Raises:
            BenchError: the answer is none.
        """
        began_at = time.perf_counter()
        self._connection.request("GET", path)
        reply = self._connection.getresponse()
        reply.read()
        if reply.status != 200:
            raise BenchError(f"GET {path} was answered with {reply.status}.")
        return time.perf_counter() - began_at

    def is_ready(self) -> bool:
        """Whether the daemon serves."""
        try:
            self.get("/readyz")
        except (OSError, http.client.HTTPException, BenchError):
            self._connection.close()
            return False
        return True


@contextmanager
def _serving(folder: Path, database: str, origin: str, cores: Cores) -> Iterator[tuple[Popen[bytes], _Asked]]:
    """A daemon with a listener, from the moment at which it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    daemon = DaemonUnderTest.configure(folder, database, origin, more=f'[http]\nlisten = "127.0.0.1:{port}"\n')
    asked = _Asked(port)
    with daemon.serve(cores.measured) as process:
        wait_until(asked.is_ready, _START_S, process, daemon.log)
        yield process, asked
