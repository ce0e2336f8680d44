"""Reads the due jobs of all lanes of a daemon: one timer, and one statement for all that wait at that moment."""

import asyncio
import heapq
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from itertools import count
from typing import Protocol

from tidewaiter.clock import Clock
from tidewaiter.database.due_store import DueAnswer, DueQuestion, DueStore
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.worker.jobs_under_way import JobsUnderWay

_PAUSE_BETWEEN_READS_S = 0.01
_STORE_RETRY_S = 1.0
_LONGEST_SLEEP_S = 3600.0
_MOST_JOBS = 8192
_MOST_ENTRIES = 8


class DueStream(Protocol):
    """One track of a lane that waits for its next due job."""

    under_way: JobsUnderWay
    next_read_at: float
    more: bool

    def question(self, most: int) -> DueQuestion:
        """What to read now; ``most`` is the fair share of a read, beside the jobs that are under way."""

    def answered(self, question: DueQuestion, answer: DueAnswer, now: float) -> None:
        """What was read."""

    def failed(self, retry_at: float) -> None:
        """The database could not be read; it is read again at that epoch second."""


class DueReader:
    """Reads for the streams that wait, each at its time.

    Streams whose time has come are read together, and so are those that begin to wait while a read is under way. Each
    gets the same share of what one read may bring.

    Args:
        store: where due jobs are.
        clock: the time.
    """

    def __init__(self, store: DueStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[DueStream, asyncio.Future[None]] = {}
        self._times: list[tuple[float, int, DueStream]] = []
        self._order = count()
        self._wake = asyncio.Event()

    async def read(self, stream: DueStream) -> None:
        """Wait until it is time to read for this stream, and the read is done; its ``more`` says that it is now."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[stream] = done
        self.moved(stream)
        try:
            await done
        finally:
            self._waiting.pop(stream, None)

    def moved(self, stream: DueStream) -> None:
        """The stream's time has changed; it counts if the stream waits."""
        if stream in self._waiting:
            entry = self._entry(stream)
            if not self._times or entry < self._times[0]:
                self._wake.set()
            heapq.heappush(self._times, entry)
            if len(self._times) > _MOST_ENTRIES * len(self._waiting) + _MOST_ENTRIES:
                # Most are of times that do not count any more.
                self._times = [self._entry(one) for one in self._waiting]
                heapq.heapify(self._times)

    def _entry(self, stream: DueStream) -> tuple[float, int, DueStream]:
        return 0.0 if stream.more else stream.next_read_at, next(self._order), stream

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self._until_read_is_due()
            if streams := self._due_streams():
                await self._read(streams)

    async def _until_read_is_due(self) -> None:
        """Sleep until the first stream's time; at least 10 ms, so that jobs that become due one by one come together.

        Does not sleep if a read has left jobs behind.
        """
        while True:
            at = self._times[0][0] if self._times else self._clock.now() + _LONGEST_SLEEP_S
            if at == 0.0:
                await self._clock.sleep(0.0)
                return
            delay = at - self._clock.now()
            if delay <= _PAUSE_BETWEEN_READS_S:
                await self._clock.sleep(_PAUSE_BETWEEN_READS_S)
                return
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wake.wait()

    def _due_streams(self) -> list[DueStream]:
        """The streams that wait and whose time has come, each once."""
        due: dict[DueStream, None] = {}
        until = self._clock.now() + _PAUSE_BETWEEN_READS_S
        while self._times and self._times[0][0] <= until:
            _, _, stream = heapq.heappop(self._times)
            if stream in self._waiting and (stream.more or stream.next_read_at <= until):
                due[stream] = None
        return list(due)

    async def _read(self, streams: Sequence[DueStream]) -> None:
        """Read for these streams in one statement, and let them go on."""
        now = self._clock.now()
        share = max(1, _MOST_JOBS // len(streams))
        for stream in streams:
            stream.next_read_at = now + _LONGEST_SLEEP_S
        questions = [stream.question(share) for stream in streams]
        with ExitStack() as reading:
            for stream in streams:
                reading.enter_context(stream.under_way.reading())
            try:
                answers = await self._store.due(questions, now)
            except StoreUnavailableError:
                for stream in streams:
                    stream.failed(now + _STORE_RETRY_S)
            else:
                for stream, question, answer in zip(streams, questions, answers, strict=True):
                    stream.answered(question, answer, now)
        for stream in streams:
            if (done := self._waiting.pop(stream, None)) is not None and not done.done():
                done.set_result(None)
