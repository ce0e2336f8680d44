"""Reading replies without holding up the event loop: large ones in a thread."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LARGE_BYTES = 65_536


async def in_time(size: int, read: Callable[[], T]) -> T:
    """The result of ``read``: called at once for a few bytes, in a thread for many. It must be pure.

    Args:
        size: how many bytes it reads.
        read: the function.
    """
    return read() if size <= _LARGE_BYTES else await asyncio.to_thread(read)
