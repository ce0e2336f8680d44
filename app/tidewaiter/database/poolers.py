"""Recognizes a connection pooler between this process and PostgreSQL, and prepares no statements behind it.

A pooler in transaction mode gives a connection another session of the server for each transaction. The driver names its
prepared statements by number, so that the name of one connection's statement is that of another's in another session: a
wrong statement would run. Such a pooler must ignore the startup parameter ``options``, or it refuses every connection.
So an option that does not arrive tells of a pooler.
"""

from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

# A setting of our own, which PostgreSQL accepts from anyone: its name has a dot.
DIRECT_OPTION: Final = "-c tidewaiter.direct=on"
_IS_DIRECT: Final = "SELECT current_setting('tidewaiter.direct', true)"


def prepare_nothing_behind_poolers(engine: AsyncEngine) -> None:
    """Check each new connection of an engine, which sets :data:`DIRECT_OPTION`."""
    event.listen(engine.sync_engine, "connect", _check)


def _check(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(_IS_DIRECT)
        (direct,) = cursor.fetchone()
    finally:
        cursor.close()
    connection.rollback()
    if direct != "on":
        connection.driver_connection.prepare_threshold = None
