"""What the rooms of the page look at: the picture, the lanes in words, and one job's lane."""

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
    """The picture and its lanes; ``trouble`` is why it could not be drawn anew, where it could not."""

    picture: Picture
    lanes: list[LaneView]
    trouble: str | None


class Sight:
    """Looks at everything.

    Args:
        desk: knows the accounts.
        overview: draws the picture.
        shards: how many lanes each account has.
        storage_trouble: why downloads wait for the storage, where they do.
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

    async def look(self, request: web.Request) -> View:
        """The picture that the caller may see, or the last one while the database cannot be reached.

        Raises:
            StoreUnavailableError: it cannot, and never could.
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
