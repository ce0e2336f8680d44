"""Names of a test, and a wire that looks them up."""

from collections.abc import AsyncIterator

import pytest

from tests.transport.networks.named_servers import Names
from tidewaiter.transport.aiohttp_wire import AiohttpWire


@pytest.fixture
def names() -> Names:
    """What names mean."""
    return Names()


@pytest.fixture
async def wire(names: Names) -> AsyncIterator[AiohttpWire]:
    """A wire that asks the test for addresses."""
    async with AiohttpWire(resolver=names) as made:
        yield made
