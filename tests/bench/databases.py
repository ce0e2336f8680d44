"""Databases of waiting jobs for the benchmarks: filled once and copied for each run."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import psycopg

from tests.bench.account import ACCOUNT
from tests.bench.seeding import seed
from tests.support.postgres import Postgres, running_postgres

Fresh: TypeAlias = Callable[[], str]
"""Makes a copy of the seeded database, in place of the last one, and gives its URL."""


def sqlite_copies(folder: Path, jobs: int, accounts: Sequence[str] = (ACCOUNT,)) -> Fresh:
    """Copies of an SQLite file with so many jobs, all due."""
    template, copy = folder / "template.db", folder / "polls.db"
    seed(f"sqlite:///{template}", jobs, due=jobs, accounts=accounts)

    def fresh() -> str:
        for leftover in folder.glob(f"{copy.name}*"):
            leftover.unlink()
        shutil.copyfile(template, copy)
        return f"sqlite:///{copy}"

    return fresh


@dataclass(frozen=True, slots=True)
class PostgresCopies:
    """Copies of a database; ``server_pid`` is the process whose children serve them."""

    server: Postgres
    connection: psycopg.Connection[tuple[int]]

    @property
    def server_pid(self) -> int:
        """The server's main process."""
        return self.server.pid

    def __call__(self) -> str:
        """Make a copy in place of the last one; its URL."""
        self.connection.execute("DROP DATABASE IF EXISTS polls WITH (FORCE)")
        self.connection.execute("CREATE DATABASE polls TEMPLATE seeded")
        self.connection.execute("CHECKPOINT")
        return self.server.url("polls")

    def transactions(self) -> int:
        """How many transactions the copy has committed so far; a session reports them about once a second."""
        row = self.connection.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = 'polls'").fetchone()
        return 0 if row is None else row[0]


@contextmanager
def postgres_copies(jobs: int, accounts: Sequence[str] = (ACCOUNT,)) -> Iterator[PostgresCopies]:
    """Copies of a PostgreSQL database with so many jobs, all due; the server runs while the block lasts."""
    with running_postgres() as server, psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        server.make_durable()
        connection.execute("CREATE DATABASE seeded")
        seed(server.url("seeded"), jobs, due=jobs, accounts=accounts)
        yield PostgresCopies(server, connection)
