"""The HTTP listener beside the daemon: up before it, in standby too, and down after it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.bootstrap.access import bind_access
from app.clock import Clock
from app.config import Config
from app.log import EventLog
from app.web.server import HttpServer, make_application


@asynccontextmanager
async def website(
    config: Config,
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
    access = bind_access(config, clock, log)
    application = make_application([], access, log)
    task = asyncio.create_task(HttpServer(listening, application, clock).run())
    task.add_done_callback(lambda _: stop.set())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
