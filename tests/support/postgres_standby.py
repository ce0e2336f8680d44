"""A second PostgreSQL server that follows a first one, synchronously, until it is promoted."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.support.postgres import Postgres


class Standby:
    """A copy of a server that receives each commit before the client gets the acknowledgement, and that only reads.

    Args:
        first: the server that it follows.
        folder: where its files go; made for the user that runs the servers.
    """

    def __init__(self, first: Postgres, folder: Path) -> None:
        self._first = first
        self._data = folder / "pg"
        self._run(
            "pg_basebackup",
            "-h",
            str(first.socket.parent),
            "-U",
            "postgres",
            "-D",
            str(self._data),
            "-R",
            "-X",
            "stream",
        )
        # It would wait for a standby of its own after it is promoted.
        options = f"-h '' -k {folder} -c synchronous_standby_names=''"
        self._run("pg_ctl", "-w", "-D", str(self._data), "-l", str(folder / "log"), "-o", options, "start")
        self.socket = folder / first.socket.name
        with psycopg.connect(first.url("postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Let it write; the first server must be gone."""
        self._run("pg_ctl", "-w", "-D", str(self._data), "promote")

    def stop(self) -> None:
        """Stop it for good."""
        self._run("pg_ctl", "-w", "-m", "immediate", "-D", str(self._data), "stop")

    def _run(self, program: str, *arguments: str) -> None:
        self._first.run_program(program, *arguments)


@contextmanager
def following(first: Postgres) -> Iterator[Standby]:
    """A standby for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="tidewaiter-pg-"))
    first.give_away(folder)
    try:
        standby = Standby(first, folder)
        try:
            yield standby
        finally:
            standby.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
