"""Who holds the lock of PostgreSQL that a connection waits for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

_LONGEST_INTERVAL_S: Final = 1.0
_LOOKS: Final = 4

# Another role's activity is hidden from a role without pg_read_all_stats: then only the number of its process is known.
_READ_HOLDERS: Final = text("""
    SELECT blocking, application_name, usename, state, extract(epoch FROM clock_timestamp() - query_start)
    FROM unnest(pg_blocking_pids(:pid)) AS blocking
    LEFT JOIN pg_stat_activity ON pg_stat_activity.pid = blocking AND blocking <> 0
    ORDER BY blocking
""")


class LockHolders:
    """What was last seen of the holders; empty if nothing was waited for."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def look(self, engine: Engine, pid: int) -> None:
        """Read who keeps the process ``pid`` of the server waiting."""
        try:
            with engine.connect() as connection:
                rows = connection.execute(_READ_HOLDERS, {"pid": pid}).all()
        except DBAPIError:
            return  # the connection that waits reports it, too
        if rows:
            self.seen = [_sentence(*row) for row in rows]


def _sentence(pid: int, application: str | None, user: str | None, state: str | None, age_s: float | None) -> str:
    if pid == 0:
        return "a prepared transaction (see pg_prepared_xacts)"
    facts = [f"application {application}" if application else "", f"role {user}" if user else "", state or ""]
    if age_s is not None:
        facts.append(f"its last query began {float(age_s):,.0f} s ago")
    return f"process {pid} ({', '.join(one for one in facts if one) or 'of another role'})"


@contextmanager
def watching_locks(engine: Engine, connection: Connection, timeout_s: float) -> Iterator[LockHolders]:
    """Look now and then, through other connections, who keeps ``connection`` waiting while the block runs."""
    pid = int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
    holders, done = LockHolders(), threading.Event()

    def watch() -> None:
        while not done.wait(min(_LONGEST_INTERVAL_S, timeout_s / _LOOKS)):
            holders.look(engine, pid)

    thread = threading.Thread(target=watch, name="lock-holders", daemon=True)
    thread.start()
    try:
        yield holders
    finally:
        done.set()
        thread.join()
