"""Many accounts: what a poll costs with a thousand of them beside a poll with one, and the memory of the daemon."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

from tests.bench.account import ACCOUNT
from tests.bench.databases import postgres_copies, sqlite_copies
from tests.bench.polls import POLLED_JOBS, PollBench, PollRun
from tests.bench.processes import Cores
from tests.bench.remote import stub
from tests.bench.report import Finding, at_most

_MANY: Final = tuple(f"bench-{number:04}" for number in range(1000))
_ROUNDS: Final = 3
_SQLITE_TARGET: Final = 1.2
_POSTGRESQL_TARGET: Final = 1.3
_MEMORY_MB: Final = 120.0

_Say: TypeAlias = Callable[[str], None]


def measure(folder: Path, cores: Cores, seconds: float, say: _Say) -> list[Finding]:
    """Processor time of a durable poll with a thousand accounts beside one account, in turns, on both databases.

    Args:
        folder: for databases and logs.
        cores: the daemon gets one, the servers the others.
        seconds: how long each window is.
        say: told of each run.
    """
    runs: dict[str, list[PollRun]] = {}
    with stub(folder, cores.others) as remote, ExitStack() as stack:
        bench = PollBench(remote, cores, folder, seconds)
        fresh = {}
        for which, accounts in (("one", (ACCOUNT,)), ("many", _MANY)):
            below = folder / which
            below.mkdir()
            fresh[f"sqlite, {which}"] = sqlite_copies(below, POLLED_JOBS, accounts), accounts
            copies = stack.enter_context(postgres_copies(POLLED_JOBS, accounts))
            fresh[f"postgresql, {which}"] = copies, accounts
        for number in range(_ROUNDS):
            for name, (copy, accounts) in fresh.items():
                run = bench.daemon(f"{name}-{number}", copy(), cores.measured, accounts)
                say(f"  {name:16} {run}; {run.resident_mb:.0f} MB")
                runs.setdefault(name, []).append(run)
    memory = median(run.resident_mb for run in runs["sqlite, many"])
    return [
        _cost("CPU of a poll with 1,000 accounts, SQLite", runs, "sqlite", _SQLITE_TARGET),
        _cost("CPU of a poll with 1,000 accounts, PostgreSQL", runs, "postgresql", _POSTGRESQL_TARGET),
        at_most("memory with 1,000 accounts", f"{memory:.0f} MB", f"{_MEMORY_MB:g} MB", memory / _MEMORY_MB, 1),
    ]


def _cost(what: str, runs: dict[str, list[PollRun]], name: str, target: float) -> Finding:
    many, one = runs[f"{name}, many"], runs[f"{name}, one"]
    ratio = median(run.all_us / beside.all_us for run, beside in zip(many, one, strict=True))
    measured, reference = (median(run.all_us for run in some) for some in (many, one))
    return at_most(what, f"{measured:.0f} us", f"{reference:.0f} us with one", ratio, target)
