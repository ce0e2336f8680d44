"""A track of a lane, as the lane remembers it: what was read and is ready, what is free, when to look again."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from app.clock import Clock
from app.domain.job import Job, Track

_READS_IN_A_ROW = 16
_BREATH_S = 0.01


@dataclass(frozen=True, slots=True)
class Slots:
    """How many steps of each track may be under way in a lane at once."""

    ask: int
    fetch: int


class Stream:
    """What one track of a lane remembers: what is ready, what is under way, when to look again."""

    def __init__(self, track: Track, slots: int, now: float) -> None:
        self.track = track
        self.slots = slots
        self.free = asyncio.Semaphore(slots)
        self.ready: deque[Job] = deque()
        self.look_at = now
        self.more = False
        self.since = 0.0
        self.wake = asyncio.Event()
        self.begun_anew = 0
        self._reads = 0

    def go_on(self, found: Sequence[Job], *, more: bool) -> None:
        """Remember where the next read begins: where this one ended, if it left jobs behind, else at the oldest.

        Jobs under way stay the oldest due until their outcome is committed, and would be read again and again. Now and
        then a read begins at the oldest all the same: a job may have come to be due earlier than those already read.
        """
        self._reads += 1
        self.more = more
        last = found[-1].due_at if found else None
        self.since = last if more and last is not None and self._reads % _READS_IN_A_ROW else 0.0

    def read_again(self) -> None:
        """A job that was read is not to be served now: read at once what else is due, and from the oldest."""
        self.more = True
        self.since = 0.0

    def begin_anew(self, now: float) -> None:
        """Forget what was read: it has changed in the database."""
        self.ready.clear()
        self.begun_anew += 1
        self.go_on((), more=False)
        self.due_by(now)

    def due_by(self, due_at: float) -> None:
        """A job of this track is due then; look no later."""
        if due_at < self.look_at:
            self.look_at = due_at
            self.wake.set()

    async def until_due(self, clock: Clock) -> None:
        """Sleep until it is time to look; for 10 ms at least, so that jobs due one by one are read together.

        Where the last read left jobs behind, there is nothing to wait for.
        """
        if self.more:
            return
        while (delay := self.look_at - clock.now()) > _BREATH_S:
            self.wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self.wake.wait()
        await clock.sleep(_BREATH_S)
