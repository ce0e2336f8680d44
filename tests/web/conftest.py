"""Fixtures of the HTTP listeners' tests: a callback listener, and applications behind access control."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import event

from tests.support.stored_jobs import Stores
from tests.web.callback_setup import CallbackSetup, LoopClock
from tests.web.protected_app import ProtectedApp, open_app
from tidewaiter.database.engine import Database
from tidewaiter.database.wake_up_store import WakeUp, WakeUpStore
from tidewaiter.log import configure
from tidewaiter.web.callback_listener import CallbackListener
from tidewaiter.web.rate_limits import RateBucket


@pytest.fixture
def clock() -> LoopClock:
    """The time."""
    return LoopClock()


@pytest.fixture
async def setup(sqlite_url: str, clock: LoopClock) -> AsyncIterator[CallbackSetup]:
    """A listener that runs, on a free port of the loopback interface."""
    database = Database.open(sqlite_url, clock)
    bound = socket.create_server(("127.0.0.1", 0))
    output = io.StringIO()
    log = configure("json", "debug", (), clock=clock, stream=output, strict=True)
    woken: list[WakeUp] = []
    hints, bucket = WakeUpStore(database), RateBucket(clock, 1.0, 20)
    listener = CallbackListener(bound, hints, wake=woken.append, clock=clock, log=log, bucket=bucket)
    stores = await Stores.set_up(database)
    running = asyncio.ensure_future(listener.run())
    setup = CallbackSetup(stores, clock, bound, running, output, woken)

    def count(*_: object) -> None:
        setup.writes += 1

    event.listen(database._writer.sync_engine, "begin", count)
    yield setup
    running.cancel()
    await asyncio.wait([running])
    await database.close()
    bound.close()
    log.close()


@pytest.fixture
async def app(sqlite_url: str) -> AsyncIterator[ProtectedApp]:
    """With tokens."""
    async with open_app(sqlite_url, with_tokens=True) as made:
        yield made


@pytest.fixture
async def loopback(sqlite_url: str) -> AsyncIterator[ProtectedApp]:
    """Without any."""
    async with open_app(sqlite_url, with_tokens=False) as made:
        yield made


@pytest.fixture
async def proxied(sqlite_url: str) -> AsyncIterator[ProtectedApp]:
    """With tokens, behind a proxy on this machine."""
    async with open_app(sqlite_url, with_tokens=True, proxies=("127.0.0.0/8",)) as made:
        yield made
