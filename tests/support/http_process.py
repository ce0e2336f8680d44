"""A whole process as `tidewaiter serve` makes it, with the HTTP listener, and somebody who asks it."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.support.metrics_page import Samples
from tests.support.scripted_provider import Answer, answering, config_for
from tidewaiter import bootstrap
from tidewaiter.config import Config
from tidewaiter.log import configure

SPEC = """
[operations.report.submit]
url = "/jobs"
handle = "id"
[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { working = "pending", done = "ready" } }]
[operations.report.results]
url = "/jobs/${handle}/file"
"""


def answers() -> dict[str, Answer]:
    """A provider that is ready at the second poll."""
    return {
        "POST /jobs": answering({"id": "r-1"}, status=201),
        "GET /jobs/r-1": answering({"state": "working"}, {"state": "done"}),
        "GET /jobs/r-1/file": answering(b"the report"),
    }


@dataclass(slots=True)
class Process:
    """A process that serves; ``stop`` asks it to end."""

    config: Config
    url: str
    stop: asyncio.Event
    running: asyncio.Future[int]
    session: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, object]]:
        """Status and JSON of an answer."""
        async with self.session.get(self.url + path, headers=headers) as reply:
            document: dict[str, object] = await reply.json()
            return reply.status, document

    async def until(self, path: str, status: int, **wanted: object) -> dict[str, object]:
        """The answer once it has that status and holds these values."""
        async with asyncio.timeout(20):
            while True:
                try:
                    found, document = await self.get(path)
                except aiohttp.ClientConnectionError:
                    found, document = 0, {}
                if found == status and all(document.get(name) == value for name, value in wanted.items()):
                    return document
                await asyncio.sleep(0.05)

    async def scrape(self) -> Samples:
        """The metrics."""
        async with self.session.get(self.url + "/metrics") as reply:
            assert reply.status == 200
            return Samples(await reply.text())


@asynccontextmanager
async def process(config: Config) -> AsyncIterator[Process]:
    """The process of this configuration, until the block is left."""
    log = configure("json", "info", stream=io.StringIO(), strict=True)
    stop = asyncio.Event()
    running = asyncio.ensure_future(bootstrap.serve(config, log, stop=stop))
    async with aiohttp.ClientSession() as session:
        try:
            yield Process(config, f"http://{config.http.listen}", stop, running, session)
        finally:
            stop.set()
            assert await running == 0
            log.close()


def free_address() -> str:
    """An address on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
    return f"127.0.0.1:{port}"


def configured(folder: Path, database_url: str, server: str = "http://127.0.0.1:9", more: str = "") -> Config:
    """A configuration with one account, and with the listener at a free address."""
    return config_for(folder, SPEC, server, database_url, f'[http]\nlisten = "{free_address()}"\n{more}')
