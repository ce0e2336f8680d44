"""Whoever asks the emulated Symplify, with good credentials unless a test says otherwise."""

import json
from collections.abc import Mapping
from typing import Final

import aiohttp
from yarl import URL

from tidewaiter.emulators.symplify import SymplifyEmulator

GOOD: Final = "t0ken"
AUTH: Final = {"X-Carma-Authentication-Token": GOOD}
ORDER: Final = {"exportType": "OPENS", "period": "LAST_DAY"}


class Caller:
    """Asks the API with good credentials."""

    def __init__(self, client: aiohttp.ClientSession, symplify: SymplifyEmulator) -> None:
        self.client = client
        self.symplify = symplify

    async def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Mapping[str, str], str]:
        """One request below ``/batches``; status, headers and text of the reply."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.client.request(
            method, f"{self.symplify.base_url}/batches{path}", data=data, headers=AUTH | headers, allow_redirects=False
        ) as reply:
            return reply.status, reply.headers, await reply.text()

    async def create(self, **order: str) -> str:
        """Order an export; its id."""
        status, _, text = await self.ask("POST", "/exports/statistics", ORDER | order)
        assert status == 200
        batch_id = json.loads(text)["batchId"]
        assert isinstance(batch_id, str)
        return batch_id

    async def status(self, batch_id: str) -> dict[str, object]:
        """Ask after a batch that is there."""
        status, _, text = await self.ask("GET", f"/{batch_id}")
        assert status == 200
        reply = json.loads(text)
        assert isinstance(reply, dict)
        return reply

    async def word(self, batch_id: str) -> str:
        """The status of a batch, trimmed."""
        return str((await self.status(batch_id))["status"]).strip()

    async def url(self, batch_id: str, accept: str = "text/plain") -> tuple[int, str]:
        """Ask for the link to the result."""
        status, _, text = await self.ask("GET", f"/{batch_id}/result/url", Accept=accept)
        return status, text

    async def fetch(self, url: str) -> tuple[int, bytes]:
        """Open a link, byte for byte as it was given, without credentials."""
        async with self.client.get(URL(url, encoded=True)) as reply:
            return reply.status, await reply.read()
