"""The status page put together: its rooms, and what each of them is given."""

from collections.abc import Callable, Mapping

from aiohttp import web

from app.desk import Desk, ScheduleDesk
from app.store.listing import JobList
from app.store.overview import Overview
from app.web.page.accounts import AccountsRoom
from app.web.page.actions import ActionsRoom
from app.web.page.frame import Frame
from app.web.page.job import JobRoom
from app.web.page.jobs import JobsRoom
from app.web.page.login import LoginRoom
from app.web.page.overview import OverviewRoom
from app.web.page.schedules import SchedulesRoom
from app.web.page.sight import Sight


def page_routes(
    frame: Frame,
    desk: Callable[[web.Request], Desk],
    schedules: Callable[[web.Request], ScheduleDesk],
    lists: Callable[[web.Request], JobList],
    overview: Callable[[web.Request], Overview],
    *,
    shards: Callable[[], Mapping[str, int]],
    storage_trouble: Callable[[], str | None],
    is_secure: Callable[[], bool],
) -> list[web.AbstractRouteDef]:
    """The routes of every page. What the configuration decides is asked for anew by every request.

    What takes the request is limited to the accounts that its caller may know of.

    Args:
        frame: makes the pages.
        desk: answers for jobs and accounts, and does what admins ask.
        schedules: answers for what recurs.
        lists: finds jobs.
        overview: draws the picture of how everything stands.
        shards: how many lanes each account has.
        storage_trouble: why downloads wait for the storage, where they do.
        is_secure: whether browsers come by https.
    """
    sight = Sight(desk, overview, shards, storage_trouble, frame.clock)
    rooms = (
        OverviewRoom(frame, sight, desk),
        JobsRoom(frame, sight, desk, lists),
        JobRoom(frame, sight, desk),
        AccountsRoom(frame, sight, desk, lists),
        SchedulesRoom(frame, schedules),
        ActionsRoom(desk, schedules),
        LoginRoom(frame, is_secure),
        frame.assets,
    )
    return [route for room in rooms for route in room.routes()]
