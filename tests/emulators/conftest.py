"""What the tests of the emulators share: a clock that is moved by hand, and a client that keeps nothing open."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.emulators.symplify_client import GOOD, Caller
from tidewaiter.emulators.file_host import FileHost
from tidewaiter.emulators.symplify import SymplifyCustomer, SymplifyEmulator, SymplifyVariants


class HandClock:
    """A clock that stands still until it is moved; whoever sleeps moves it and is let go at once."""

    def __init__(self, at: float = 1_403_187_000.0) -> None:
        self.at = at
        self.slept: list[float] = []

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self.at

    def monotonic(self) -> float:
        """Seconds since the Unix epoch, here too."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """Move the clock by that much."""
        self.slept.append(seconds)
        self.at += seconds
        await asyncio.sleep(0)

    def skew(self) -> float:
        """No second clock to drift from."""
        return 0.0


@pytest.fixture
def clock() -> HandClock:
    """A clock that only the test moves."""
    return HandClock()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that opens a connection for each request, follows nothing, unpacks nothing and adds no header."""
    connector = aiohttp.TCPConnector(force_close=True)
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        yield session


@pytest.fixture
async def files(clock: HandClock) -> AsyncIterator[FileHost]:
    """The file host that results land on."""
    async with FileHost(clock=clock, secrets=[GOOD]) as running:
        yield running


@pytest.fixture
async def symplify(clock: HandClock, files: FileHost) -> AsyncIterator[SymplifyEmulator]:
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
