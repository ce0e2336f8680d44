"""Whoever asks the emulated ShareProgress, with the good key unless a test says otherwise."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from tidewaiter.emulators.shareprogress import ShareProgressEmulator

KEY: Final = "sp-k3y"


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def envelope(self) -> dict[str, Any]:
        """The JSON object that it is."""
        envelope = json.loads(self.text)
        assert isinstance(envelope, dict)
        return envelope

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What it tells of, where all was well."""
        assert (self.status, self.envelope["success"]) == (200, True)
        rows = self.envelope["response"]
        assert isinstance(rows, list)
        return rows

    @property
    def row(self) -> dict[str, Any]:
        """The one thing that it tells of."""
        (row,) = self.rows
        return row


class Caller:
    """Asks the API with the good key."""

    def __init__(self, client: aiohttp.ClientSession, api: ShareProgressEmulator) -> None:
        self.client = client
        self.api = api

    async def post(self, path: str, /, **fields: object) -> Answer:
        """One POST with a JSON body."""
        async with self.client.post(f"{self.api.base_url}/{path}", json={"key": KEY} | fields) as reply:
            return Answer(reply.status, reply.headers, await reply.text())

    async def get(self, path: str, /, **fields: str) -> Answer:
        """One GET with a query."""
        async with self.client.get(f"{self.api.base_url}/{path}", params={"key": KEY} | fields) as reply:
            return Answer(reply.status, reply.headers, await reply.text())
