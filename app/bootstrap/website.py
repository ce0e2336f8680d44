"""The HTTP listener beside the daemon: up before it, in standby too, and down after it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.bootstrap.access import bind_access, rebind_access
from app.bootstrap.bound import Running
from app.bootstrap.page import bind_page
from app.bootstrap.present import Present
from app.bootstrap.seams import Seams
from app.domain.change import News
from app.log import EventLog
from app.store.jobs import JobStore
from app.store.listing import JobList
from app.store.notifications import NotificationStore
from app.store.overview import Overview, OverviewStore
from app.web.api.application import api_routes
from app.web.api.feed import Feed
from app.web.api.office import Office
from app.web.api.routes import serve_routes
from app.web.api.watch import Watch
from app.web.health import Health
from app.web.page.frame import Frame
from app.web.server import HttpServer, make_application
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
    access = bind_access(running.bound.config, seams.clock, log)
    running.follow(lambda bound: rebind_access(access, bound.config))
    present = Present(running, seams, log)
    overview = Overview(OverviewStore(JobStore(seams.database.for_lookers)), seams.clock)
    office = _office(present, overview, seams, log)
    news.follow(office.watch.heard)
    news.follow(office.feed.take)
    frame = Frame(access, vitals, seams.clock)
    page = bind_page(running, present, office.lists, overview, frame, storage_trouble=health.storage_trouble)
    routes = [*health.routes(), *serve_routes(api_routes(office)), *page]
    application = make_application(routes, access, log, error_page=frame.error_page)
    task = asyncio.create_task(HttpServer(listening, application, seams.clock).run())
    task.add_done_callback(lambda _: stop.set())
    try:
        yield task
    finally:
        office.watch.close()
        office.feed.close()
        task.cancel()
        await asyncio.wait([task])


def _office(present: Present, overview: Overview, seams: Seams, log: EventLog) -> Office:
    lent = seams.database.for_lookers
    lists = JobList(JobStore(lent))
    return Office(
        desk=present.desk,
        schedules=present.schedules,
        providers=present.providers,
        lists=lists,
        overview=overview,
        storage=seams.storage,
        notifications=NotificationStore(lent),
        watch=Watch(lists, seams.clock),
        feed=Feed(f"{seams.rand.getrandbits(32):08x}"),
        clock=seams.clock,
        log=log,
    )
