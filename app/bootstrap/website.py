"""The HTTP listener beside the daemon: up before it, in standby too, and down after it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.bootstrap.access import bind_access, rebind_access
from app.bootstrap.bound import Running
from app.bootstrap.page import bind_page
from app.clock import Clock
from app.log import EventLog
from app.store.engine import Database
from app.web.health import Health
from app.web.page.frame import Frame
from app.web.server import HttpServer, make_application
from app.web.vitals import Vitals


@asynccontextmanager
async def website(
    running: Running,
    health: Health,
    vitals: Vitals,
    database: Database,
    *,
    listening: socket.socket | None,
    stop: asyncio.Event,
    clock: Clock,
    log: EventLog,
) -> AsyncIterator[asyncio.Task[None] | None]:
    """Serve HTTP while the block runs, where an address is configured. A listener that dies sets ``stop``.

    Yields:
        The task that serves: it tells in the end whether it died.
    """
    if listening is None:
        yield None
        return
    access = bind_access(running.bound.config, clock, log)
    running.follow(lambda bound: rebind_access(access, bound.config))
    frame = Frame(access, vitals, clock)
    page = bind_page(running, frame, database, log, storage_trouble=health.storage_trouble)
    application = make_application([*health.routes(), *page], access, log, error_page=frame.error_page)
    task = asyncio.create_task(HttpServer(listening, application, clock).run())
    task.add_done_callback(lambda _: stop.set())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
