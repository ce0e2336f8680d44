"""Replies to the download of one file: whole, in parts, broken off, or a page in its place."""

import asyncio
import gzip

from tests.support.byte_servers import Answer, ReceivedRequest
from tests.worker.download_setup import ETAG, ROWS, head, whole

TAG = f"ETag: {ETAG}"
HALF = len(ROWS) // 2
SIZE = len(ROWS)
WHOLE = whole(ROWS, TAG)
PAGE = b"<!-- portal -->\n<title>Sign in</title>"
ONCE, TWICE = gzip.compress(ROWS, mtime=0), gzip.compress(gzip.compress(ROWS, mtime=0))


def broken(at: int = HALF, *fields: str) -> bytes:
    """The beginning of the file, and then nothing more."""
    return head(200, f"Content-Length: {SIZE}", TAG, *fields) + ROWS[:at]


def rest(first: int = HALF, last: int = SIZE - 1, total: object = SIZE, *fields: str) -> bytes:
    """A part of the file."""
    return whole(ROWS[first : last + 1], f"Content-Range: bytes {first}-{last}/{total}", *fields, status=206)


def turns(*replies: bytes) -> Answer:
    """Each of these in turn, the last one for ever; what is shorter than its length ends with the connection."""
    left = list(replies)

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        sent = left.pop(0) if len(left) > 1 else left[0]
        writer.write(sent)
        await writer.drain()
        if b"200 Whatever" in sent[:40] and sent != WHOLE:
            writer.close()

    return answer
