"""The HTTP listener beside the daemon: up before it, in standby too, and down after it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.bootstrap.access import bind_access, rebind_access
from app.bootstrap.accounts import read_schedules
from app.bootstrap.bound import Bound, Running
from app.bootstrap.desk import desk_of
from app.bootstrap.seams import Seams
from app.desk import Desk, ScheduleDesk
from app.domain.change import News
from app.log import EventLog
from app.providers.registry import Registry
from app.store.jobs import JobStore
from app.store.listing import JobList
from app.store.notifications import NotificationStore
from app.store.overview import Overview, OverviewStore
from app.store.schedules import ScheduleStore
from app.web.api.application import api_routes
from app.web.api.feed import Feed
from app.web.api.office import Office
from app.web.api.routes import serve_routes
from app.web.api.watch import Watch
from app.web.health import Health
from app.web.server import HttpServer, make_application


@asynccontextmanager
async def website(
    running: Running,
    health: Health,
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
    office = _office(running, seams, log)
    news.follow(office.watch.heard)
    news.follow(office.feed.take)
    application = make_application([*health.routes(), *serve_routes(api_routes(office))], access, log)
    task = asyncio.create_task(HttpServer(listening, application, seams.clock).run())
    task.add_done_callback(lambda _: stop.set())
    try:
        yield task
    finally:
        office.watch.close()
        office.feed.close()
        task.cancel()
        await asyncio.wait([task])


class _Seats:
    """What the configuration decides of the API: whoever asks is given what holds now."""

    def __init__(self, running: Running, seams: Seams, log: EventLog) -> None:
        self._seams = seams
        self._log = log
        self._take(running.bound)
        running.follow(self._take)

    def desk(self) -> Desk:
        return self._desk

    def schedules(self) -> ScheduleDesk:
        return self._schedules

    def providers(self) -> Registry:
        return self._providers

    def _take(self, bound: Bound) -> None:
        seams = self._seams
        self._providers = bound.providers
        self._desk = desk_of(
            bound.config, bound.accounts, seams.database, seams.clock, self._log, rand=seams.rand, tell=seams.tell
        )
        schedules = read_schedules(bound.config, bound.accounts)
        self._schedules = ScheduleDesk(schedules, ScheduleStore(seams.database), self._desk, seams.clock)


def _office(running: Running, seams: Seams, log: EventLog) -> Office:
    seats, jobs = _Seats(running, seams, log), JobStore(seams.database)
    lists = JobList(jobs)
    return Office(
        desk=seats.desk,
        schedules=seats.schedules,
        providers=seats.providers,
        lists=lists,
        overview=Overview(OverviewStore(jobs), seams.clock),
        storage=seams.storage,
        notifications=NotificationStore(seams.database),
        watch=Watch(lists, seams.clock),
        feed=Feed(f"{seams.rand.getrandbits(32):08x}"),
        clock=seams.clock,
        log=log,
    )
