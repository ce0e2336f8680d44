"""Six hundred connections that pipeline and never read must not cost one answer about the health."""

import asyncio
import resource
from pathlib import Path

import pytest

from tests.support.api_server import serving
from tests.support.unread_connections import healthy, push, unreading

pytestmark = pytest.mark.chaos

_NUMBER = 600


async def test_six_hundred_that_never_read(tmp_path: Path, sqlite_url: str) -> None:
    """For half a minute every look is answered 200 within three seconds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        async with serving(tmp_path, sqlite_url) as site:
            for _ in range(50):
                await site.submitted()
            with unreading(site, _NUMBER) as held:
                pushing = asyncio.create_task(push(held, 500))
                statuses: list[int] = []
                async with asyncio.timeout(100):
                    while len(statuses) < 200:
                        statuses += await healthy(site, 10)
                pushing.cancel()
                assert statuses == [200] * len(statuses)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
