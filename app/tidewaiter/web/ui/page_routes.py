"""The routes of all pages."""

from collections.abc import Callable, Mapping

from aiohttp import web

from tidewaiter.database.dashboard_store import Dashboard
from tidewaiter.database.job_list import JobList
from tidewaiter.services import JobService, ScheduleService
from tidewaiter.web.ui.account_pages import AccountPages, SchedulePage
from tidewaiter.web.ui.dashboard import DashboardReader
from tidewaiter.web.ui.forms import ActionForms, LoginPages
from tidewaiter.web.ui.job_pages import JobDetailPage, JobListPage
from tidewaiter.web.ui.overview_page import OverviewPage
from tidewaiter.web.ui.page_renderer import PageRenderer


def page_routes(
    renderer: PageRenderer,
    desk: Callable[[web.Request], JobService],
    schedules: Callable[[web.Request], ScheduleService],
    lists: Callable[[web.Request], JobList],
    overview: Callable[[web.Request], Dashboard],
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
    dashboard = DashboardReader(desk, overview, shards, storage_trouble, renderer.clock)
    pages = (
        OverviewPage(renderer, dashboard, desk),
        JobListPage(renderer, dashboard, desk, lists),
        JobDetailPage(renderer, dashboard, desk),
        AccountPages(renderer, dashboard, desk, lists),
        SchedulePage(renderer, schedules),
        ActionForms(desk, schedules),
        LoginPages(renderer, is_secure),
        renderer.assets,
    )
    return [route for page in pages for route in page.routes()]
