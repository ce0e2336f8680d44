"""How long a finished export waits: from the poll that says ready to the landed file, at a steady rate of jobs."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.bench.databases import Fresh, postgres_copies, sqlite_copies
from tests.bench.landed import configured, submit, until_landed
from tests.bench.processes import Cores, wait_until
from tests.bench.remote import landing_stub
from tests.bench.report import Finding
from tidewaiter.database.database_url import DatabaseAddress

_RATES: Final = (5, 50)
_SECONDS: Final = 30
_WITHIN_S: Final = 120.0
_DELAYS: Final = text("SELECT landed_at - ready_at FROM jobs WHERE state = 'succeeded'")

_Say: TypeAlias = Callable[[str], None]


def measure(folder: Path, cores: Cores, say: _Say) -> list[Finding]:
    """The delay at each rate, on both databases.

    Args:
        folder: for databases, files and logs.
        cores: the daemon gets one, the servers the others.
        say: told of each run.
    """
    found: list[Finding] = []
    with postgres_copies(0) as fresh_postgres:
        databases: tuple[tuple[str, Fresh], ...] = (
            ("SQLite", sqlite_copies(folder, 0)),
            ("PostgreSQL", fresh_postgres),
        )
        for name, fresh in databases:
            for rate in _RATES:
                delays = sorted(_delays(folder / f"delay-{name}-{rate}", cores, fresh(), rate))
                middle, late = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
                say(f"  {name}, {rate} jobs a second: p50 {middle * 1e3:.0f} ms, p99 {late * 1e3:.0f} ms")
                found.append(
                    Finding(
                        f"ready to landed, {rate} jobs a second, {name}: p99 beside p50",
                        f"{late * 1e3:.0f} ms",
                        f"{middle * 1e3:.0f} ms",
                        late / middle,
                    )
                )
    return found


def _delays(folder: Path, cores: Cores, database: str, rate: int) -> list[float]:
    """The seconds from ready to landed of the jobs of half a minute."""
    jobs = rate * _SECONDS
    with landing_stub(folder.parent, cores.others) as remote:
        daemon = configured(folder, database, remote)
        with daemon.serve(cores.measured) as process:
            wait_until(lambda: any(daemon.events("lane.taken")), _WITHIN_S, process, daemon.log)
            asyncio.run(submit(database, rate, 1.0, _SECONDS))
            until_landed(daemon, process, jobs)
    engine = create_engine(DatabaseAddress.parse(database).for_migrations(), poolclass=NullPool)
    with engine.connect() as connection:
        return [float(row[0]) for row in connection.execute(_DELAYS)]
