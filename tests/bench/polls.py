"""Durable polls per CPU second, compared with a bare client that keeps its jobs in memory.

Bare client and daemon take turns on the same core, against the same stub on another, so that a machine that becomes
slower becomes so for both. The stub counts. Every poll of the daemon is a committed row (SQLite with synchronous=FULL,
PostgreSQL with fsync). The daemon is also measured on all cores, which shows what its other threads, those of SQLite,
cost it on a single one.
"""

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import Popen
from typing import TypeAlias

from tests.bench.account import ACCOUNT
from tests.bench.daemon_under_test import DaemonUnderTest
from tests.bench.databases import Fresh, postgres_copies, sqlite_copies
from tests.bench.processes import (
    BenchError,
    Cores,
    Cpu,
    busy_s,
    check_alive,
    cpu_of,
    memory_of,
    python,
    started,
    wait_until,
)
from tests.bench.remote import Counters, Stub, stub
from tests.bench.report import Finding, at_least

POLLED_JOBS = 100_000
_ROUNDS = 3
_WARM_UP_S = 2.0
_START_S = 180.0
_SQLITE_TARGET = 0.65
_POSTGRESQL_TARGET = 0.70

_Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PollRun:
    """One window: polls each second, processor time for each poll in microseconds, and how busy the cores were.

    ``main_us`` is the thread of the event loop, ``all_us`` every thread of the process. ``own`` is the share of its
    core that the client used (beyond 1 where it has several), ``servers`` how busy the servers' core was.
    ``resident_mb`` is the memory of the process at the end.
    """

    polls_per_s: float
    main_us: float
    all_us: float
    own: float
    servers: float
    resident_mb: float

    def __str__(self) -> str:
        return (
            f"{self.polls_per_s:6.0f} polls/s; CPU for each poll {self.main_us:4.0f} us on the event loop "
            f"and {self.all_us - self.main_us:3.0f} us beside it; it used {self.own:4.0%} of a core, "
            f"the servers' core was {self.servers:4.0%} busy"
        )


class PollBench:
    """Starts a client, lets it warm up, and measures one window of it."""

    def __init__(self, remote: Stub, cores: Cores, folder: Path, seconds: float) -> None:
        self._remote = remote
        self._cores = cores
        self._folder = folder
        self._seconds = seconds

    def bare(self) -> PollRun:
        """One window of the bare client."""
        output = self._folder / "bare.log"
        command = python("tests.bench.bare", self._remote.origin, str(POLLED_JOBS))
        run, _ = self._measured(started(command, cores=self._cores.measured, output=output), output)
        return run

    def daemon(self, name: str, database: str, cores: Collection[int], accounts: Sequence[str] = (ACCOUNT,)) -> PollRun:
        """One window of the daemon on a database of these accounts whose jobs are all due."""
        daemon = DaemonUnderTest.configure(self._folder / name, database, self._remote.origin, accounts=accounts)

        def has_lanes() -> bool:
            return sum(1 for _ in daemon.events("lane.taken")) >= len(accounts)

        run, polled = self._measured(daemon.serve(cores), daemon.log, has_lanes)
        if polled >= POLLED_JOBS:
            raise BenchError(f"All {POLLED_JOBS:,} jobs were polled before the window ended: choose shorter --seconds.")
        return run

    def _measured(
        self, running: AbstractContextManager[Popen[bytes]], output: Path, is_ready: Callable[[], bool] = lambda: True
    ) -> tuple[PollRun, int]:
        """The window, and how much was polled since the start of the process."""
        polls = self._remote.counters().polls
        with running as process:
            wait_until(lambda: self._remote.counters().polls > polls, _START_S, process, output)
            wait_until(is_ready, _START_S, process, output)
            time.sleep(_WARM_UP_S)
            cpu, busy, before = self._meters(process.pid)
            time.sleep(self._seconds)
            cpu_after, busy_after, after = self._meters(process.pid)
            resident_mb, _ = memory_of(process.pid)
            check_alive(process, output)
        asked, passed_s, used = after.polls - before.polls, after.now - before.now, cpu_after - cpu
        if asked == 0:
            raise BenchError("Nothing was polled in a whole window.")
        run = PollRun(
            asked / passed_s,
            used.main_s / asked * 1e6,
            used.all_s / asked * 1e6,
            used.all_s / passed_s,
            (busy_after - busy) / passed_s / len(self._cores.others),
            resident_mb,
        )
        return run, after.polls - polls

    def _meters(self, pid: int) -> tuple[Cpu, float, Counters]:
        return cpu_of(pid), busy_s(self._cores.others), self._remote.counters()


def measure(folder: Path, cores: Cores, seconds: float, say: _Say) -> list[Finding]:
    """Polls each second of the daemon on SQLite and on PostgreSQL, beside the bare client.

    Args:
        folder: for databases and logs.
        cores: the clients get one, the servers the others.
        seconds: how long each window is.
        say: told of each run.
    """
    say(f"{POLLED_JOBS:,} waiting jobs in each database; {_ROUNDS} rounds of {seconds:g} s windows")
    runs: dict[str, list[PollRun]] = {}
    with stub(folder, cores.others) as remote, postgres_copies(POLLED_JOBS) as fresh_postgres:
        bench = PollBench(remote, cores, folder, seconds)
        fresh_sqlite = sqlite_copies(folder, POLLED_JOBS)
        candidates: tuple[tuple[str, Fresh, Collection[int]], ...] = (
            ("sqlite", fresh_sqlite, cores.measured),
            ("postgresql", fresh_postgres, cores.measured),
            ("sqlite-all-cores", fresh_sqlite, cores.every),
        )
        for number in range(_ROUNDS):
            _note(runs, "bare", bench.bare(), say)
            for name, fresh, on in candidates:
                _note(runs, name, bench.daemon(f"{name}-{number}", fresh(), on), say)
    return _findings(runs)


def _note(runs: dict[str, list[PollRun]], name: str, run: PollRun, say: _Say) -> None:
    say(f"  {name:16} {run}")
    runs.setdefault(name, []).append(run)


def _findings(runs: dict[str, list[PollRun]]) -> list[Finding]:
    bare = runs["bare"]

    def rates(what: str, name: str) -> tuple[str, str, str, float]:
        """Each run beside the bare one of its round."""
        ratio = median(run.polls_per_s / beside.polls_per_s for run, beside in zip(runs[name], bare, strict=True))
        measured, reference = (median(run.polls_per_s for run in runs[which]) for which in (name, "bare"))
        return what, f"{measured:.0f} polls/s", f"{reference:.0f} bare", ratio

    def cost(what: str, name: str) -> Finding:
        ratio = median(run.all_us / beside.all_us for run, beside in zip(runs[name], bare, strict=True))
        measured, reference = (median(run.all_us for run in runs[which]) for which in (name, "bare"))
        return Finding(what, f"{measured:.0f} us", f"{reference:.0f} us bare", ratio)

    return [
        at_least(*rates("durable polls on one core, SQLite", "sqlite"), _SQLITE_TARGET),
        at_least(*rates("durable polls on one core, PostgreSQL", "postgresql"), _POSTGRESQL_TARGET),
        Finding(*rates("durable polls on all cores, SQLite", "sqlite-all-cores")),
        cost("CPU for each durable poll, SQLite", "sqlite"),
        cost("CPU for each durable poll, PostgreSQL", "postgresql"),
    ]
