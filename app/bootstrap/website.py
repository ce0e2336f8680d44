"""The HTTP listener beside the daemon: up before it, in standby too, and down after it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.bootstrap.access import bind_access
from app.bootstrap.accounts import load_providers, read_schedules
from app.bootstrap.daemon import Seams
from app.bootstrap.desk import desk_of
from app.config import Config
from app.desk import ScheduleDesk
from app.domain.change import Change, Tell, tell_nobody
from app.log import EventLog
from app.providers.provider import BoundAccount
from app.store.jobs import JobStore
from app.store.listing import JobList
from app.store.overview import Overview, OverviewStore
from app.store.schedules import ScheduleStore
from app.web.api.application import api_routes
from app.web.api.office import Office
from app.web.api.routes import serve_routes
from app.web.api.watch import Watch
from app.web.server import HttpServer, make_application


@dataclass(frozen=True, slots=True)
class Website:
    """What serves HTTP, where anything does: ``task`` tells in the end whether it died, ``tell`` takes the news."""

    task: asyncio.Task[None] | None
    tell: Tell


@asynccontextmanager
async def website(
    config: Config,
    accounts: Mapping[str, BoundAccount],
    seams: Seams,
    log: EventLog,
    *,
    listening: socket.socket | None,
    stop: asyncio.Event,
) -> AsyncIterator[Website]:
    """Serve HTTP while the block runs, where an address is configured. A listener that dies sets ``stop``."""
    if listening is None:
        yield Website(None, tell_nobody)
        return
    lists = JobList(JobStore(seams.database))
    watch = Watch(lists, seams.clock)

    def tell(change: Change) -> None:
        watch.heard(change)

    office = _office(config, accounts, seams, log, lists=lists, watch=watch, tell=tell)
    access = bind_access(config, seams.clock, log)
    application = make_application(serve_routes(api_routes(office)), access, log)
    task = asyncio.create_task(HttpServer(listening, application, seams.clock).run())
    task.add_done_callback(lambda _: stop.set())
    try:
        yield Website(task, tell)
    finally:
        watch.close()
        task.cancel()
        await asyncio.wait([task])


def _office(
    config: Config,
    accounts: Mapping[str, BoundAccount],
    seams: Seams,
    log: EventLog,
    *,
    lists: JobList,
    watch: Watch,
    tell: Tell,
) -> Office:
    database, clock = seams.database, seams.clock
    desk = desk_of(config, accounts, database, clock, log, rand=seams.rand, tell=tell)
    schedules = ScheduleDesk(read_schedules(config, accounts), ScheduleStore(database), desk, clock)
    providers = load_providers(config)
    return Office(
        desk=lambda: desk,
        schedules=lambda: schedules,
        providers=lambda: providers,
        lists=lists,
        overview=Overview(OverviewStore(JobStore(database)), clock),
        storage=seams.storage,
        watch=watch,
        clock=clock,
        log=log,
    )
