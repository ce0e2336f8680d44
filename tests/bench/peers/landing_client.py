"""The requests of a landed job, for the peers' workers: ``WORKER ORIGIN FOLDER DSN JOBS``, then what it shall do."""

import os
import sys
from pathlib import Path

import aiohttp

ORIGIN, FOLDER, DSN = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
JOBS = int(sys.argv[4])
CONCURRENCY = 64
POLL_S = 1.0
_BATCHES = f"{ORIGIN}/rest/5004/batches"
_HEADERS = {"X-Carma-Authentication-Token": "bench-token", "Accept": "application/json"}


class Client:
    """One session for all requests, as a person who measures would write it."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(headers=_HEADERS)

    async def make(self) -> str:
        """Ask for an export; its name."""
        asked = {"exportType": "OPENS", "period": "LAST_DAY"}
        async with self._session.post(f"{_BATCHES}/exports/statistics", json=asked) as response:
            return str((await response.json())["batchId"])

    async def ready(self, export: str) -> bool:
        """Ask whether there is a file."""
        async with self._session.get(f"{_BATCHES}/{export}") as response:
            return bool((await response.json())["status"] != "PENDING")

    async def fetch(self, export: str, job: str) -> None:
        """A durable file under its final name only when it is whole."""
        part = FOLDER / f".{job}.part"
        async with self._session.get(f"{_BATCHES}/{export}/result") as response:
            content = await response.read()
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(FOLDER / job)
