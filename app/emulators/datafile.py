"""The content of Copernica's data files: all data of one person, with complete MIME messages of any size."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from app.emulators.bodies import Body, BytesBody, GeneratedBody, Joined

_LARGEST_MESSAGE: Final = 5_000_000
_MARK: Final = "@mime@"


@dataclass(frozen=True, slots=True)
class HexBody:
    """Hexadecimal digits, two for each byte of another body: text of any length without line breaks."""

    content: Body

    @property
    def size(self) -> int:
        """How many digits there are."""
        return 2 * self.content.size

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The digits from ``start`` up to ``stop``, in pieces of at most 128 KiB."""
        at = start - start % 2
        for piece in self.content.chunks(start // 2, (stop + 1) // 2):
            digits = piece.hex().encode()
            yield digits[max(0, start - at) : stop - at]
            at += len(digits)


def data_file(kind: str, of: int | str, mime_bytes: int, seed: int) -> Body:
    """The JSON file about one profile, subprofile or e-mail address.

    ``mime_bytes`` is the size of the messages (rounded up to an even number), which follow from ``seed``. They are not
    held in memory, so they may be gigabytes.
    """
    messages = max(1, -(-mime_bytes // _LARGEST_MESSAGE))
    share = -(-mime_bytes // (2 * messages))
    rows: list[list[object]] = [["mime", number, _headers(number) + _MARK] for number in range(1, messages + 1)]
    rows += [["open", "2026-01-31 08:15:00", {"agent": "Mozilla/5.0"}], ["click", "2026-01-31 08:16:07", {"link": 1}]]
    frame = json.dumps({"info": {"type": kind, "id": of}, "data": rows}).split(_MARK)
    parts: list[Body] = [BytesBody(frame[0].encode())]
    for number, text in enumerate(frame[1:]):
        parts += [HexBody(GeneratedBody(share, seed * 1_000 + number)), BytesBody(text.encode())]
    return Joined(tuple(parts))


def _headers(number: int) -> str:
    return (
        f"Message-ID: <{number}@mail.example.org>\r\nSubject: Newsletter no. {number}\r\n"
        "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
