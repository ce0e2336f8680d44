"""The routes of all pages."""

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
    renderer: Frame,
    desk: Callable[[web.Request], Desk],
    schedules: Callable[[web.Request], ScheduleDesk],
    lists: Callable[[web.Request], JobList],
    overview: Callable[[web.Request], Overview],
    *,
    shards: Callable[[], Mapping[str, int]],
    storage_trouble: Callable[[], str | None],
    is_secure: Callable[[], bool],
) -> list[web.AbstractRouteDef]:
    """The routes of all pages.

    The callables return what the current configuration decides. Those that take the request return something limited
    to the accounts that its caller may see.

    Args:
        renderer: makes the pages.
        desk: has the jobs and accounts, and carries out the actions of admins.
        schedules: has the schedules.
        lists: finds jobs.
        overview: reads the state of everything.
        shards: how many lanes each account has.
        storage_trouble: why downloads wait for the storage, if they do.
        is_secure: whether browsers use https.
    """
    dashboard = Sight(desk, overview, shards, storage_trouble, renderer.clock)
    pages = (
        OverviewRoom(renderer, dashboard, desk),
        JobsRoom(renderer, dashboard, desk, lists),
        JobRoom(renderer, dashboard, desk),
        AccountsRoom(renderer, dashboard, desk, lists),
        SchedulesRoom(renderer, schedules),
        ActionsRoom(desk, schedules),
        LoginRoom(renderer, is_secure),
        renderer.assets,
    )
    return [route for page in pages for route in page.routes()]
