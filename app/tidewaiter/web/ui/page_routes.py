"""The routes of all pages, and the context that the pages use."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from tidewaiter.database.batch_store import BatchStore
from tidewaiter.database.dashboard_store import Dashboard
from tidewaiter.database.job_list import JobList
from tidewaiter.database.notification_store import NotificationStore
from tidewaiter.database.trend_store import TrendStore
from tidewaiter.services import AccountService, BackfillService, JobService, ScheduleService
from tidewaiter.transport.webhook_sender import WebhookReply
from tidewaiter.web.ui.account_pages import AccountPages
from tidewaiter.web.ui.batch_pages import BatchPages
from tidewaiter.web.ui.dashboard import DashboardReader
from tidewaiter.web.ui.forms import ActionForms, LoginPages
from tidewaiter.web.ui.job_pages import JobDetailPage, JobListPage
from tidewaiter.web.ui.many_jobs_pages import ManyJobsPages
from tidewaiter.web.ui.new_backfill_page import NewBackfillPage
from tidewaiter.web.ui.new_job_page import NewJobPage
from tidewaiter.web.ui.notification_page import EndpointView, NotificationPage
from tidewaiter.web.ui.overview_page import OverviewPage
from tidewaiter.web.ui.page_renderer import PageRenderer
from tidewaiter.web.ui.schedule_page import SchedulePage
from tidewaiter.web.ui.trend_page import TrendPage


@dataclass(frozen=True, slots=True)
class PageContext:
    """What the pages use.

    The callables return what the current configuration decides, because a reload may replace it. Those that take the
    request return something limited to the accounts that its caller may see. ``shards`` is how many lanes each account
    has, ``storage_trouble`` why downloads wait for the storage, if they do, ``write_trouble`` why the database accepts
    no writes, if it does not, and ``is_secure`` whether browsers use https. ``send_test``
    sends a test message to one of the ``endpoints`` for notifications.
    """

    jobs: Callable[[web.Request], JobService]
    accounts: Callable[[web.Request], AccountService]
    schedules: Callable[[web.Request], ScheduleService]
    job_lists: Callable[[web.Request], JobList]
    batches: Callable[[web.Request], BatchStore]
    backfills: Callable[[web.Request], BackfillService]
    overview: Callable[[web.Request], Dashboard]
    notifications: Callable[[web.Request], NotificationStore]
    trends: Callable[[web.Request], TrendStore]
    shards: Callable[[], Mapping[str, int]]
    storage_trouble: Callable[[], str | None]
    write_trouble: Callable[[], Awaitable[str | None]]
    is_secure: Callable[[], bool]
    endpoints: Callable[[], Sequence[EndpointView]]
    send_test: Callable[[str], Awaitable[WebhookReply]]


def page_routes(renderer: PageRenderer, context: PageContext) -> list[web.AbstractRouteDef]:
    """The routes of all pages; ``renderer`` makes the pages."""
    dashboard = DashboardReader(
        context.accounts,
        context.overview,
        context.shards,
        renderer.clock,
        storage_trouble=context.storage_trouble,
        write_trouble=context.write_trouble,
    )
    pages = (
        OverviewPage(renderer, dashboard, context.accounts),
        NewJobPage(renderer, context.jobs, context.schedules, context.job_lists),
        NewBackfillPage(renderer, context.jobs, context.backfills, context.job_lists),
        JobListPage(renderer, dashboard, context.jobs, context.job_lists),
        ManyJobsPages(renderer, context.jobs, context.job_lists),
        JobDetailPage(renderer, dashboard, context.jobs),
        BatchPages(
            renderer,
            dashboard,
            context.batches,
            context.backfills,
            context.job_lists,
            notifications=context.notifications,
            endpoints=context.endpoints,
        ),
        AccountPages(renderer, dashboard, context.accounts, context.schedules, context.job_lists),
        SchedulePage(renderer, context.schedules),
        NotificationPage(renderer, context.notifications, context.endpoints, context.send_test),
        TrendPage(renderer, context.jobs, context.trends),
        ActionForms(context.jobs, context.accounts, context.schedules),
        LoginPages(renderer, context.is_secure),
        renderer.assets,
    )
    return [route for page in pages for route in page.routes()]
