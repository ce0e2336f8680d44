"""Watches the database under the running daemon: the file of SQLite, and the revision of the tables."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, NoReturn

from tidewaiter.clock import Clock
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.log import EventLog
from tidewaiter.worker.lane_ownership import LaneOwnership

_FILE_EVERY_S: Final = 1.0
_REVISION_EVERY_S: Final = 2.0


class DatabaseFileWatch:
    """Ends the daemon when its database file was deleted or replaced: it looks once a second.

    Args:
        check: raises ``DatabaseFileError`` if the file is no longer the opened one.
        clock: the time.
    """

    def __init__(self, check: Callable[[], None], clock: Clock) -> None:
        self._check = check
        self._clock = clock

    async def run(self) -> NoReturn:
        """Check until cancelled.

        Raises:
            DatabaseFileError: the file was deleted, moved or replaced; so the daemon ends.
        """
        while True:
            self._check()
            await self._clock.sleep(_FILE_EVERY_S)


class SchemaWatch:
    """Gives the lanes back when a newer program has upgraded the tables: it looks every two seconds.

    A row of a newer program may have what this one does not read, such as the secret values of its parameters: this one
    would submit the stars in their place. So it ends its steps as in a drain, and leaves the lanes to a newer daemon.
    It still answers, and ends when it is asked to.

    Args:
        newer_revision: the revision of the tables, if this program does not know it.
        leases: the lanes.
        grace_s: how long steps under way may go on.
        clock: the time.
        log: receives that the tables are newer.
    """

    def __init__(
        self,
        newer_revision: Callable[[], Awaitable[str | None]],
        leases: LaneOwnership,
        grace_s: float,
        clock: Clock,
        log: EventLog,
    ) -> None:
        self._newer_revision = newer_revision
        self._leases = leases
        self._grace_s = grace_s
        self._clock = clock
        self._log = log

    async def run(self) -> None:
        """Check until the tables are newer, and the lanes are given back; or until cancelled."""
        while True:
            with suppress(StoreUnavailableError):  # others log it
                if (revision := await self._newer_revision()) is not None:
                    self._log.emit("store.newer", revision=revision, lanes=len(self._leases.lanes))
                    await self._leases.end(self._grace_s)
                    await self._leases.give_back()
                    return
            await self._clock.sleep(_REVISION_EVERY_S)
