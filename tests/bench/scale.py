"""Two daemons beside one, on one PostgreSQL: what a durable poll costs each daemon, and the server.

Two cores cannot show two busy daemons and a server at once. So polls are counted by processor time: of the daemons'
processes and of the server's. Two daemons with a core each do as much as one, times two, times the cost of a poll in
one of them over its cost in one that is alone. The server's own cost of a poll says how many daemons one of its cores
carries. Each daemon has as many lanes as the single one, so that it is as busy.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import Popen
from typing import Final, TypeAlias

import psycopg

from tests.bench.account import ACCOUNT, CUSTOMER, TOKEN
from tests.bench.daemon_under_test import DaemonUnderTest
from tests.bench.databases import PostgresCopies, postgres_copies
from tests.bench.processes import BenchError, Cores, check_alive, cpu_of, cpu_of_children, wait_until
from tests.bench.remote import Stub, landing_stub, stub
from tests.bench.report import Finding, at_least
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import NewJob

_JOBS: Final = 100_000
_LANES: Final = 8
_POLLS: Final = 8
_ROUNDS: Final = 3
_WARM_UP_S: Final = 3.0
_START_S: Final = 60.0
_LEASE_S: Final = 6.0
_LANDED: Final = 500
_LANDED_S: Final = 180.0
_TARGET: Final = 1.9
_ACCOUNTS: Final = tuple(f"scale-{number:02}" for number in range(2 * _LANES))
_TABLE: Final = """
[accounts.{name}]
provider = "symplify"
allow_private = true
[accounts.{name}.settings]
server = "{origin}"
customer_id = "{customer}"
token = "{token}"
[accounts.{name}.limits]
concurrency = {polls}
[accounts.{name}.schedule]
interval_s = 3600
factor = 1
cap_s = 3600
"""

_Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Used:
    """What was used so far: processor time in seconds, polls, and what the database has counted."""

    daemons_s: float
    server_s: float
    polls: int
    transactions: int
    wal_bytes: int
    connections: int


@dataclass(frozen=True, slots=True)
class _Run:
    """One window, for each poll: microseconds of a daemon and of the server, transactions, bytes of WAL."""

    polls: int
    daemon_us: float
    server_us: float
    transactions: float
    wal_bytes: float
    connections: int

    @classmethod
    def between(cls, before: _Used, after: _Used) -> "_Run":
        """The difference of two readings.

        Raises:
            BenchError: nothing was polled between them.
        """
        polls = after.polls - before.polls
        if polls == 0:
            raise BenchError("Nothing was polled in a whole window.")
        return cls(
            polls,
            (after.daemons_s - before.daemons_s) / polls * 1e6,
            (after.server_s - before.server_s) / polls * 1e6,
            (after.transactions - before.transactions) / polls,
            (after.wal_bytes - before.wal_bytes) / polls,
            after.connections,
        )

    def __str__(self) -> str:
        return (
            f"{self.polls:6} polls, each {self.daemon_us:4.0f} us of a daemon, {self.server_us:4.0f} us of the server, "
            f"{self.transactions:.3f} transactions, {self.wal_bytes:.0f} bytes of WAL; {self.connections} connections"
        )


def measure(folder: Path, cores: Cores, seconds: float, say: _Say) -> list[Finding]:
    """One daemon with eight accounts, and two with sixteen, in turns.

    Args:
        folder: for configurations and logs.
        cores: the daemons get one, the servers the others.
        seconds: how long each window is.
        say: told of each run.
    """
    say(f"{_JOBS:,} waiting jobs; {_ROUNDS} rounds of one daemon and of two, windows of {seconds:g} s")
    runs: dict[int, list[_Run]] = {1: [], 2: []}
    with stub(folder, cores.others) as remote, postgres_copies(_JOBS, _ACCOUNTS) as fresh:
        for number in range(_ROUNDS):
            for daemons, of_daemons in runs.items():
                run = _window(folder / f"{daemons}-{number}", cores, fresh, remote, daemons=daemons, seconds=seconds)
                say(f"  {daemons} daemon(s): {run}")
                of_daemons.append(run)
        landed = _landed(folder / "landed", cores, fresh)
    return [*_findings(runs[1], runs[2]), *landed]


def _window(folder: Path, cores: Cores, fresh: PostgresCopies, remote: Stub, *, daemons: int, seconds: float) -> _Run:
    folder.mkdir()
    database, polled = fresh(), remote.counters().polls  # the stub counts on through all windows
    accounts = _ACCOUNTS[: daemons * _LANES]
    made = [_configured(folder / str(number), database, remote, accounts) for number in range(daemons)]
    with ExitStack() as stack:
        processes = [stack.enter_context(one.serve(cores.measured)) for one in made]

        def is_spread() -> bool:
            owners = _owners(database)
            return len(owners) == daemons and all(lanes == _LANES for lanes in owners)

        wait_until(is_spread, _START_S, processes[0], made[0].log)
        time.sleep(_WARM_UP_S)
        before = _used(processes, fresh, database, remote)
        time.sleep(seconds)
        after = _used(processes, fresh, database, remote)
        for process, one in zip(processes, made, strict=True):
            check_alive(process, one.log)
        if after.polls - polled >= _JOBS * daemons * _LANES / len(_ACCOUNTS):
            raise BenchError("All jobs were polled before the window ended: choose shorter --seconds.")
        return _Run.between(before, after)


def _configured(folder: Path, database: str, remote: Stub, accounts: Sequence[str]) -> DaemonUnderTest:
    made = DaemonUnderTest.configure(folder, database, remote.origin)
    path = folder / "tidewaiter.toml"
    head, _, _ = path.read_text().partition("[accounts.")
    head = head.replace("[worker]\n", f"[worker]\nlease_s = {_LEASE_S:g}\n")
    tables = [
        _TABLE.format(name=name, origin=remote.origin, customer=CUSTOMER, token=TOKEN, polls=_POLLS)
        for name in accounts
    ]
    path.write_text(head + '[http]\nlisten = "127.0.0.1:0"\n' + "".join(tables))
    return made


def _landed(folder: Path, cores: Cores, fresh: PostgresCopies) -> list[Finding]:
    """What the server has to do for a landed job: submit, three pending polls, ready, a file of 10 KB."""
    folder.mkdir()
    database, counts = fresh(), folder / "counts.json"
    with landing_stub(folder, cores.others) as remote:
        first = "first_delay_s = 1\n"
        made = DaemonUnderTest.configure(folder / "daemon", database, remote.origin, first, interval_s=1.0)
        with made.serve(cores.measured, "tests.bench.counted_database", str(counts)) as process:
            wait_until(lambda: any(made.events("lane.taken")), _START_S, process, made.log)
            before = _used([process], fresh, database, None)
            asyncio.run(_submit(database))

            def is_done() -> bool:
                time.sleep(0.2)
                return sum(1 for _ in made.events("job.finished")) >= _LANDED

            wait_until(is_done, _LANDED_S, process, made.log)
            time.sleep(1.5)  # a session reports its transactions about once a second
            after = _used([process], fresh, database, None)
    statements = json.loads(counts.read_text())["statements"]

    def each(what: str, number: float, unit: str = "") -> Finding:
        return Finding(f"{what} for each landed job", f"{number:.0f} {unit}", f"{_LANDED} jobs", number / _LANDED)

    return [
        each("statements", statements),
        each("transactions", after.transactions - before.transactions),
        each("WAL", after.wal_bytes - before.wal_bytes, "bytes"),
        each("processor time of the daemon", (after.daemons_s - before.daemons_s) * 1000, "ms"),
        each("processor time of the server", (after.server_s - before.server_s) * 1000, "ms"),
    ]


async def _submit(url: str) -> None:
    clock = SystemClock()
    database = Database.open(url, clock)
    try:
        (lane,) = await LaneStore(database).ids(ACCOUNT)
        new = NewJob(ACCOUNT, "statistics", {"export_type": "OPENS", "period": "LAST_DAY"}, 86_400.0)
        await JobStore(database).add_many([(new, lane)] * _LANDED, clock.now())
    finally:
        await database.close()


def _owners(database: str) -> list[int]:
    """How many lanes each owner has."""
    query = "SELECT count(*) FROM lanes WHERE owner IS NOT NULL AND account LIKE 'scale-%%' GROUP BY owner"
    with psycopg.connect(database, autocommit=True) as connection:
        return [row[0] for row in connection.execute(query)]


def _used(processes: Sequence[Popen[bytes]], fresh: PostgresCopies, database: str, remote: Stub | None) -> _Used:
    with psycopg.connect(database, autocommit=True) as connection:
        row = connection.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, (SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid())"
        ).fetchone()
    assert row is not None
    return _Used(
        sum(cpu_of(process.pid).all_s for process in processes),
        cpu_of_children(fresh.server_pid),
        0 if remote is None else remote.counters().polls,
        fresh.transactions(),
        row[0],
        row[1],
    )


def _findings(one: Sequence[_Run], two: Sequence[_Run]) -> list[Finding]:
    gain = median(2 * alone.daemon_us / beside.daemon_us for alone, beside in zip(one, two, strict=True))

    def of(name: str, runs: Sequence[_Run]) -> float:
        return float(median(getattr(run, name) for run in runs))

    def both(what: str, name: str, unit: str, digits: int = 0) -> Finding:
        alone, beside = of(name, one), of(name, two)
        return Finding(what, f"{beside:.{digits}f} {unit}", f"{alone:.{digits}f} {unit} with one", beside / alone)

    carried = 1e6 / of("server_us", two)
    each = 1e6 / of("daemon_us", two)
    return [
        at_least(
            "two daemons / one on one PostgreSQL, by processor time of the daemons",
            f"{each:.0f} polls per CPU second of each",
            f"{1e6 / of('daemon_us', one):.0f} of one alone",
            gain,
            _TARGET,
        ),
        both("processor time of a daemon for each poll", "daemon_us", "us"),
        both("processor time of the server for each poll", "server_us", "us"),
        Finding("polls per CPU second of the server", f"{carried:.0f}", f"{each:.0f} of a daemon", carried / each),
        both("transactions for each poll", "transactions", "", 3),
        both("WAL for each poll", "wal_bytes", "bytes"),
        both("connections to the server", "connections", ""),
    ]
