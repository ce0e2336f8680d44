"""The dashboard of the pages: the state of everything, with its lanes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from app.clock import Clock
from app.desk import Desk
from app.store.engine import StoreUnavailableError
from app.store.overview import Overview, Picture
from app.web.page.lanes import LaneView, lanes_of


@dataclass(frozen=True, slots=True)
class View:
    """The dashboard and its lanes; ``trouble`` is why it could not be refreshed, if it could not."""

    picture: Picture
    lanes: list[LaneView]
    trouble: str | None


class Sight:
    """Reads the dashboard for a caller.

    Args:
        desk: has the accounts.
        overview: reads the state of everything.
        shards: how many lanes each account has.
        storage_trouble: why downloads wait for the storage, if they do.
        clock: the time.
    """

    def __init__(
        self,
        desk: Callable[[web.Request], Desk],
        overview: Callable[[web.Request], Overview],
        shards: Callable[[], Mapping[str, int]],
        storage_trouble: Callable[[], str | None],
        clock: Clock,
    ) -> None:
        self.storage_trouble = storage_trouble
        self._desk = desk
        self._overview = overview
        self._shards = shards
        self._clock = clock

    async def read(self, request: web.Request) -> View:
        """The dashboard that the caller may see, or the last one while the database cannot be reached.

        Raises:
            StoreUnavailableError: the database could never be reached.
        """
        overview, trouble = self._overview(request), None
        try:
            picture = await overview.look()
        except StoreUnavailableError as error:
            if overview.last is None:
                raise
            picture, trouble = overview.last, str(error)
        return View(
            picture, lanes_of(picture, self._desk(request).accounts, self._shards(), self._clock.now()), trouble
        )
