"""How often a read of the API crosses to SQLite's thread: once. A busy event loop delays each crossing by a turn."""

from pathlib import Path

from tests.support.api_server import serving
from tests.support.database_counts import counting

_ROUTES = (
    "/v1/jobs/1",
    "/v1/jobs?limit=50",
    "/v1/jobs?state=queued&limit=50",
    "/v1/jobs?account=quay&operation=report",
    "/v1/jobs?operation=report",
    "/v1/jobs?q=nothing",
    "/v1/jobs:count",
    "/v1/schedules",
)


async def test_a_read_crosses_once(tmp_path: Path, sqlite_url: str) -> None:
    """Each of the main routes, when its connection is open."""
    with counting() as counts:
        async with serving(tmp_path, sqlite_url) as site:
            await site.submitted()
            took = {}
            for path in _ROUTES:
                await site.get(path)
                before = counts.crossings
                reply = await site.get(path)
                took[path] = reply.status, counts.crossings - before
    assert took == dict.fromkeys(_ROUTES, (200, 1))
