"""Virtual time over real sockets: when nothing is ready on any socket, the clock jumps to the next timer.

Both ends of every connection live in this one loop. What one end sends over loopback is in the other end's buffer when
``send`` returns, so a socket that has nothing to read will have nothing until a timer runs.
"""

import asyncio
import os
import selectors
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from tests.simulation.loop import DeadlockError

START_AT = 1_750_000_000.0
_LOOKS = 2
_WORK_S = 0.02


class _SocketsFirst(selectors.DefaultSelector):
    """Waits for sockets without waiting: with none ready, it moves the virtual clock to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0
        self.working = 0
        self.jumps = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; else jump."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        for _ in range(_LOOKS):  # the kernel may hand over a packet a moment later on another core
            os.sched_yield()
            if ready := super().select(0):
                return ready
        if self.working:  # a thread has real work to do, for which virtual time stands still
            return super().select(_WORK_S)
        if timeout is None:
            raise DeadlockError
        self.jumps += 1
        self.at += timeout
        return []


class LoopbackLoop(asyncio.SelectorEventLoop):
    """Runs on virtual time, which starts at 0, with real sockets and real threads."""

    def __init__(self) -> None:
        self.selector = _SocketsFirst()
        super().__init__(self.selector)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self.selector.at

    def run_in_executor(  # type: ignore[override]  # variadic generics, which say no more here
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """As the base class does; time stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self.selector.working += 1
        future.add_done_callback(self._worked)
        return future

    def _worked(self, _: "asyncio.Future[Any]") -> None:
        self.selector.working -= 1


class LoopbackClock:
    """The loop's time as the program's clock."""

    def __init__(self, loop: LoopbackLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        """Virtual epoch seconds."""
        return START_AT + self._loop.time()

    def monotonic(self) -> float:
        """Virtual seconds."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Let that much virtual time pass."""
        await asyncio.sleep(max(0.0, seconds))

    def skew(self) -> float:
        """A virtual wall clock is never moved."""
        return 0.0


@contextmanager
def loopback_time() -> Iterator[tuple[LoopbackLoop, LoopbackClock]]:
    """A loop and its clock; asyncio-throttle, which reads ``time.monotonic``, is put on the same time.

    The daemon's heartbeat measures the lag of the loop every second. Here that would be most of what the loop does.
    """
    loop = LoopbackLoop()
    throttler_time: Mapping[str, Callable[[], float]] = {"monotonic": loop.time}
    with (
        mock.patch("asyncio_throttle.throttler.time", mock.Mock(spec_set=["monotonic"], **throttler_time)),
        mock.patch("app.worker.heartbeat._LAG_SAMPLE_S", 600.0),
    ):
        try:
            yield loop, LoopbackClock(loop)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
