"""A client that logs in at a real server, and what the server does."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import BaseTestServer, TestServer

from tests.support.stored_jobs import StandingClock
from tests.worker.client_setup import ClientSetup, address_of
from tests.worker.login_api import Api
from tidewaiter.transport.aiohttp_wire import AiohttpWire


@pytest.fixture
async def api() -> Api:
    """What the server does."""
    return Api()


@pytest.fixture
async def server(api: Api) -> AsyncIterator[BaseTestServer]:
    """The API on the loopback interface."""
    async with TestServer(api.application(), host="127.0.0.1") as running:
        yield running


@pytest.fixture
def clock() -> StandingClock:
    """A clock that the test moves."""
    return StandingClock()


@pytest.fixture
async def setup(server: BaseTestServer, clock: StandingClock) -> AsyncIterator[ClientSetup]:
    """A client without a token yet."""
    async with AiohttpWire() as wire:
        made = ClientSetup(wire, address_of(server), clock)
        yield made
        made.log.close()
