"""A daemon that starts before its PostgreSQL server waits for it: containers start in any order."""

import asyncio
from contextlib import suppress
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import MissingRightError, StoreUnavailableError
from tidewaiter.log import EventLog

_AGAIN_S: Final = 1.0


async def wait_for_database(
    database: Database, wait_s: float, *, stop: asyncio.Event, clock: Clock, log: EventLog
) -> bool:
    """Check the tables, and try again while a PostgreSQL server cannot be used; the log says so at first.

    Args:
        database: the database; an SQLite file is there or not, so nothing is waited for.
        wait_s: how long to try again, in seconds; 0 tries once.
        stop: ends the wait.
        clock: the time.
        log: receives the reason; equal ones are folded.

    Returns:
        Whether the database can be used; ``False`` if ``stop`` came first.

    Raises:
        StoreUnavailableError: it still cannot be used.
        SchemaError: see :meth:`Database.check_schema`.
    """
    until = clock.monotonic() + wait_s
    while not stop.is_set():
        try:
            await database.check_schema()
        except MissingRightError:
            raise
        except StoreUnavailableError as error:
            left_s = until - clock.monotonic()
            if database.exclusive or wait_s <= 0:
                raise
            if left_s <= 0:
                raise StoreUnavailableError(f"{error} It was tried for {wait_s:g} s.") from error
            log.emit("store.unavailable", reason=str(error), waiting=0)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(_AGAIN_S, left_s)):
                    await stop.wait()
        else:
            return True
    return False
