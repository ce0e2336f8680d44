"""Ends the daemon when its database file was deleted or replaced."""

from collections.abc import Callable
from typing import Final, NoReturn

from tidewaiter.clock import Clock

_CHECK_EVERY_S: Final = 1.0


class DatabaseWatch:
    """Checks the database file once a second.

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
            await self._clock.sleep(_CHECK_EVERY_S)
