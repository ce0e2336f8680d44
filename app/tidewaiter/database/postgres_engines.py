"""The engines of PostgreSQL: pools of connections, for single statements and for transactions.

They recognize a connection pooler between this process and PostgreSQL, and prepare no statements behind it. A pooler in
transaction mode gives a connection another session of the server for each transaction. The driver names its prepared
statements by number, so that the name of one connection's statement is that of another's in another session: a wrong
statement would run. Such a pooler must ignore the startup parameter ``options``, or it refuses every connection. So an
option that does not arrive tells of a pooler.
"""

from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tidewaiter.clock import Clock
from tidewaiter.database.database_url import DatabaseAddress

TRUSTED_S: Final = 1.0
"""A connection that was used less than so many seconds ago is used again without a question to the server."""

_STATEMENT_S: Final = 15
_OTHER_STATEMENT_S: Final = 8
# Up to twelve connections together: https://docs.sqlalchemy.org/en/21/core/pooling.html says what the numbers mean.
_STATEMENTS: Final = {"pool_size": 5, "max_overflow": 1}
_TRANSACTIONS: Final = {"pool_size": 3, "max_overflow": 1}
_OTHERS: Final = {"pool_size": 2, "max_overflow": 0}
_POOL_WAIT_S: Final = 10.0
# A setting of our own, which PostgreSQL accepts from anyone: its name has a dot.
_DIRECT_OPTION: Final = "-c tidewaiter.direct=on"
_IS_DIRECT: Final = "SELECT current_setting('tidewaiter.direct', true)"
_SERVER_OPTIONS: Final = (
    "-c lock_timeout=10s -c idle_in_transaction_session_timeout=30s -c default_transaction_isolation=read\\ committed"
)
_CONNECTION_OPTIONS: Final = {
    # Overrides PGCLIENTENCODING: every text must be transferable.
    "client_encoding": "utf8",
    "fallback_application_name": "tidewaiter",
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# Set once for a connection: to change it with each use costs as much as the statement.
_SINGLE: Final = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}


def for_statements(address: DatabaseAddress, clock: Clock) -> AsyncEngine:
    """Connections on which each statement is a transaction by itself."""
    engine = _engine(address, _STATEMENT_S, **_STATEMENTS, **_SINGLE)
    _ask_after_rest(engine, clock)
    return engine


def for_transactions(address: DatabaseAddress) -> AsyncEngine:
    """Connections for transactions."""
    return _engine(address, _STATEMENT_S, **_TRANSACTIONS, pool_pre_ping=True)


def for_others(address: DatabaseAddress) -> AsyncEngine:
    """Connections for pages, lists and scrapes, whose statements have a shorter time limit."""
    return _engine(address, _OTHER_STATEMENT_S, **_OTHERS, **_SINGLE, pool_pre_ping=True)


def _engine(address: DatabaseAddress, statement_s: int, **options: Any) -> AsyncEngine:
    own_options = address.url.query.get("options", "")
    server = f"{_DIRECT_OPTION} -c statement_timeout={statement_s}s {_SERVER_OPTIONS} {own_options}"
    engine = create_async_engine(
        address.for_daemon(),
        pool_timeout=_POOL_WAIT_S,
        hide_parameters=True,
        connect_args={**_CONNECTION_OPTIONS, "options": server},
        **options,
    )
    _prepare_nothing_behind_poolers(engine)
    return engine


def _ask_after_rest(engine: AsyncEngine, clock: Clock) -> None:
    """Ask the server on a connection that has rested, before anything else is sent: it may have been closed.

    The pool's own ``pre_ping`` asks each time, which doubles the round trips of a busy daemon. Reads and groups are
    repeated by their callers, if the server goes away within this second.
    """
    dialect = engine.dialect

    def rests(_: object, record: Any) -> None:
        record.info["used_at"] = clock.monotonic()

    def is_used(connection: Any, record: Any, _: object) -> None:
        used_at = record.info.get("used_at")
        if used_at is None or clock.monotonic() - used_at < TRUSTED_S:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    event.listen(engine.sync_engine, "checkin", rests)
    event.listen(engine.sync_engine, "checkout", is_used)


def _prepare_nothing_behind_poolers(engine: AsyncEngine) -> None:
    """Check each new connection of an engine, which sets :data:`_DIRECT_OPTION`."""
    event.listen(engine.sync_engine, "connect", _recognize_pooler)


def _recognize_pooler(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(_IS_DIRECT)
        (direct,) = cursor.fetchone()
    finally:
        cursor.close()
    connection.rollback()
    if direct != "on":
        connection.driver_connection.prepare_threshold = None
