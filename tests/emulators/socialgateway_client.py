"""Whoever asks the emulated Social Gateway."""

import json
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from tidewaiter.emulators.socialgateway import SocialGatewayEmulator

LOGIN: Final = {"userName": "api", "apiKey": "k3y", "password": "pässword&"}


class Caller:
    """Logs in with good credentials, and carries the token on."""

    def __init__(self, client: aiohttp.ClientSession, gateway: SocialGatewayEmulator) -> None:
        self.client = client
        self.gateway = gateway

    async def login(self, **changed: str) -> tuple[int, Mapping[str, str], str]:
        """One login; status, headers and text of the reply."""
        async with self.client.post(f"{self.gateway.base_url}/authenticate", data=LOGIN | changed) as reply:
            return reply.status, reply.headers, await reply.text()

    async def token(self) -> str:
        """A fresh token."""
        status, _, text = await self.login()
        assert status == 200
        return str(json.loads(text)["access_token"])

    async def get(self, path: str, token: str | None = None, **parameters: str) -> tuple[int, str | None, str]:
        """One resource; status, reason phrase and text of the reply."""
        query = parameters | ({} if token is None else {"access_token": token})
        async with self.client.get(f"{self.gateway.base_url}/{path}", params=query) as reply:
            return reply.status, reply.reason, await reply.text()

    async def read(self, path: str, token: str, **parameters: str) -> Any:
        """One resource that is there."""
        status, _, text = await self.get(path, token, **parameters)
        assert status == 200
        return json.loads(text)
