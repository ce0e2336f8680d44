"""Bodies of requests: read whole, up to a size and within a time, for a caller who trickles holds a connection."""

import asyncio
from typing import Final

from aiohttp import hdrs, web
from aiohttp.web_protocol import RequestPayloadError

from app.web.crowd import AWAITED
from app.web.problems import ProblemError

_BODY_S: Final = 10.0


async def read_bytes(request: web.Request, largest: int) -> bytes:
    """The body of a request.

    Args:
        request: the request.
        largest: bytes; a larger body is refused before it is read, or as soon as that shows.

    Raises:
        ProblemError: 413 for a body that is larger, 408 for one that does not come in time, 400 for one that breaks off
            or is not sent as its headers say.
    """
    refusal = ProblemError(413, f"the body is larger than {largest} bytes", headers={hdrs.CONNECTION: "close"})
    if (request.content_length or 0) > largest:
        raise refusal
    pieces: list[bytes] = []
    size = 0
    request[AWAITED] = True
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
    except ConnectionError:  # nobody hears of it any more, and it is no fault of ours
        raise ProblemError(400, "the caller has gone before its body was whole") from None
    finally:
        request[AWAITED] = False
    return b"".join(pieces)
