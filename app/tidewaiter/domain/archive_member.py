"""A landed file that was a member of an archive: which archive, and which of its members.

It is recorded as the identity of the artifact, so that an interrupted job knows which archives have landed as a whole,
and that the manifest can name them.
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """One member.

    ``link`` is the identity of the archive, see :mod:`tidewaiter.domain.file_identity`. ``place`` counts the members
    from 0, ``of`` is their number. ``size``, ``sha256`` and ``name`` are those of the archive.
    """

    link: str
    place: int
    of: int
    size: int
    sha256: str
    name: str

    @property
    def identity(self) -> str:
        """The identity of the artifact."""
        return f"{self.link}/{self.place}/{self.of}/{self.size}/{self.sha256}/{self.name}"

    @classmethod
    def read(cls, identity: str | None) -> Self | None:
        """The member that an artifact's identity names; ``None`` for a file that was in no archive."""
        parts = (identity or "").split("/", 5)
        if len(parts) != 6:
            return None
        link, place, of, size, sha256, name = parts
        return cls(link, int(place), int(of), int(size), sha256, name)
