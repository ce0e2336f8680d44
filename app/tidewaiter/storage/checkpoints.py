"""Checkpoints: how much of an unfinished file is durable, and of which remote file it is. Blocking."""

import json
import os
from dataclasses import asdict, dataclass

from tidewaiter.storage.durable_files import write_whole
from tidewaiter.storage.safe_paths import PRIVATE_FILE_MODE, LinkError, Place, open_file


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How much of which part is durable: ``sha256`` of these bytes, and ``validator``, their strong ETag.

    ``total`` is the size of the whole file, if known, and ``identity`` says which remote file it is. Earlier versions
    wrote neither. ``live`` says that its owner had not ended when it was written.
    """

    part: str
    offset: int
    validator: str
    sha256: str
    total: int | None = None
    identity: str = ""
    live: bool = False

    @classmethod
    def read(cls, text: bytes) -> "Checkpoint | None":
        """The checkpoint in a file with this content; ``None`` if it is damaged."""
        try:
            raw = json.loads(text)
            return cls(
                str(raw["part"]),
                int(raw["offset"]),
                str(raw["validator"]),
                str(raw["sha256"]),
                None if raw.get("total") is None else int(raw["total"]),
                str(raw.get("identity", "")),
                bool(raw.get("live", False)),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def write(self, folder: int, place: Place) -> None:
        """Write it to a file, durably; ``folder`` is a descriptor of the folder that has the part."""
        temporary = self.part.removesuffix(".part") + ".tmp"
        write_whole(folder, temporary, place, json.dumps(asdict(self)).encode(), PRIVATE_FILE_MODE)


def content_of(folder: int, place: Place) -> bytes:
    """The content of a checkpoint; empty for a symbolic link, which this program never makes."""
    try:
        descriptor = open_file(folder, place)
    except LinkError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
