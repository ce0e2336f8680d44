"""Which encoding and which revision of the tables a database must have for this program."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

import tidewaiter
from tidewaiter.database.database_url import DatabaseAddress

_ENCODING: Final = "UTF8"
_READ_ENCODING: Final = text("SELECT current_setting('server_encoding'), current_database()")


def encoding_fault(connection: Connection) -> str | None:
    """What is wrong with the encoding of a PostgreSQL database, with the remedy; ``None`` if it is UTF8.

    A database in another encoding (https://www.postgresql.org/docs/current/multibyte.html) refuses a text with a
    character that it does not have. SQL_ASCII accepts any bytes and has no characters.
    """
    encoding, name = connection.execute(_READ_ENCODING).one()
    if encoding == _ENCODING:
        return None
    return (
        f"The database {name} has the encoding {encoding}, which cannot store every text that a provider sends: "
        "create another one in UTF8 (createdb -E UTF8 -T template0 NAME), run `tidewaiter db upgrade` on it, copy the "
        "data that you want to keep (pg_dump --data-only --encoding=UTF8), and let database.url name it."
    )


@cache
def migrations_folder() -> Path:
    """Where the migrations are: inside the installed package, or at the top level of the source tree."""
    package = Path(tidewaiter.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parents[1] / "migrations"


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
    file = DatabaseAddress.parse(url).file
    if file is None:
        return False
    if not file.exists():
        return True
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return bool(connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])
    except sqlite3.Error:
        return False  # the code that opens it reports the error
