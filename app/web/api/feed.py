"""The feed: the last changes of the jobs of this process, numbered, for many readers.

It holds a bounded number of changes, and of each only what is sent, because the parameters and links of thousands of
jobs take too much memory. A reader that returns with the id of its last event continues after it, while the feed still
holds it. A reader that is slower than the changes is disconnected.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from app.domain.change import Change
from app.domain.job import State

MOST_HELD: Final = 10_000
MOST_BEHIND: Final = 1_000
MOST_READERS: Final = 64


@dataclass(frozen=True, slots=True)
class Numbered:
    """A change as it is sent, with its number in this process; ``job`` is the number of the job."""

    number: int
    event: str
    job: int
    account: str
    operation: str
    state: State
    state_from: State | None
    outcome: str
    at: float


class Reader:
    """The events that one reader has not received yet."""

    def __init__(self) -> None:
        self._waiting: deque[Numbered] = deque()
        self._came = asyncio.Event()
        self.is_behind = False
        self.has_ended = False

    def push(self, numbered: Numbered) -> None:
        """Queue an event, unless the reader is too far behind."""
        if len(self._waiting) >= MOST_BEHIND:
            self.is_behind = True
        else:
            self._waiting.append(numbered)
        self._came.set()

    def end(self) -> None:
        """Note that no more events will come."""
        self.has_ended = True
        self._came.set()

    async def next(self) -> list[Numbered]:
        """Wait for events and return all of them; empty if the reader is too far behind or the feed has ended."""
        await self._came.wait()
        self._came.clear()
        found = list(self._waiting)
        self._waiting.clear()
        return found


class Feed:
    """Numbers changes, holds the last ones, and passes them to the readers.

    Args:
        boot: identifies this process in the ids of events.
    """

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._last = 0
        self._held: deque[Numbered] = deque(maxlen=MOST_HELD)
        self._readers: set[Reader] = set()
        self._closed = False

    def on_change(self, change: Change) -> None:
        """Number a change and pass it to all readers."""
        self._last += 1
        job = change.job
        numbered = Numbered(
            self._last,
            change.event,
            job.id,
            job.account,
            job.operation,
            job.state,
            change.state_from,
            change.outcome,
            change.at,
        )
        self._held.append(numbered)
        for reader in self._readers:
            reader.push(numbered)

    def close(self) -> None:
        """End all readers."""
        self._closed = True
        for reader in self._readers:
            reader.end()

    @property
    def is_full(self) -> bool:
        """Whether no more readers are accepted."""
        return len(self._readers) >= MOST_READERS

    def join(self) -> Reader:
        """A reader of all events from now on."""
        reader = Reader()
        self._readers.add(reader)
        if self._closed:
            reader.end()
        return reader

    def leave(self, reader: Reader) -> None:
        """Remove a reader."""
        self._readers.discard(reader)

    def id_of(self, number: int) -> str:
        """The id of the event with that number."""
        return f"{self._boot}-{number}"

    @property
    def last_id(self) -> str:
        """The id of the last event."""
        return self.id_of(self._last)

    def since(self, last_id: str) -> list[Numbered] | None:
        """The events after the one with that id; ``None`` if they are not all held any more."""
        boot, _, digits = last_id.rpartition("-")
        if boot != self._boot or not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(self._last)):
            return None
        number = int(digits)
        oldest = self._held[0].number if self._held else self._last + 1
        if number > self._last or number + 1 < oldest:
            return None
        return [one for one in self._held if one.number > number]
