"""Reading replies without holding up the event loop: large ones in a thread."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LARGE_BYTES = 65_536


async def in_time(size: int, read: Callable[[], T]) -> T:
    """What ``read`` comes to: called at once for a few bytes, in a thread for many. It must be pure.

    Args:
        size: how many bytes are looked at.
        read: what looks at them.
    """
    return read() if size <= _LARGE_BYTES else await asyncio.to_thread(read)
