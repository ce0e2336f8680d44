"""The encoding of a PostgreSQL database: only one in UTF-8 can hold every text that a provider sends."""

from typing import Final

from sqlalchemy import Connection, text

_NEEDED: Final = "UTF8"
_ASKED: Final = text("SELECT current_setting('server_encoding'), current_database()")


def encoding_fault(connection: Connection) -> str | None:
    """What is wrong with the encoding of a PostgreSQL database, with the remedy; ``None`` if it is UTF8.

    A database in another encoding (https://www.postgresql.org/docs/current/multibyte.html) refuses a text with a
    character that it does not have. SQL_ASCII accepts any bytes and has no characters.
    """
    encoding, name = connection.execute(_ASKED).one()
    if encoding == _NEEDED:
        return None
    return (
        f"The database {name} has the encoding {encoding}, which cannot hold every text that a provider sends: "
        "create another one in UTF8 (createdb -E UTF8 -T template0 NAME), run `tidewaiter db upgrade` on it, copy what "
        "is to be kept (pg_dump --data-only --encoding=UTF8), and let database.url name it."
    )
