"""Whoever asks the emulated OneAll, with good credentials unless a test says otherwise."""

import json
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from tidewaiter.emulators.oneall import OneAllEmulator

PUBLIC: Final = "public-key"
PRIVATE: Final = "privåte-key"
MESSAGE: Final = "221c7bdf-d2b7-4ee4-99f4-34d0d550ecf6"
AUTH: Final = {"Authorization": aiohttp.encode_basic_auth(PUBLIC, PRIVATE, "utf-8")}
SNAPSHOTS: Final = "/sharing/analytics/snapshots"


class Caller:
    """Asks the API with good credentials."""

    def __init__(self, client: aiohttp.ClientSession, oneall: OneAllEmulator) -> None:
        self.client = client
        self.oneall = oneall

    async def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Mapping[str, str], str]:
        """One request below the list; status, headers and text of the reply."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.client.request(
            method, f"{self.oneall.origin}{SNAPSHOTS}{path}", data=data, headers=AUTH | headers
        ) as reply:
            return reply.status, reply.headers, await reply.text()

    async def envelope(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any], Any]:
        """One request; HTTP status, what the envelope says of the request, and the data in it or ``None``."""
        status, headers, text = await self.ask(method, path, body)
        assert headers["Content-Type"] == "application/json"
        response = json.loads(text)["response"]
        return status, response["request"], response.get("result", {"data": None})["data"]

    async def initiate(self, message: str = MESSAGE, pingback_uri: str | None = None) -> tuple[int, Any]:
        """Initiate a snapshot; the code in the envelope, and the data."""
        sharing = {"sharing_message_token": message} | ({"pingback_uri": pingback_uri} if pingback_uri else {})
        _, request, data = await self.envelope("PUT", ".json", {"request": {"analytics": {"sharing": sharing}}})
        return request["status"]["code"], data

    async def start(self, message: str = MESSAGE, pingback_uri: str | None = None) -> str:
        """Initiate a snapshot that is not pending yet; its token."""
        code, data = await self.initiate(message, pingback_uri)
        assert code == 201
        return str(data["sharing_analytics_snapshot"]["sharing_analytics_snapshot_token"])

    async def snapshot(self, token: str) -> dict[str, Any]:
        """A snapshot that is there, as it stands in the envelope."""
        status, _, data = await self.envelope("GET", f"/{token}.json")
        assert status == 200
        told = data["sharing_analytics_snapshot"]
        assert isinstance(told, dict)
        return told

    async def listed(self, query: str = "") -> dict[str, Any]:
        """One page of the list, as it stands in the envelope."""
        status, _, data = await self.envelope("GET", f".json{query}")
        assert status == 200
        told = data["sharing_analytics_snapshots"]
        assert isinstance(told, dict)
        return told

    async def tokens(self, query: str = "") -> list[str]:
        """The tokens on one page of the list."""
        return [entry["sharing_analytics_snapshot_token"] for entry in (await self.listed(query))["entries"]]
