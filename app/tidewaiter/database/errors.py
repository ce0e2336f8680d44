"""Failures of the database outside the program, as sentences for an operator."""

import asyncio
import sqlite3
from typing import Final

from sqlalchemy import exc

_SQLITE_FAILURES: Final = {
    sqlite3.SQLITE_BUSY: "is held by another program",
    sqlite3.SQLITE_LOCKED: "is held by another program",
    sqlite3.SQLITE_FULL: "has no room left",
    sqlite3.SQLITE_IOERR: "cannot be read or written",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_READONLY: "may not be written",
    sqlite3.SQLITE_PERM: "may not be opened",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_NOTADB: "is damaged",
    sqlite3.SQLITE_INTERRUPT: "was interrupted",
}
_SQLITE_PRIMARY_CODE = 0xFF

# Classes and codes of https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL_FAILURES: Final = {
    "08": "cannot be reached",
    "28": "refuses the login",
    "3D": "does not exist",
    "40": "was busy with a conflicting transaction",
    "53": "has run out of resources",
    "57": "has ended the request",
    "58": "has a failing disk or operating system",
    "XX": "is damaged",
    "25006": "may not be written (it or this role is read-only; `tidewaiter doctor` says which)",
    "25P03": "has ended the request",
    "53100": "has no room left",
    "55P03": "is held by another program",
}
_DISK_FULL = "53100"
_NO_RIGHT: Final = "42501"
# A pooler in transaction mode gave the connection another session of the server: duplicate, or unknown.
_PREPARED_ELSEWHERE: Final = ("42P05", "26000")
_POOLER: Final = (
    "The database is behind a connection pooler that {what}: connect to PostgreSQL directly, or set up the pooler as "
    "docs/operate.md says (session mode)."
)
# What is wrong with the values: data exception, integrity constraint, program limit (such as an index row's size).
_POSTGRESQL_DATA: Final = frozenset({"22", "23", "54"})


class SchemaError(Exception):
    """The database's tables are not those of this program."""


class StoreUnavailableError(Exception):
    """The database cannot be used at the moment; the statement may or may not have been executed.

    ``full`` says that it has no space left.
    """

    def __init__(self, message: str, *, full: bool = False) -> None:
        super().__init__(message)
        self.full = full


class MissingRightError(StoreUnavailableError):
    """The role lacks a right that the statement needs."""


class DatabaseFileError(StoreUnavailableError):
    """The file of an SQLite database was deleted or replaced while it was open.

    What this process has open is then no longer at the path: a write would be lost with the process.
    """


class HandleTakenError(Exception):
    """Another job already follows the same remote job, and the two may not share it."""


def unavailable(error: BaseException) -> StoreUnavailableError | None:
    """The failure of the database in ``error``; ``None`` if it is an error in the program.

    The text never contains statements, parameters or a password.
    """
    if isinstance(error, exc.DBAPIError) and error.orig is not None:
        if getattr(error.orig, "sqlstate", None) == _NO_RIGHT:
            return _without_right(error.orig, error.statement or "")
        return _from_driver(error.orig)
    if isinstance(error, exc.TimeoutError):
        return StoreUnavailableError("The database has no connection free: every one is in use.")
    if isinstance(error, asyncio.TimeoutError):
        return StoreUnavailableError("The database does not answer.")
    if isinstance(error, OSError):
        return StoreUnavailableError(f"The database cannot be reached: {error.strerror or error}.")
    return _from_driver(error)


def unwritable(error: BaseException) -> str | None:
    """Why the database will never accept these values; ``None`` if ``error`` means something else.

    The text never contains statements, parameters or a password.
    """
    if not isinstance(error, exc.DBAPIError) or error.orig is None:
        return None
    state = getattr(error.orig, "sqlstate", None)
    is_data = isinstance(error, exc.DataError | exc.IntegrityError)
    if not is_data and (not isinstance(state, str) or state[:2] not in _POSTGRESQL_DATA):
        return None
    return f"the database does not accept it: {_first_line(error.orig)}"


def _without_right(error: BaseException, statement: str) -> StoreUnavailableError:
    """A role that may not do what a statement does, such as ``permission denied for table jobs``."""
    from tidewaiter.database.postgres_rights import rights_used_by  # noqa: PLC0415  # it imports the tables

    rights = rights_used_by(statement)
    needed = f" (the statement needs {rights})" if rights else ""
    return MissingRightError(
        f"The database refuses it: {_first_line(error)}{needed}; `tidewaiter doctor` names the GRANT statement."
    )


def _from_driver(error: BaseException) -> StoreUnavailableError | None:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & _SQLITE_PRIMARY_CODE
        what = _SQLITE_FAILURES.get(code)
        return None if what is None else _sentence(what, error, full=code == sqlite3.SQLITE_FULL)
    import psycopg  # noqa: PLC0415  # needs 10 MB, and a daemon on SQLite does not use it

    if isinstance(error, psycopg.Error):
        if error.sqlstate == _NO_RIGHT:
            return _without_right(error, "")
        if error.sqlstate in _PREPARED_ELSEWHERE:
            return StoreUnavailableError(_POOLER.format(what="does not keep a session for a connection"))
        if "unsupported startup parameter" in str(error):
            return StoreUnavailableError(_POOLER.format(what="refuses the limits that Tidewaiter sets (options)"))
        if error.sqlstate is None:
            return _sentence("cannot be reached", error) if isinstance(error, psycopg.OperationalError) else None
        what = _POSTGRESQL_FAILURES.get(error.sqlstate) or _POSTGRESQL_FAILURES.get(error.sqlstate[:2])
        return None if what is None else _sentence(what, error, full=error.sqlstate == _DISK_FULL)
    return None


def _sentence(what: str, error: BaseException, *, full: bool = False) -> StoreUnavailableError:
    return StoreUnavailableError(f"The database {what}: {_first_line(error)}.", full=full)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
