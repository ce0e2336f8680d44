"""An event loop in virtual time: when nothing is left to do, the clock jumps to the next timer.

Sockets over loopback work, where both ends of every connection live in this one loop: what one end sends is in the
other end's buffer when ``send`` returns, so a socket that has nothing to read will have nothing until a timer runs.
"""

import asyncio
import os
import selectors
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from tidewaiter.clock import Clock

START_AT = 1_750_000_000.0
_SELDOM_S = 600.0
_LOOKS = 2
_WORK_S = 0.02
_OF_THE_LOOP = 1
"""So many descriptors a loop watches for itself: its wake-up pipe."""


class DeadlockError(Exception):
    """Nothing is left to do, and no timer is set: the program under test waits for ever."""


class _Jump(selectors.DefaultSelector):
    """Never waits: with no socket ready, it moves the virtual clock to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0
        self.working = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; else jump."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        for _ in range(_LOOKS if len(self.get_map()) > _OF_THE_LOOP else 0):
            os.sched_yield()  # the kernel may hand over a packet a moment later on another core
            if ready := super().select(0):
                return ready
        if self.working:  # a thread has real work to do, for which virtual time stands still
            return super().select(_WORK_S)
        if timeout is None:
            raise DeadlockError
        self.at += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs on virtual time, which starts at 0, with real sockets and real threads."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jump.at

    def run_in_executor(  # type: ignore[override]  # variadic generics, which say no more here
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """As the base class does; time stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._jump.working += 1
        future.add_done_callback(self._worked)
        return future

    def _worked(self, _: "asyncio.Future[Any]") -> None:
        self._jump.working -= 1


class VirtualClock:
    """The virtual loop's time as the program's clock."""

    def __init__(self, loop: VirtualLoop) -> None:
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


class SkewedClock:
    """A machine's clock beside the true one.

    It is ahead by some seconds since the process started, and its wall clock is set by ``moved_s`` since then.
    """

    def __init__(self, true: Clock, ahead_s: float) -> None:
        self._true = true
        self._ahead_s = ahead_s
        self.moved_s = 0.0

    def now(self) -> float:
        """Epoch seconds as this machine has them."""
        return self._true.now() + self._ahead_s

    def monotonic(self) -> float:
        """Seconds that nobody moves."""
        return self._true.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let that much time pass."""
        await self._true.sleep(seconds)

    def skew(self) -> float:
        """How far somebody has moved the wall clock."""
        return self.moved_s


@contextmanager
def virtual_time(*, lag: bool = False) -> Iterator[tuple[VirtualLoop, VirtualClock]]:
    """A virtual loop and its clock; asyncio-throttle, which reads ``time.monotonic``, is put on the same time.

    The rounds of the backfill runner and of the watch for newer tables are rare: no test in virtual time has backfills,
    or needs to see newer tables soon.

    Args:
        lag: whether the heartbeat measures the lag of the loop every second, as it does in real time. A virtual loop
            lags only where a test says so, and hours of measuring would be most of what it does.
    """
    loop = VirtualLoop()
    throttler_time: Mapping[str, Callable[[], float]] = {"monotonic": loop.time}
    with ExitStack() as patches:
        patches.enter_context(
            mock.patch("asyncio_throttle.throttler.time", mock.Mock(spec_set=["monotonic"], **throttler_time))
        )
        patches.enter_context(mock.patch("tidewaiter.worker.backfill_runner.ROUND_S", _SELDOM_S))
        patches.enter_context(mock.patch("tidewaiter.worker.database_watch._REVISION_EVERY_S", _SELDOM_S))
        if not lag:
            patches.enter_context(mock.patch("tidewaiter.worker.heartbeat._LAG_SAMPLE_S", _SELDOM_S))
        try:
            yield loop, VirtualClock(loop)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
