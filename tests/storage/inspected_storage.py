"""A storage of any kind whose contents a test can inspect directly, and a runner without threads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tidewaiter.storage.base import Storage

T = TypeVar("T")


async def in_place(work: Callable[[], T], /) -> T:
    """Run the work in the calling thread, as the simulation does."""
    return work()


@dataclass(frozen=True, slots=True)
class InspectedStorage:
    """A storage of any kind, and functions that inspect its contents without it.

    ``listing`` returns everything in it, unfinished files included. ``unfinished`` counts uploads that no key shows.
    """

    storage: Storage
    listing: Callable[[], list[str]]
    read: Callable[[str], bytes]
    write: Callable[[str, bytes], None]
    unfinished: Callable[[], int]
