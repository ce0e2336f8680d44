"""A crowd of connections that only wait: whoever comes with a request is served all the same."""

import asyncio
from pathlib import Path

import pytest

from tests.support.api_server import ApiServer, serving
from tidewaiter.web import http_server

_MOST = 4
_HALVES = (
    b"GET /hea",
    b"POST /login HTTP/1.1\r\nHost: tide\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 100\r\n\r\nt",
)


async def _connect(site: ApiServer, said: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(site.base.rpartition(":")[2]))
    writer.write(said)
    await writer.drain()
    return reader, writer


async def _is_cut(reader: asyncio.StreamReader) -> bool:
    """Whether a connection ends without a word."""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("half", _HALVES)
async def test_health_stays_reachable(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, half: bytes
) -> None:
    """However many send half a head or half a body: the one that waits longest makes room for the next."""
    monkeypatch.setattr(http_server, "_MOST_CONNECTIONS", _MOST)
    async with serving(tmp_path, sqlite_url, tokens=True) as site:
        held = [await _connect(site, half) for _ in range(3 * _MOST)]
        async with asyncio.timeout(5):
            assert (await site.get("/healthz")).status == 200
            assert await _is_cut(held[0][0])
        for _, writer in held:
            writer.close()


async def test_who_is_served_is_not_hung_up_on(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller whose answer is under way keeps its connection, though it is the oldest; beyond those nobody gets in."""
    monkeypatch.setattr(http_server, "_MOST_CONNECTIONS", 2)
    async with serving(tmp_path, sqlite_url) as site:
        follow = b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        reader, writer = await _connect(site, follow)
        assert b"200 OK" in await reader.readuntil(b"retry: 3000\n\n")
        halves = [await _connect(site, _HALVES[0]) for _ in range(5)]
        other, second = await _connect(site, follow)
        assert b"200 OK" in await other.readuntil(b"retry: 3000\n\n")
        late, third = await _connect(site, b"")
        assert await _is_cut(late)
        assert not reader.at_eof()
        for one in (writer, second, third, *(half for _, half in halves)):
            one.close()
