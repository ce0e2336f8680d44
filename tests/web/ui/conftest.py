"""A served page, databases behind it, and a browser."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.web.ui.chromium import FLAGS, chromium_path
from tests.web.ui.sample_data import an_hour, under_way
from tests.web.ui.ui_server import ACCOUNTS, REQUESTS, UiServer, served

_PATIENCE_MS = 20_000


@pytest.fixture(scope="session")
def busy_hour() -> list[bytes]:
    """Where a database with a busy hour is kept, once it was made."""
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def page_server(tmp_path: Path, sqlite_url: str) -> AsyncIterator[UiServer]:
    """A page over a database in which nothing is, open to everybody on this machine."""
    async with served(tmp_path, sqlite_url) as one:
        await one.sample.open(list(ACCOUNTS))
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(tmp_path: Path, sqlite_url: str) -> AsyncIterator[UiServer]:
    """The same behind tokens."""
    async with served(tmp_path, sqlite_url, tokens=True) as one:
        await one.sample.open(list(ACCOUNTS))
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def busy(tmp_path: Path, sqlite_template: Path, busy_hour: list[bytes]) -> AsyncIterator[UiServer]:
    """A page over a database in which four accounts have worked for an hour."""
    file = tmp_path / "tidewaiter.db"
    if not busy_hour:
        shutil.copyfile(sqlite_template, file)
        async with served(tmp_path, f"sqlite:///{file}") as one:
            await one.sample.open(list(ACCOUNTS))
            one.sample.clock.at -= 3600.0
            await an_hour(one.sample, REQUESTS, 80)
            await under_way(one.sample, REQUESTS, 60)
        busy_hour.append(file.read_bytes())
    file.write_bytes(busy_hour[0])
    async with served(tmp_path, f"sqlite:///{file}") as one:
        await one.sample.reopen(list(ACCOUNTS))
        yield one


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium; it is installed where there is none and this process may."""
    expect.set_options(timeout=_PATIENCE_MS)
    async with async_playwright() as driver:
        one = await driver.chromium.launch(executable_path=chromium_path(), args=list(FLAGS))
        yield one
        await one.close()
