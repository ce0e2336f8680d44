"""The HTTP listener beside the daemon: who may use it, what it uses of the configuration, its routes and its task.

It is up before the daemon, in standby too, and down after it.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from ipaddress import ip_network
from urllib.parse import urlsplit

from aiohttp import web
from yarl import URL

from tidewaiter.bootstrap.account_binding import faulty_schedules, read_schedules
from tidewaiter.bootstrap.live_config import BoundConfig, LiveConfig, Reloadable
from tidewaiter.bootstrap.open_services import job_service_of
from tidewaiter.bootstrap.seams import Seams
from tidewaiter.bootstrap.webhooks import send_test_over, subscriptions_of
from tidewaiter.clock import Clock
from tidewaiter.config import Config, host_and_port
from tidewaiter.config.config_tables import TokenTable
from tidewaiter.config.value_types import epoch_of
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.database.batch_store import BatchStore
from tidewaiter.database.dashboard_store import Dashboards, DashboardStore
from tidewaiter.database.engine import Database
from tidewaiter.database.job_list import JobList
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.notification_store import NotificationStore
from tidewaiter.database.schedule_store import ScheduleStore
from tidewaiter.database.session_store import SessionStore
from tidewaiter.database.trend_store import TrendStore
from tidewaiter.domain.account_scope import EVERY_ACCOUNT, Scope
from tidewaiter.domain.change_feed import ChangeFeed
from tidewaiter.log import EventLog
from tidewaiter.providers.provider_registry import Registry
from tidewaiter.services import AccountService, BackfillService, JobService, ScheduleService
from tidewaiter.services.read_ahead import ReadAhead
from tidewaiter.web.access_control import AccessControl, AccessSettings
from tidewaiter.web.api.batch_waits import BatchWatch
from tidewaiter.web.api.job_changes import EventFeed, JobWatch
from tidewaiter.web.api.openapi import api_routes
from tidewaiter.web.api.routing import ApiContext, guarded_routes
from tidewaiter.web.callers import CallerToken, Role, scope_of
from tidewaiter.web.health_routes import HealthRoutes, ProcessStatus
from tidewaiter.web.http_server import HttpServer, make_application
from tidewaiter.web.tls import Certificate, server_context
from tidewaiter.web.ui.notification_page import EndpointView
from tidewaiter.web.ui.page_renderer import PageRenderer
from tidewaiter.web.ui.page_routes import PageContext, page_routes

_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_ROLES = {"read": Role.READ, "submit": Role.SUBMIT, "admin": Role.ADMIN}


def bind_access(config: Config, clock: Clock, log: EventLog, database: Database) -> AccessControl:
    """The access rules; :func:`faults_of_access` has found nothing wrong with the configuration."""
    return AccessControl(
        access_settings(config),
        open_paths=_OPEN_PATHS,
        clock=clock,
        log=log,
        sessions=SessionStore(database.for_readers),
    )


def access_settings(config: Config) -> AccessSettings:
    """Tokens, names and proxies of a configuration that :func:`faults_of_access` found nothing wrong with."""
    return AccessSettings(
        _tokens(config), _own_names(config), tuple(ip_network(one) for one in config.http.trusted_proxies)
    )


def _tokens(config: Config) -> list[CallerToken]:
    return [
        CallerToken.of(
            name, _ROLES[one.role], text, _scope(one), None if one.expires_at is None else epoch_of(one.expires_at)
        )
        for name, one in config.tokens.items()
        for text in (one.token, one.next_token)
        if text is not None
    ]


def _scope(token: TokenTable) -> Scope:
    return EVERY_ACCOUNT if token.accounts is None else Scope(frozenset(token.accounts))


def certificate_settings(config: Config) -> ssl.SSLContext | None:
    """The certificate that the listener shows where it speaks TLS, as a context.

    Raises:
        CertificateError: a file cannot be used; :func:`faults_of_access` says so before, unless it changed since.
    """
    if config.http.tls_certificate is None or config.http.tls_key is None:
        return None
    return server_context(config.http.tls_certificate, config.http.tls_key)


def is_secure(config: Config) -> bool:
    """Whether browsers use https."""
    return config.http.tls_certificate is not None or (config.http.public_url or "").startswith("https:")


def _own_names(config: Config) -> set[str]:
    """The names under which the listener may be called."""
    names = {"localhost", "127.0.0.1", "::1"}
    if config.http.listen is not None:
        names.add(host_and_port(config.http.listen)[0].lower())
    if config.http.public_url is not None:
        names.add((urlsplit(config.http.public_url).hostname or "").lower())
    return names


class LiveServices:
    """Each call returns what belongs to the configuration that is in use at that moment.

    Args:
        running: the configuration.
        seams: time, chance and database.
        log: takes what is requested.
    """

    def __init__(self, running: LiveConfig, seams: Seams, log: EventLog) -> None:
        self._seams = seams
        self._log = log
        self.reconfigure(running.bound)
        running.join(Reloadable(self, lambda bound: bound))

    def jobs(self) -> JobService:
        """The service for jobs."""
        return self._jobs

    def accounts(self) -> AccountService:
        """The service for accounts."""
        return self._accounts

    def schedules(self) -> ScheduleService:
        """The service for recurring jobs."""
        return self._schedules

    def backfills(self) -> BackfillService:
        """The service for backfills."""
        return self._backfills

    def providers(self) -> Registry:
        """The known providers."""
        return self._providers

    def shards(self) -> Mapping[str, int]:
        """How many lanes each account has."""
        return self._shards

    def reconfigure(self, bound: BoundConfig) -> None:
        """Build everything anew for this configuration."""
        seams = self._seams
        self._providers = bound.providers
        self._jobs = job_service_of(
            bound.config, bound.accounts, seams.database, seams.clock, self._log, rand=seams.rand, on_change=seams.tell
        )
        self._backfills = BackfillService(self._jobs, BackfillStore(self._jobs.jobs), seams.clock, self._log)
        self._accounts = AccountService(bound.accounts, seams.database, seams.clock)
        schedules = read_schedules(bound.config, bound.accounts)
        faulty = faulty_schedules(bound.config, bound.accounts)
        self._schedules = ScheduleService(schedules, ScheduleStore(seams.database), self._jobs, seams.clock, faulty)
        self._shards = {name: account.shards for name, account in bound.config.accounts.items()}


@asynccontextmanager
async def web_listener(
    running: LiveConfig,
    health: HealthRoutes,
    status: ProcessStatus,
    seams: Seams,
    log: EventLog,
    *,
    change_feed: ChangeFeed,
    listening: socket.socket | None,
    stop: asyncio.Event,
) -> AsyncIterator[tuple[asyncio.Task[None], ...]]:
    """Serve HTTP while the block runs, where an address is configured. A task that dies sets ``stop``.

    Args:
        running: the configuration; a new one is used as soon as it replaces it.
        health: the routes about the health of the process.
        status: what the process does.
        seams: time, chance, database and storage.
        log: takes requests that change something, and refused ones.
        change_feed: changes of jobs in this process.
        listening: the socket; ``None`` if none is configured.
        stop: asks the process to end.

    Yields:
        The task that serves, and the one that reads ahead what pages show; in the end their results say whether they
        died. None of them without an address.
    """
    if listening is None:
        yield ()
        return
    access = bind_access(running.bound.config, seams.clock, log, seams.database)
    running.join(Reloadable(access, lambda bound: access_settings(bound.config)))
    services = LiveServices(running, seams, log)
    readers = seams.database.for_readers
    dashboard, trends = DashboardStore(JobStore(readers)), TrendStore(readers)
    dashboards = Dashboards(dashboard, seams.clock)
    context = _api_context(services, seams, log, health.storage_trouble, dashboards=dashboards, trends=trends)
    change_feed.subscribe(context.watch.on_change)
    change_feed.subscribe(context.batch_watch.on_change)
    change_feed.subscribe(context.feed.on_change)
    frame = PageRenderer(access, status, seams.clock)
    page = page_routes(
        frame,
        PageContext(
            context.jobs,
            context.accounts,
            context.schedules,
            context.job_lists,
            context.batches,
            context.backfills,
            context.overview,
            context.notifications,
            context.trends,
            shards=services.shards,
            storage_trouble=health.storage_trouble,
            write_trouble=health.write_trouble,
            is_secure=lambda: is_secure(running.bound.config),
            endpoints=lambda: _endpoint_views(running.bound.config),
            send_test=lambda name: send_test_over(seams.wire, seams.clock, running.bound.config, name),
        ),
    )
    routes: list[web.AbstractRouteDef] = [*health.routes(), *guarded_routes(api_routes(context)), *page]
    application = make_application(routes, access, log, error_page=frame.error_page)
    tls = _tls(running)
    serving = asyncio.create_task(HttpServer(listening, application, seams.clock, tls).run())
    prepare = partial(_look_first, dashboards)
    status.page_prepared.clear()
    reading = ReadAhead(dashboard, trends, seams.clock, prepare=prepare, prepared=status.page_prepared.set)
    tasks = (serving, asyncio.create_task(reading.run()))
    for task in tasks:
        task.add_done_callback(lambda _: stop.set())
    host, port = listening.getsockname()[:2]
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    log.emit("http.started", url=running.bound.config.http.page_url(place))
    try:
        yield tasks
    finally:
        context.watch.close()
        context.batch_watch.close()
        context.feed.close()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await dashboard.censuses.close()


async def _look_first(dashboards: Dashboards) -> None:
    """Import what renders pages, and make the SQL of the first page."""
    await asyncio.to_thread(import_module, "jinja2")
    await dashboards.of(EVERY_ACCOUNT).snapshot()


def _endpoint_views(config: Config) -> list[EndpointView]:
    """The endpoints as the page shows them."""
    return [
        EndpointView(one, str(URL(config.notifications[one.endpoint].url).origin())) for one in subscriptions_of(config)
    ]


def _tls(running: LiveConfig) -> ssl.SSLContext | None:
    """The TLS context of the listener; a reload may bring another certificate, but neither begins nor ends TLS."""
    shown = certificate_settings(running.bound.config)
    if shown is None:
        return None
    certificate = Certificate(shown)
    running.join(Reloadable(certificate, lambda bound: certificate_settings(bound.config) or shown))
    return certificate.context


def _api_context(
    services: LiveServices,
    seams: Seams,
    log: EventLog,
    storage_trouble: Callable[[], str | None],
    *,
    dashboards: Dashboards,
    trends: TrendStore,
) -> ApiContext:
    database = seams.database.for_readers
    lists, notifications, batches = JobList(JobStore(database)), NotificationStore(database), BatchStore(database)
    return ApiContext(
        jobs=lambda request: services.jobs().limited_to(scope_of(request)),
        accounts=lambda request: services.accounts().limited_to(scope_of(request)),
        schedules=lambda request: services.schedules().limited_to(scope_of(request)),
        providers=services.providers,
        job_lists=lambda request: lists.limited_to(scope_of(request)),
        batches=lambda request: batches.limited_to(scope_of(request)),
        backfills=lambda request: services.backfills().limited_to(scope_of(request)),
        overview=lambda request: dashboards.of(scope_of(request)),
        storage=seams.storage,
        storage_trouble=storage_trouble,
        notifications=lambda request: notifications.limited_to(scope_of(request)),
        trends=lambda request: trends.limited_to(scope_of(request)),
        watch=JobWatch(lists, seams.clock),
        batch_watch=BatchWatch(batches, seams.clock),
        feed=EventFeed(f"{seams.rand.getrandbits(32):08x}"),
        clock=seams.clock,
        log=log,
    )
