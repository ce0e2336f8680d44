"""Processes that renew tokens, the server, and the log."""

import io
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp.test_utils import BaseTestServer, TestServer

from tests.support.token_server import TokenServer
from tests.worker.token_renewal.renewing_lanes import Process
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.log import configure
from tidewaiter.transport.aiohttp_wire import AiohttpWire


@pytest.fixture
def api() -> TokenServer:
    """What the server does."""
    return TokenServer()


@pytest.fixture
async def server(api: TokenServer) -> AsyncIterator[BaseTestServer]:
    """The API on the loopback interface."""
    async with TestServer(api.application(), host="127.0.0.1") as running:
        yield running


@pytest.fixture
def output() -> io.StringIO:
    """What is logged."""
    return io.StringIO()


@pytest.fixture
async def make_process(
    server: BaseTestServer, database: Database, output: io.StringIO
) -> AsyncIterator[Callable[[], Process]]:
    """Makes processes that share the database."""
    clock = SystemClock()
    log = configure("json", "debug", ["canary-rt-0"], clock=clock, stream=output, strict=True)
    async with AiohttpWire() as wire:
        yield lambda: Process(wire, str(server.make_url("")).rstrip("/"), database, clock, log)
    log.close()


@pytest.fixture
def process(make_process: Callable[[], Process]) -> Process:
    """One of them."""
    return make_process()
