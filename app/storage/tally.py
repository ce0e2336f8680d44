"""The received bytes of a file so far: their number and hashes."""

import hashlib

from app.storage.base import ChecksumError, Landed


class Tally:
    """Counts and hashes the bytes of one file as they arrive; computes an MD5 too if one was announced."""

    def __init__(self, *, md5: bool) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None

    def take(self, piece: bytes) -> None:
        """Count and hash the next bytes."""
        self._sha256.update(piece)
        if self._md5 is not None:
            self._md5.update(piece)
        self.size += len(piece)

    @property
    def landed(self) -> Landed:
        """The size and the checksum of the received bytes."""
        return Landed(self.size, self._sha256.hexdigest())

    def verify(self, *, sha256: str | None, size: int | None, md5: str | None) -> None:
        """Raise ``ChecksumError`` unless the bytes are those that were announced; ``None`` was not announced."""
        if size is not None and size != self.size:
            raise ChecksumError(f"{self.size} bytes came where {size} were announced.")
        if sha256 is not None and sha256.lower() != self._sha256.hexdigest():
            raise ChecksumError("The SHA-256 of what came is not the one announced.")
        if md5 is not None and (self._md5 is None or md5.lower() != self._md5.hexdigest()):
            raise ChecksumError("The MD5 of what came is not the one announced.")
