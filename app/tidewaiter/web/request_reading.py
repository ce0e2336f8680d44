"""Reads what the API and the pages both need of a request: its body, the numbers of jobs, and whether a browser asks.

A body is read within limits of size and time, because a caller who sends slowly holds a connection. aiohttp's ``read``
and ``post`` have no limit of time, and one limit of size for every route.
"""

import asyncio
from typing import Final

from aiohttp import hdrs, web
from aiohttp.web_protocol import RequestPayloadError

from tidewaiter.database.job_list import LARGEST_ID
from tidewaiter.web.listener import AWAITS_BODY
from tidewaiter.web.problems import ProblemError

_BODY_S: Final = 10.0


async def read_bytes(request: web.Request, largest: int) -> bytes:
    """The body of a request.

    Args:
        request: the request.
        largest: the size limit in bytes. Content-Length is checked first, then what is received.

    Raises:
        ProblemError: 413 for a larger body, 408 for one that does not come in time, 400 for one that ends too early
            or does not match its headers.
    """
    refusal = ProblemError(413, f"the body is larger than {largest} bytes", headers={hdrs.CONNECTION: "close"})
    if (request.content_length or 0) > largest:
        raise refusal
    pieces: list[bytes] = []
    size = 0
    request[AWAITS_BODY] = True
    try:
        async with asyncio.timeout(_BODY_S):
            async for piece in request.content.iter_any():
                size += len(piece)
                if size > largest:
                    raise refusal
                pieces.append(piece)
    except TimeoutError:
        detail = f"the body did not come whole within {_BODY_S:g} seconds"
        raise ProblemError(408, detail, headers={hdrs.CONNECTION: "close"}) from None
    except RequestPayloadError:
        raise ProblemError(400, "the body is not sent as its headers say") from None
    except ConnectionError:  # the response would not be read, and it is no error of ours
        raise ProblemError(400, "the caller disconnected before its body was complete") from None
    finally:
        request[AWAITS_BODY] = False
    return b"".join(pieces)


def number_of(text: str, least: int = 1) -> int | None:
    """The whole number in a text, from ``least`` to the largest number of a job; ``None`` if it is none."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ID))
    return int(text) if is_number and least <= int(text) <= LARGEST_ID else None


def accepts_html(request: web.Request) -> bool:
    """Whether a browser asks for a page."""
    return "text/html" in request.headers.get(hdrs.ACCEPT, "")
