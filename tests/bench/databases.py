"""Databases of waiting jobs for the benchmarks: filled once and copied for each run."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import psycopg

from tests.bench.seeding import seed
from tests.support.postgres import running_postgres

Fresh: TypeAlias = Callable[[], str]
"""Makes a copy of the seeded database, in place of the last one, and gives its URL."""


def sqlite_copies(folder: Path, jobs: int) -> Fresh:
    """Copies of an SQLite file with so many jobs, all due."""
    template, copy = folder / "template.db", folder / "polls.db"
    seed(f"sqlite:///{template}", jobs, due=jobs)

    def fresh() -> str:
        for leftover in folder.glob(f"{copy.name}*"):
            leftover.unlink()
        shutil.copyfile(template, copy)
        return f"sqlite:///{copy}"

    return fresh


@contextmanager
def postgres_copies(jobs: int) -> Iterator[Fresh]:
    """Copies of a PostgreSQL database with so many jobs, all due; the server runs while the block lasts."""
    with running_postgres() as server, psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        # The tests' server does not wait for its disk. This one has to: durable is what is measured.
        connection.execute("ALTER SYSTEM RESET fsync")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE DATABASE seeded")
        seed(server.url("seeded"), jobs, due=jobs)

        def fresh() -> str:
            connection.execute("DROP DATABASE IF EXISTS polls WITH (FORCE)")
            connection.execute("CREATE DATABASE polls TEMPLATE seeded")
            connection.execute("CHECKPOINT")
            return server.url("polls")

        yield fresh
