"""A million waiting jobs: the time until the daemon polls the first due job, and its memory."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.daemon_under_test import DaemonUnderTest
from tests.bench.processes import Cores, memory_of, wait_until
from tests.bench.remote import stub
from tests.bench.report import Finding, at_most
from tests.bench.seeding import seed

_JOBS = 1_000_000
_DUE = 64
_WATCHED_S = 20.0
_FIRST_POLL_S = 3.0
_MEMORY_MB = 150.0


def measure(folder: Path, cores: Cores, say: Callable[[str], None]) -> list[Finding]:
    """Time to the first poll, and memory after twenty seconds, in which a heartbeat has counted all jobs."""
    database = f"sqlite:///{folder / 'million.db'}"
    say(f"putting {_JOBS:,} jobs into SQLite, {_DUE} of them due")
    seed(database, _JOBS, due=_DUE)
    with stub(folder, cores.others) as remote:
        daemon = DaemonUnderTest.configure(folder / "million", database, remote.origin)
        started_at = time.monotonic()
        with daemon.serve(cores.measured) as process:
            wait_until(lambda: remote.counters().polls > 0, 60.0, process, daemon.log)
            first_poll_at = remote.counters().first_poll_at
            assert first_poll_at is not None
            first_s = first_poll_at - started_at
            say(f"  first poll {first_s:.2f} s after the start of the process; watching its memory")
            until = started_at + _WATCHED_S
            wait_until(lambda: time.monotonic() > until, 2 * _WATCHED_S, process, daemon.log)
            resident, highest = memory_of(process.pid)
        beats = sum(1 for _ in daemon.events("heartbeat"))
    say(f"  {resident:.0f} MB resident, {highest:.0f} MB at its highest, after {beats} heartbeat(s)")
    return [
        _held(f"first poll with {_JOBS:,} waiting jobs", first_s, _FIRST_POLL_S, "s", 2),
        _held(f"memory with {_JOBS:,} waiting jobs", resident, _MEMORY_MB, "MB", 0),
        _held("the same, at its highest", highest, _MEMORY_MB, "MB", 0),
    ]


def _held(what: str, measured: float, limit: float, unit: str, digits: int) -> Finding:
    return at_most(what, f"{measured:.{digits}f} {unit}", f"{limit:g} {unit}", measured / limit, 1)
