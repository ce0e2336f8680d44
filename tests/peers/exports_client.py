"""The three requests of the provider, for the peers' workers: standard library and aiohttp only."""

import os
from pathlib import Path

import aiohttp

ORIGIN = os.environ["PROVIDER"]
FOLDER = Path(os.environ["FOLDER"])
DSN = os.environ["DSN"]
POLL_S = 1


async def make(job: str) -> str:
    """Ask for an export; its name."""
    async with aiohttp.ClientSession() as session:
        reply = await session.post(f"{ORIGIN}/exports", json={"job": job, "marker": job})
        reply.raise_for_status()
        return str((await reply.json())["id"])


async def link(export: str) -> str | None:
    """The link of the file, or nothing yet."""
    async with aiohttp.ClientSession() as session:
        reply = await session.get(f"{ORIGIN}/exports/{export}")
        reply.raise_for_status()
        found = await reply.json()
        return str(found["files"][0]["url"]) if found["status"] == "ready" else None


async def fetch(url: str, job: str) -> None:
    """A file under its final name only when it is whole."""
    part = FOLDER / f".{job}.part"
    async with aiohttp.ClientSession() as session:
        reply = await session.get(url)
        reply.raise_for_status()
        with part.open("wb") as file:
            async for chunk in reply.content.iter_chunked(65536):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    part.rename(FOLDER / job)
