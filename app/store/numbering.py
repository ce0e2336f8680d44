"""The first job number in a new database."""

import sqlite3
from contextlib import closing
from pathlib import Path


def number_jobs_from(file: Path, first: int) -> None:
    """Give the first job of an SQLite file without jobs the number ``first``, 1 or more.

    Raises:
        sqlite3.Error: the file cannot be written, or has no tables.
    """
    with closing(sqlite3.connect(file)) as connection, connection:
        # https://www.sqlite.org/autoinc.html#the_autoincrement_keyword
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('jobs', ?)", (first - 1,))
