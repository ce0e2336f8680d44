"""A page that is served, scenes behind it, and a browser in front of it."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.web.ui.chromium import FLAGS, chromium_path
from tests.web.ui.sample_data import an_hour, under_way
from tests.web.ui.ui_server import ACCOUNTS, WISHES, Rig, served

_PATIENCE_MS = 20_000


@pytest.fixture(scope="session")
def busy_hour() -> list[bytes]:
    """Where a database with a busy hour is kept, once it was made."""
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def rig(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Rig]:
    """A page over a database in which nothing is, open to everybody on this machine."""
    async with served(tmp_path, sqlite_url) as one:
        await one.stage.open(list(ACCOUNTS))
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Rig]:
    """The same behind tokens."""
    async with served(tmp_path, sqlite_url, tokens=True) as one:
        await one.stage.open(list(ACCOUNTS))
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def busy(tmp_path: Path, sqlite_template: Path, busy_hour: list[bytes]) -> AsyncIterator[Rig]:
    """A page over a database in which four accounts have worked for an hour."""
    file = tmp_path / "tidewaiter.db"
    if not busy_hour:
        shutil.copyfile(sqlite_template, file)
        async with served(tmp_path, f"sqlite:///{file}") as one:
            await one.stage.open(list(ACCOUNTS))
            one.stage.clock.at -= 3600.0
            await an_hour(one.stage, WISHES, 80)
            await under_way(one.stage, WISHES, 60)
        busy_hour.append(file.read_bytes())
    file.write_bytes(busy_hour[0])
    async with served(tmp_path, f"sqlite:///{file}") as one:
        await one.stage.reopen(list(ACCOUNTS))
        yield one


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium; it is installed where there is none and this process may."""
    expect.set_options(timeout=_PATIENCE_MS)
    async with async_playwright() as driver:
        one = await driver.chromium.launch(executable_path=chromium_path(), args=list(FLAGS))
        yield one
        await one.close()
