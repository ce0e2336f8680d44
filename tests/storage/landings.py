"""Helpers that write contents into a landing."""

import hashlib

from tidewaiter.storage.base import Landing


def sha256(content: bytes) -> str:
    """As hex."""
    return hashlib.sha256(content).hexdigest()


async def send(landing: Landing, content: bytes, piece: int = 100_000) -> None:
    """Write ``content`` in pieces, as a network would."""
    for at in range(0, len(content), piece):
        await landing.write(content[at : at + piece])
