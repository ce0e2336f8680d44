"""Connections that pipeline and never read: closed, bounded, and no delay for the health check."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.api_server import serving
from tests.support.unread_connections import healthy, open_unread, push
from tidewaiter.web import http_server, listener


@pytest.mark.slow
async def test_they_cost_health_no_answer(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than are served at once, all with requests that take the database: each look is answered 200."""
    monkeypatch.setattr(http_server, "_MOST_CONNECTIONS", 16)
    async with serving(tmp_path, sqlite_url) as site:
        for _ in range(20):
            await site.submitted()
        with open_unread(site, 24) as held:
            pushing = asyncio.create_task(push(held, 200))
            assert await healthy(site, 20) == [200] * 20
            await pushing


@pytest.mark.slow
async def test_one_that_takes_nothing_is_cut(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that nobody takes is given up after a while, and its memory is free again."""
    monkeypatch.setattr(listener, "_UNREAD_S", 0.3)
    async with serving(tmp_path, sqlite_url) as site:
        for _ in range(50):
            await site.submitted()
        with open_unread(site, 1) as held:
            await push(held, 400)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(20):
                with suppress(ConnectionError):
                    while await loop.sock_recv(held[0], 65_536):
                        await site.get("/healthz")
        assert (await site.get("/healthz")).status == 200
