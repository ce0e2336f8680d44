"""What another program writes to the SQLite file of a daemon that runs in the same event loop."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path


async def written_by_another_program(file: Path | str, statement: str) -> int:
    """Commit one statement to a SQLite file from a thread.

    The daemon may be in the middle of a transaction: it needs the loop to end it, and the statement waits for that.

    Returns:
        How many rows the statement changed.
    """

    def write() -> int:
        with closing(sqlite3.connect(file, timeout=60)) as connection, connection:
            return connection.execute(statement).rowcount

    return await asyncio.to_thread(write)
