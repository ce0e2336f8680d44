"""Ten thousand due jobs under a limit of thirty requests a minute: the limit is kept and used, the CPU is idle.

All three come from one run. The server's own record says when requests came: no minute may hold more than thirty, and
each request should come as soon as the thirtieth before it is a minute old. Meanwhile the daemon, which has nothing to
do but wait, should take next to no time of its core.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import Popen

from tests.bench.processes import BenchError, Cores, check_alive, cpu_of, python, started, wait_until
from tests.bench.remote import limited
from tests.bench.report import Finding, at_least, at_most
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import NewJob

_JOBS = 10_000
_REQUESTS = 30
_PERIOD_S = 60.0
_PERIODS = 2
_START_S = 30.0
_USED_TARGET = 0.99
_CPU_TARGET = 0.01
_ACCOUNT = "limited"

_SPEC = """
name = "limited"
title = "An API with a limit"
base_url = "${account.server}"

[account]
server = { type = "url", help = "where it is" }

[limits]
requests = 30
period_s = 60

[operations.analytics]
title = "What a page was worth"
repeatable = true

[operations.analytics.params]
page = { type = "integer", help = "which page" }

[operations.analytics.submit]
url = "/pages/analytics"
json = { id = "${params.page}" }
rules = [{ then = "ready" }]

[operations.analytics.results]
inline = true
"""
_CONFIG = """
[database]
url = "{database}"
[storage]
root = "{exports}"
[providers]
folders = ["specs"]
[log]
format = "json"
[accounts.limited]
provider = "limited"
allow_private = true
[accounts.limited.settings]
server = "{origin}"
"""


def measure(folder: Path, cores: Cores, say: Callable[[str], None]) -> list[Finding]:
    """How much of the limit is used, whether it is kept, and the processor time of the daemon meanwhile.

    Args:
        folder: for the database and logs.
        cores: the daemon gets one, the server the others.
        say: told how it goes.

    Raises:
        BenchError: the daemon asked for more than is permitted.
    """
    database = f"sqlite:///{folder / 'budget.db'}"
    say(f"{_JOBS:,} jobs due at once, {_REQUESTS} requests permitted in any {_PERIOD_S:.0f} s; {_PERIODS} periods")
    migrate.upgrade(database)
    asyncio.run(_fill(database))
    (folder / "specs").mkdir()
    (folder / "specs" / "limited.toml").write_text(_SPEC)
    log = folder / "daemon.log"
    with limited(folder, cores.others, _REQUESTS, _PERIOD_S) as remote:
        config = folder / "tidewaiter.toml"
        config.write_text(_CONFIG.format(database=database, exports=folder / "exports", origin=remote.origin))
        command = python("tidewaiter.cli.main", "--config", str(config), "serve")
        with started(command, cores=cores.measured, output=log) as process:
            wait_until(lambda: len(remote.record().asked_at) >= _REQUESTS, _START_S, process, log)
            cpu, begun_at = cpu_of(process.pid), time.monotonic()
            _sleep_through(begun_at + _PERIODS * _PERIOD_S + 1.0, process, log)
            used_s, passed_s = (cpu_of(process.pid) - cpu).all_s, time.monotonic() - begun_at
        record = remote.record()
    return _findings(record.asked_at, record.refused, used_s / passed_s, say)


def _sleep_through(until: float, process: Popen[bytes], log: Path) -> None:
    """Let the minutes pass that are measured: real ones, because it is the real process that is looked at."""
    while time.monotonic() < until:
        check_alive(process, log)
        time.sleep(1.0)


def _findings(asked_at: Sequence[float], refused: int, cpu: float, say: Callable[[str], None]) -> list[Finding]:
    waits = [later - earlier for earlier, later in zip(asked_at, asked_at[_REQUESTS:], strict=False)]
    if len(waits) < _REQUESTS * (_PERIODS - 1):
        raise BenchError(f"Only {len(asked_at)} requests came.")
    most = _most_in_any_period(asked_at)
    say(f"  {len(asked_at)} requests, {refused} of them refused, at most {most} in any {_PERIOD_S:.0f} s")
    say(
        f"  each came {min(waits):.3f} to {max(waits):.3f} s after the {_REQUESTS}th before it; CPU {cpu:.2%} of a core"
    )
    used = _PERIOD_S * len(waits) / sum(waits)
    return [
        at_most(f"requests in any {_PERIOD_S:.0f} s", f"{most}", f"{_REQUESTS} permitted", most / _REQUESTS, 1),
        at_least(
            "of the permitted rate, used", f"{60 * used * _REQUESTS / _PERIOD_S:.2f}/min",
            f"{60 * _REQUESTS / _PERIOD_S:.0f}/min", used, _USED_TARGET,
        ),
        at_most(f"CPU while {_JOBS:,} due jobs wait", f"{cpu:.2%}", "one core", cpu, _CPU_TARGET),
    ]  # fmt: skip


def _most_in_any_period(asked_at: Sequence[float]) -> int:
    """The largest number of requests that any window of one period holds, at the server's own clock."""
    first = most = 0
    for last, at in enumerate(asked_at):
        while at - asked_at[first] >= _PERIOD_S:
            first += 1
        most = max(most, last - first + 1)
    return most


async def _fill(url: str) -> None:
    """Ask for all the jobs, each for a page of its own."""
    database = Database.open(url, SystemClock())
    try:
        lanes = LaneStore(database)
        await lanes.ensure({_ACCOUNT: 1})
        (lane,) = await lanes.ids(_ACCOUNT)
        news = [(NewJob(_ACCOUNT, "analytics", {"page": page}, 30 * 86_400.0), lane) for page in range(_JOBS)]
        await JobStore(database).add_many(news, time.time())
    finally:
        await database.close()
