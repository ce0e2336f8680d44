"""A daemon whose database was upgraded by a newer program finishes its jobs, and takes no new ones."""

from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.engine import Database, StoreUnavailableError
from tidewaiter.database.schema_check import known_revisions

_VALID_S: Final = 2.0


class SchemaGate:
    """Checks, at most once in two seconds, that this program knows the revision of the tables.

    A row that an older program writes may lack what a newer one needs, although its columns are there.

    Args:
        database: the database.
        clock: how long an answer is valid.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._valid_until = float("-inf")

    async def check(self) -> None:
        """Check that new jobs may be stored.

        Raises:
            StoreUnavailableError: the tables are newer than this program, or the database cannot be reached.
        """
        if self._clock.monotonic() < self._valid_until:
            return
        found, known = await self._database.schema_version(), known_revisions()
        if found is not None and found not in known:
            raise StoreUnavailableError(
                f"The database is at revision {found}, which is newer than this daemon, whose last is {known[-1]}: it "
                "takes no new jobs. Ask a daemon of the newer version, or start this one again with it."
            )
        self._valid_until = self._clock.monotonic() + _VALID_S
