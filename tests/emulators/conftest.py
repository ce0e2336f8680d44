"""Fixtures of the emulators' tests: a manual clock, a client that keeps no connection open, and running emulators."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.emulators.manual_clock import ManualClock
from tests.emulators.symplify_client import GOOD, Caller
from tidewaiter.emulators.file_host import FileHost
from tidewaiter.emulators.symplify import SymplifyCustomer, SymplifyEmulator, SymplifyVariants


@pytest.fixture
def clock() -> ManualClock:
    """A clock that only the test moves."""
    return ManualClock()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that opens a connection for each request, follows nothing, unpacks nothing and adds no header."""
    connector = aiohttp.TCPConnector(force_close=True)
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        yield session


@pytest.fixture
async def files(clock: ManualClock) -> AsyncIterator[FileHost]:
    """The file host that results land on."""
    async with FileHost(clock=clock, secrets=[GOOD]) as running:
        yield running


@pytest.fixture
async def symplify(clock: ManualClock, files: FileHost) -> AsyncIterator[SymplifyEmulator]:
    """A running API whose batches take 100 seconds."""
    variants = SymplifyVariants(build_s=100, rows=10)
    async with SymplifyEmulator(
        clock=clock, files=files, customer=SymplifyCustomer(GOOD), variants=variants
    ) as running:
        yield running


@pytest.fixture
def caller(client: aiohttp.ClientSession, symplify: SymplifyEmulator) -> Caller:
    """Whoever asks that API."""
    return Caller(client, symplify)
