"""The real wire as a fixture."""

from collections.abc import AsyncIterator

import pytest

from tidewaiter.transport.aiohttp_wire import AiohttpWire


@pytest.fixture
async def wire() -> AsyncIterator[AiohttpWire]:
    """A wire that is closed cleanly; whatever it leaves behind is a warning, and warnings are errors."""
    async with AiohttpWire() as wire:
        yield wire
