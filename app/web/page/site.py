"""The status page put together: its rooms, and what each of them is given."""

from collections.abc import Callable, Mapping

from aiohttp import web

from app.desk import Desk
from app.recurrence import Schedule
from app.store.engine import Database
from app.store.overview import Overview
from app.store.schedules import ScheduleStore
from app.store.search import JobSearch
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
    desk: Callable[[], Desk],
    overview: Overview,
    database: Database,
    *,
    shards: Callable[[], Mapping[str, int]],
    schedules: Callable[[], Mapping[str, Schedule]],
    storage_trouble: Callable[[], str | None],
    secure: bool,
) -> list[web.RouteDef]:
    """The routes of every page.

    Args:
        frame: makes the pages.
        desk: answers for jobs and accounts, and does what admins ask.
        overview: draws the picture of how everything stands.
        database: where jobs are looked for.
        shards: how many lanes each account has.
        schedules: the configured ones, by name.
        storage_trouble: why downloads wait for the storage, where they do.
        secure: whether browsers come by https.
    """
    sight = Sight(desk, overview, shards, storage_trouble, frame.clock)
    search = JobSearch(database)
    rooms = (
        OverviewRoom(frame, sight, desk),
        JobsRoom(frame, sight, desk, search),
        JobRoom(frame, sight, desk),
        AccountsRoom(frame, sight, desk, search),
        SchedulesRoom(frame, schedules, ScheduleStore(database)),
        ActionsRoom(desk, schedules, frame.clock),
        LoginRoom(frame, secure=secure),
        frame.assets,
    )
    return [route for room in rooms for route in room.routes()]
