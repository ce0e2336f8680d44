"""What grows with the number of jobs: the cost of each question among 10,000, 100,000 and a million of them.

SQLite counts the instructions of its virtual machine, PostgreSQL the pages that it touches (``EXPLAIN (BUFFERS)``):
no load of the machine changes them. The shortest of a few runs is shown beside them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import psycopg
from sqlalchemy import Engine, event

from tests.bench.growth_seeding import ACCOUNTS, HISTORY_ROWS, TERMS, seed_growth
from tests.bench.processes import cpu_of_children
from tests.bench.report import Finding
from tests.support.database_engines import all_engines
from tests.support.postgres import running_postgres
from tidewaiter.clock import SystemClock
from tidewaiter.database.due_store import DueQuestion, DueStore
from tidewaiter.database.engine import Database
from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.state_counts import StateCounts
from tidewaiter.domain.job import State, Track

_SIZES: Final = (10_000, 100_000, 1_000_000)
_RUNS: Final = 3
_STEP: Final = 100
_DELETED: Final = 500
_BATCHES: Final = 10
_OPERATIONS: Final = dict.fromkeys(ACCOUNTS, ("statistics", "rare"))

_Say: TypeAlias = Callable[[str], None]
_Question: TypeAlias = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Cost:
    """Thousands of instructions on SQLite, or pages on PostgreSQL; and milliseconds."""

    counted: float
    ms: float


def _questions(database: Database) -> Mapping[str, _Question]:
    jobs, lanes, due = JobStore(database), LaneStore(database), DueStore(database)
    lists, census = JobList(jobs), StateCounts(database)
    now = time.time()
    tracks = [DueQuestion(lane, track, 64) for lane in range(1, len(ACCOUNTS) + 1) for track in Track]

    def page(conditions: JobFilter) -> _Question:
        return lambda: lists.page(conditions, 50, None, _OPERATIONS)

    return {
        "due jobs of all lanes": lambda: due.due(tracks, now),
        "next due time of all lanes": lambda: jobs.next_due(range(1, len(ACCOUNTS) + 1)),
        "oldest due job": lambda: DueStore(jobs.database).first_waiting(4),
        "claim of a lane": lambda: lanes.take("bench", 1, 0.0, force=False, accounts=ACCOUNTS),
        "remote jobs of a lane": lambda: jobs.remote(1),
        "counts by state, all jobs": jobs.counts,
        "counts by state, kept": lambda: census.counts(0.0),
        "find: newest": lambda: jobs.find(limit=50),
        "find: account": lambda: jobs.find(account=ACCOUNTS[3]),
        "find: state": lambda: jobs.find(states=[State.FETCHING, State.PARKED]),
        "find: unhandled": lambda: jobs.find(unhandled=True),
        "find: unhandled, account": lambda: jobs.find(unhandled=True, account=ACCOUNTS[8]),
        "list: newest": page(JobFilter()),
        "list: account, state": page(JobFilter(account=ACCOUNTS[8], states=[State.FAILED])),
        "list: operation": page(JobFilter(operation="rare")),
        "list: key": page(JobFilter(unique_key="key-77")),
        "list: created in a day": page(JobFilter(created_after=now - 50 * 86400, created_before=now - 49 * 86400)),
        "list: cause": page(JobFilter(cause="nothing")),
        "search: beginning of a key": page(JobFilter(search="key-77")),
        "search: text of a reason": page(JobFilter(search="such period")),
    }


def measure(folder: Path, say: _Say, sizes: Sequence[int] = _SIZES) -> list[Finding]:
    """Ask everything on both databases, at each size.

    Args:
        folder: for the files of SQLite.
        say: told of each figure.
        sizes: how many jobs.
    """
    costs: dict[str, list[_Cost]] = {}
    with running_postgres() as server:
        for size in sizes:
            sqlite = f"sqlite:///{folder / f'growth-{size}.db'}"
            with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE growth_{size}".encode())
            databases = (("SQLite", sqlite, None), ("PostgreSQL", server.url(f"growth_{size}"), server.pid))
            for name, url, pid in databases:
                began = time.monotonic()
                seed_growth(url, size)
                made_s = time.monotonic() - began
                say(f"{size:,} jobs in {name}, made in {made_s:.0f} s; {_bytes(url) / size:.0f} bytes for each")
                for what, cost in asyncio.run(_ask(url, pid)).items():
                    costs.setdefault(f"{name}, {what}", []).append(cost)
                    say(f"  {what:42} {cost.counted:10.1f} {_UNITS[name]:6} {cost.ms:9.2f} ms")
    return [_finding(what, found, sizes) for what, found in costs.items()]


_UNITS: Final = {"SQLite": "k", "PostgreSQL": "pages"}


def _finding(what: str, found: Sequence[_Cost], sizes: Sequence[int]) -> Finding:
    unit = _UNITS[what.partition(",")[0]]
    first, last = found[0], found[-1]
    return Finding(
        what,
        f"{last.counted:.1f} {unit}, {last.ms:.1f} ms among {sizes[-1]:,}",
        f"{first.counted:.1f} {unit}, {first.ms:.1f} ms among {sizes[0]:,}",
        last.counted / max(first.counted, 0.1),
    )


def _bytes(url: str) -> int:
    if url.startswith("sqlite"):
        return Path(url.removeprefix("sqlite:///")).stat().st_size
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return 0 if row is None else int(row[0])


async def _ask(url: str, server: int | None) -> dict[str, _Cost]:
    database = Database.open(url, SystemClock())
    try:
        with _meter(database, url) as counted:
            found = {what: await _cost(question, counted) for what, question in _questions(database).items()}
        batch = f"retention, CPU for {_DELETED} jobs with {HISTORY_ROWS} + 1 + {TERMS} rows each"
        found[batch] = await _retention(database, server)
        return found
    finally:
        await database.close()


async def _cost(question: _Question, counted: Callable[[], float]) -> _Cost:
    times, count = [], 0.0
    for _ in range(_RUNS):
        counted()
        began = time.perf_counter()
        await question()
        times.append(time.perf_counter() - began)
        count = counted()
    return _Cost(count, min(times) * 1000)


async def _retention(database: Database, server: int | None) -> _Cost:
    """How many jobs ten batches deleted, and the processor time of a batch: of this process, or of the server."""

    def used_s() -> float:
        return time.process_time() if server is None else cpu_of_children(server)

    jobs, deleted, before_s = JobStore(database), 0, used_s()
    for _ in range(_BATCHES):
        deleted += await jobs.delete_finished(time.time() - 30 * 86400, _DELETED)
    return _Cost(float(deleted), (used_s() - before_s) / _BATCHES * 1000)


# --- what no load of the machine changes --------------------------------------------------------------------------


@contextmanager
def _meter(database: Database, url: str) -> Iterator[Callable[[], float]]:
    """Returns what was counted since the last call."""
    with ExitStack() as stack:
        if database.dialect == "sqlite":
            yield stack.enter_context(_instructions(all_engines(database)))
        else:
            yield stack.enter_context(_pages(all_engines(database), url))


@contextmanager
def _instructions(engines: Sequence[Engine]) -> Iterator[Callable[[], float]]:
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    def connected(connection: Any, _record: object) -> None:
        if hasattr(connection, "set_progress_handler"):
            connection.set_progress_handler(step, _STEP)

    def counted() -> float:
        nonlocal steps
        found, steps = steps, 0
        return found * _STEP / 1000

    for engine in engines:
        event.listen(engine, "connect", connected)
    yield counted


@contextmanager
def _pages(engines: Sequence[Engine], url: str) -> Iterator[Callable[[], float]]:
    statements: list[tuple[str, Any]] = []

    def stated(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        statements.append((statement, parameters))

    def counted() -> float:
        pages = 0
        with psycopg.connect(url) as connection:
            for statement, parameters in statements:
                explain = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}"
                row = connection.execute(explain.encode(), parameters).fetchone()
                assert row is not None
                plan = row[0][0]["Plan"]
                pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            connection.rollback()
        statements.clear()
        return float(pages)

    for engine in engines:
        event.listen(engine, "before_cursor_execute", stated)
    yield counted
