"""Whoever asks the emulated Copernica: logs in on the one origin, and carries the token to the other."""

import json
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from tidewaiter.emulators.copernica import CopernicaEmulator

ACCESS: Final = "access-tøken"


class Caller:
    """Asks the API with a good token."""

    def __init__(self, client: aiohttp.ClientSession, copernica: CopernicaEmulator) -> None:
        self.client = client
        self.copernica = copernica
        self.token = ""

    async def login(self, **form: str) -> tuple[int, str, str]:
        """One login with another form; status, content type and text of the reply."""
        sent = form or {"access_token": ACCESS}
        async with self.client.post(f"{self.copernica.login.origin}/", data=sent) as reply:
            return reply.status, reply.content_type, await reply.text()

    async def renew(self) -> None:
        """Log in, where the token is the whole body."""
        status, _, self.token = await self.login()
        assert status == 200

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Mapping[str, str], str]:
        """One request below the version; status, headers and text of the reply."""
        if not self.token:
            await self.renew()
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.copernica.base_url}{path}"
        async with self.client.request(method, url, json=body, headers=headers, allow_redirects=False) as reply:
            return reply.status, reply.headers, await reply.text()

    async def create(self, path: str = "/subprofile/17", body: object = None) -> str:
        """Order the data of a person; the identifier, where it stands in X-Created."""
        status, headers, text = await self.ask("POST", f"{path}/datarequest", body)
        assert (status, text) == (201, "")
        return headers["X-Created"]

    async def status(self, request_id: str) -> dict[str, Any]:
        """The status of a request that is there."""
        status, _, text = await self.ask("GET", f"/datarequest/{request_id}/status")
        assert status == 200
        told = json.loads(text)
        assert isinstance(told, dict)
        return told

    async def bare(self, request_id: str) -> dict[str, Any]:
        """A request that is there, in the bare form."""
        status, _, text = await self.ask("GET", f"/datarequest/{request_id}")
        assert status == 200
        told = json.loads(text)
        assert isinstance(told, dict)
        return told
