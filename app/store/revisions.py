"""The migrations of this program, and whether a database has none of them yet."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

import app
from app.store.address import Address


@cache
def migrations_folder() -> Path:
    """Where the migrations are: inside the installed package, or at the top level of the source tree."""
    package = Path(app.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


@cache
def known_revisions() -> tuple[str, ...]:
    """Every revision, oldest first: each migration's file begins with its number.

    Alembic knows them too, but it needs 11 MB, and only a migration uses it.
    """
    return tuple(sorted(file.name.partition("_")[0] for file in (migrations_folder() / "versions").glob("[0-9]*.py")))


def is_fresh(url: str) -> bool:
    """Whether the database is an SQLite file that does not exist yet, or that has no tables at all.

    While another process creates the tables, there are none until all of them are there.
    """
    file = Address.parse(url).file
    if file is None:
        return False
    if not file.exists():
        return True
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return bool(connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])
    except sqlite3.Error:
        return False  # whatever opens it reports the error
