"""Bodies of several parts (multipart/form-data), some of which are files that are read before the request is sent.

Source: RFC 7578, and the names of its fields as browsers write them (HTML Standard, 4.10.21.8).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final, Literal

_QUOTED: Final = {ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"}
_LINE_BREAKS: Final = {ord("\r"): " ", ord("\n"): " "}


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file to be sent: in one of the operator's folders, or landed by a job. ``name`` is its path, or its job."""

    kind: Literal["folder", "job"]
    name: str


@dataclass(frozen=True, slots=True)
class FileContent:
    """What a file source names: the name of the file, its media type if it is known, and its bytes."""

    name: str
    media_type: str | None
    data: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One field. Without ``file_name`` and ``media_type`` a file has those of its source."""

    name: str
    content: bytes | FileSource
    file_name: str | None = None
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class Multipart:
    """The parts of a body; ``seed`` makes the boundary, so that a repeated request is the same byte for byte."""

    parts: tuple[Part, ...]
    seed: str

    @property
    def sources(self) -> tuple[FileSource, ...]:
        """The files that must be read."""
        return tuple(part.content for part in self.parts if isinstance(part.content, FileSource))

    def encoded(self, files: Mapping[FileSource, FileContent]) -> tuple[str, bytes]:
        """The Content-Type and the bytes of the body; ``files`` holds every source."""
        parts = [_written(part, files) for part in self.parts]
        boundaries = (self._boundary(number) for number in count())
        boundary = next(one for one in boundaries if not any(one in content for _, content in parts))
        pieces = [piece for head, content in parts for piece in (b"--", boundary, b"\r\n", head, content, b"\r\n")]
        return f"multipart/form-data; boundary={boundary.decode()}", b"".join([*pieces, b"--", boundary, b"--\r\n"])

    def _boundary(self, number: int) -> bytes:
        return f"tidewaiter-{hashlib.sha256(f'{self.seed} {number}'.encode()).hexdigest()[:32]}".encode()


def _written(part: Part, files: Mapping[FileSource, FileContent]) -> tuple[bytes, bytes]:
    """The head of a part, with the empty line after it, and its content."""
    content, name, kind = part.content, part.file_name, part.media_type
    if isinstance(content, FileSource):
        file = files[content]
        content, name = file.data, name or file.name
        kind = kind or file.media_type or "application/octet-stream"
    head = f'Content-Disposition: form-data; name="{part.name.translate(_QUOTED)}"'
    head += "" if name is None else f'; filename="{name.translate(_QUOTED)}"'
    head += "" if kind is None else f"\r\nContent-Type: {kind.translate(_LINE_BREAKS)}"
    return f"{head}\r\n\r\n".encode(), content
