"""Durable polls for each second of one core, beside a bare client that keeps its jobs in memory.

Bare client and daemon take turns on the same core, against the same stub on another, so that a machine that becomes
slower becomes so for both. The stub counts. Every poll of the daemon is a committed row (SQLite with synchronous=FULL,
PostgreSQL with fsync). The daemon is also measured on all cores, which shows what its other threads, those of SQLite,
cost it on a single one.
"""

import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import Popen
from typing import TypeAlias

from tests.bench.daemon_under_test import DaemonUnderTest
from tests.bench.databases import Fresh, postgres_copies, sqlite_copies
from tests.bench.processes import BenchError, Cores, Cpu, busy_s, check_alive, cpu_of, python, started, wait_until
from tests.bench.remote import Stub, stub
from tests.bench.report import Finding, at_least

_JOBS = 100_000
_ROUNDS = 3
_WARM_UP_S = 2.0
_START_S = 30.0
_SQLITE_TARGET = 0.75
_POSTGRESQL_TARGET = 0.80
_SATURATED = 0.9

_Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Run:
    """One window: polls each second, processor time for each poll in microseconds, and how busy the servers' core was.

    ``main_us`` is the thread of the event loop, ``all_us`` every thread of the process.
    """

    polls_per_s: float
    main_us: float
    all_us: float
    servers_busy: float

    def __str__(self) -> str:
        return (
            f"{self.polls_per_s:6.0f} polls/s, {self.main_us:4.0f} us CPU/poll on the event loop and "
            f"{self.all_us - self.main_us:3.0f} us on other threads; the servers' core was {self.servers_busy:.0%} busy"
        )


class _Bench:
    """Starts a client, lets it warm up, and measures one window of it."""

    def __init__(self, remote: Stub, cores: Cores, folder: Path, seconds: float) -> None:
        self._remote = remote
        self._cores = cores
        self._folder = folder
        self._seconds = seconds

    def bare(self) -> _Run:
        """One window of the bare client."""
        output = self._folder / "bare.log"
        command = python("tests.bench.bare", self._remote.origin, str(_JOBS))
        return self._measured(started(command, cores=self._cores.measured, output=output), output)

    def daemon(self, name: str, database: str, cores: Collection[int]) -> _Run:
        """One window of the daemon on a database whose jobs are all due."""
        daemon = DaemonUnderTest.configure(self._folder / name, database, self._remote.origin)
        return self._measured(daemon.serve(cores), daemon.log)

    def _measured(self, running: AbstractContextManager[Popen[bytes]], output: Path) -> _Run:
        polls = self._remote.counters().polls
        with running as process:
            wait_until(lambda: self._remote.counters().polls > polls, _START_S, process, output)
            time.sleep(_WARM_UP_S)
            cpu, busy, before = cpu_of(process.pid), busy_s(self._cores.others), self._remote.counters()
            time.sleep(self._seconds)
            used, busy, after = cpu_of(process.pid) - cpu, busy_s(self._cores.others) - busy, self._remote.counters()
            check_alive(process, output)
        return _run(after.polls - before.polls, after.now - before.now, used, busy / len(self._cores.others))


def _run(polls: int, passed_s: float, used: Cpu, busy: float) -> _Run:
    if polls == 0:
        raise BenchError("Nothing was polled in a whole window.")
    return _Run(polls / passed_s, used.main_s / polls * 1e6, used.all_s / polls * 1e6, busy / passed_s)


def measure(folder: Path, cores: Cores, seconds: float, say: _Say) -> list[Finding]:
    """Polls each second of the daemon on SQLite and on PostgreSQL, beside the bare client.

    Args:
        folder: for databases and logs.
        cores: the clients get one, the servers the others.
        seconds: how long each window is.
        say: told of each run.
    """
    say(f"{_JOBS:,} waiting jobs in each database; {_ROUNDS} rounds of {seconds:g} s windows")
    runs: dict[str, list[_Run]] = {}
    with stub(folder, cores.others) as remote, postgres_copies(_JOBS) as fresh_postgres:
        bench = _Bench(remote, cores, folder, seconds)
        fresh_sqlite = sqlite_copies(folder, _JOBS)
        for number in range(_ROUNDS):

            def daemon(name: str, fresh: Fresh, on: Collection[int], number: int = number) -> _Run:
                return bench.daemon(f"{name}-{number}", fresh(), on)

            _note(runs, "bare", bench.bare(), say)
            _note(runs, "sqlite", daemon("sqlite", fresh_sqlite, cores.measured), say)
            _note(runs, "postgresql", daemon("postgresql", fresh_postgres, cores.measured), say)
            _note(runs, "sqlite-all-cores", daemon("sqlite-all-cores", fresh_sqlite, cores.every), say)
    return _findings(runs)


def _note(runs: dict[str, list[_Run]], name: str, run: _Run, say: _Say) -> None:
    say(f"  {name:16} {run}")
    if run.servers_busy > _SATURATED:
        say("  ^ the servers had no time to spare: their core may have held this back")
    runs.setdefault(name, []).append(run)


def _findings(runs: dict[str, list[_Run]]) -> list[Finding]:
    rates = {name: median(run.polls_per_s for run in those) for name, those in runs.items()}
    costs = {name: median(run.all_us for run in those) for name, those in runs.items()}
    bare = rates["bare"]

    def held(what: str, name: str, target: float) -> Finding:
        ratio = rates[name] / bare
        return at_least(what, f"{rates[name]:.0f} polls/s", f"{bare:.0f} bare", ratio, target)

    def told(what: str, name: str) -> Finding:
        return Finding(what, f"{costs[name]:.0f} us", f"{costs['bare']:.0f} us bare", costs[name] / costs["bare"])

    return [
        held("durable polls on one core, SQLite", "sqlite", _SQLITE_TARGET),
        held("durable polls on one core, PostgreSQL", "postgresql", _POSTGRESQL_TARGET),
        Finding(
            "durable polls on all cores, SQLite",
            f"{rates['sqlite-all-cores']:.0f} polls/s",
            f"{bare:.0f} bare",
            rates["sqlite-all-cores"] / bare,
        ),
        told("CPU for each poll, SQLite", "sqlite"),
        told("CPU for each poll, PostgreSQL", "postgresql"),
    ]
