"""The feed: the last changes of this process's jobs, numbered, for as many readers as there are.

It holds a bounded number of changes, and of each only what is told: a job's parameters and links are too large to keep
thousands of them. Who comes back with the id of the last one seen goes on after it, as long as it is held; who is
slower than the changes come is let go.
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
    """What is told of a change, and its number in this process; ``job`` is the job's number."""

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
    """What one reader has still to be told."""

    def __init__(self) -> None:
        self._waiting: deque[Numbered] = deque()
        self._came = asyncio.Event()
        self.is_behind = False
        self.has_ended = False

    def take(self, numbered: Numbered) -> None:
        """Keep a change for the reader, unless it is too far behind."""
        if len(self._waiting) >= MOST_BEHIND:
            self.is_behind = True
        else:
            self._waiting.append(numbered)
        self._came.set()

    def end(self) -> None:
        """Nothing comes any more."""
        self.has_ended = True
        self._came.set()

    async def next(self) -> list[Numbered]:
        """What has come since, as soon as there is something; empty where the reader is behind, or all has ended."""
        await self._came.wait()
        self._came.clear()
        found = list(self._waiting)
        self._waiting.clear()
        return found


class Feed:
    """Takes changes, and passes them on.

    Args:
        boot: names this process in the ids of events.
    """

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._last = 0
        self._held: deque[Numbered] = deque(maxlen=MOST_HELD)
        self._readers: set[Reader] = set()
        self._closed = False

    def take(self, change: Change) -> None:
        """Take a change."""
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
            reader.take(numbered)

    def close(self) -> None:
        """Let every reader go."""
        self._closed = True
        for reader in self._readers:
            reader.end()

    @property
    def is_full(self) -> bool:
        """Whether there are as many readers as are served."""
        return len(self._readers) >= MOST_READERS

    def join(self) -> Reader:
        """A reader of all that comes from now on."""
        reader = Reader()
        self._readers.add(reader)
        if self._closed:
            reader.end()
        return reader

    def leave(self, reader: Reader) -> None:
        """Forget a reader."""
        self._readers.discard(reader)

    def id_of(self, number: int) -> str:
        """The id of the event with that number."""
        return f"{self._boot}-{number}"

    @property
    def last_id(self) -> str:
        """The id of the last event."""
        return self.id_of(self._last)

    def since(self, last_id: str) -> list[Numbered] | None:
        """What came after the event with that id; ``None`` where nobody can tell any more."""
        boot, _, digits = last_id.rpartition("-")
        if boot != self._boot or not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(self._last)):
            return None
        number = int(digits)
        oldest = self._held[0].number if self._held else self._last + 1
        if number > self._last or number + 1 < oldest:
            return None
        return [one for one in self._held if one.number > number]
