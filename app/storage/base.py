"""What every storage answers with, and how it fails. ``str()`` of each error is one sentence for an operator."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Landed:
    """One file that is durable under its final name. ``size`` in bytes, ``sha256`` lower-case hex of its bytes."""

    size: int
    sha256: str


class StorageError(Exception):
    """The storage failed, for a reason of its own."""


class StorageFullError(StorageError):
    """The storage has no room, or the quota is spent."""


class ChecksumError(Exception):
    """What was received is not what was announced; nothing of it is kept."""
