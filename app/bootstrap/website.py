"""The HTTP listener beside the daemon: up before it, in standby too, and down after it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from app.bootstrap.access import access_settings, bind_access, certificate_settings
from app.bootstrap.bound import Reloadable, Running
from app.bootstrap.page import bind_page
from app.bootstrap.present import Present
from app.bootstrap.seams import Seams
from app.domain.change import News
from app.log import EventLog
from app.store.jobs import JobStore
from app.store.limited import Overviews
from app.store.listing import JobList
from app.store.notifications import NotificationStore
from app.store.overview import OverviewStore
from app.web.api.application import api_routes
from app.web.api.feed import Feed
from app.web.api.office import Office
from app.web.api.routes import serve_routes
from app.web.api.watch import Watch
from app.web.callers import scope_of
from app.web.health import Health
from app.web.page.frame import Frame
from app.web.server import HttpServer, make_application
from app.web.tls import Certificate
from app.web.vitals import Vitals


@asynccontextmanager
async def website(
    running: Running,
    health: Health,
    vitals: Vitals,
    seams: Seams,
    log: EventLog,
    *,
    news: News,
    listening: socket.socket | None,
    stop: asyncio.Event,
) -> AsyncIterator[asyncio.Task[None] | None]:
    """Serve HTTP while the block runs, where an address is configured. A listener that dies sets ``stop``.

    Args:
        running: the configuration; what replaces it is served from then on.
        health: answers for the health of the process.
        vitals: what the process does.
        seams: time, chance, database and storage.
        log: told of who does what.
        news: what changes of jobs, in this process.
        listening: the socket; ``None`` where none is wanted.
        stop: asks the process to end.

    Yields:
        The task that serves: it tells in the end whether it died.
    """
    if listening is None:
        yield None
        return
    access = bind_access(running.bound.config, seams.clock, log, seams.database)
    running.join(Reloadable(access, lambda bound: access_settings(bound.config)))
    present = Present(running, seams, log)
    office = _office(present, seams, log)
    news.follow(office.watch.heard)
    news.follow(office.feed.take)
    frame = Frame(access, vitals, seams.clock)
    page = bind_page(running, present, office, frame, storage_trouble=health.storage_trouble)
    routes: list[web.AbstractRouteDef] = [*health.routes(), *serve_routes(api_routes(office)), *page]
    application = make_application(routes, access, log, error_page=frame.error_page)
    tls = _tls(running)
    task = asyncio.create_task(HttpServer(listening, application, seams.clock, tls).run())
    task.add_done_callback(lambda _: stop.set())
    try:
        yield task
    finally:
        office.watch.close()
        office.feed.close()
        task.cancel()
        await asyncio.wait([task])


def _tls(running: Running) -> ssl.SSLContext | None:
    """What the listener speaks TLS with, if it does. A reload may bring another certificate, but not end or begin TLS."""
    shown = certificate_settings(running.bound.config)
    if shown is None:
        return None
    certificate = Certificate(shown)
    running.join(Reloadable(certificate, lambda bound: certificate_settings(bound.config) or shown))
    return certificate.context


def _office(present: Present, seams: Seams, log: EventLog) -> Office:
    lent = seams.database.for_lookers
    lists, notifications = JobList(JobStore(lent)), NotificationStore(lent)
    overviews = Overviews(OverviewStore(JobStore(lent)), seams.clock)
    return Office(
        desk=lambda request: present.desk().limited_to(scope_of(request)),
        schedules=lambda request: present.schedules().limited_to(scope_of(request)),
        providers=present.providers,
        lists=lambda request: lists.limited_to(scope_of(request)),
        overview=lambda request: overviews.of(scope_of(request)),
        storage=seams.storage,
        notifications=lambda request: notifications.limited_to(scope_of(request)),
        watch=Watch(lists, seams.clock),
        feed=Feed(f"{seams.rand.getrandbits(32):08x}"),
        clock=seams.clock,
        log=log,
    )
