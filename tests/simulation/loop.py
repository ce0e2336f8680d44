"""An event loop whose time is virtual: whenever nothing is left to do, the clock jumps to the next timer."""

import asyncio
import selectors
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import FileDescriptorLike

START_AT = 1_750_000_000.0


class DeadlockError(Exception):
    """Nothing is left to do, and no timer is set: the program under test waits for ever."""


class _Jump(selectors.BaseSelector):
    """A selector that never waits: it moves the virtual clock on instead. Nothing here does real IO."""

    def __init__(self) -> None:
        self.at = 0.0
        self._map: dict[FileDescriptorLike, selectors.SelectorKey] = {}

    def register(self, fileobj: "FileDescriptorLike", events: int, data: object = None) -> selectors.SelectorKey:
        """Remember the loop's own wake-up pipe."""
        key = selectors.SelectorKey(fileobj, 0, events, data)
        self._map[fileobj] = key
        return key

    def unregister(self, fileobj: "FileDescriptorLike") -> selectors.SelectorKey:
        """Forget it."""
        return self._map.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Jump instead of waiting."""
        if timeout is None:
            raise DeadlockError
        self.at += max(0.0, timeout)
        return []

    def get_map(self) -> "Mapping[FileDescriptorLike, selectors.SelectorKey]":
        """What is registered."""
        return self._map


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs on virtual time, which starts at 0."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jump.at


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


@contextmanager
def virtual_time() -> "Iterator[tuple[VirtualLoop, VirtualClock]]":
    """A virtual loop and its clock; asyncio-throttle, which reads ``time.monotonic``, is put on the same time."""
    loop = VirtualLoop()
    clock = VirtualClock(loop)
    throttler_time: Mapping[str, Callable[[], float]] = {"monotonic": loop.time}
    with mock.patch("asyncio_throttle.throttler.time", mock.Mock(spec_set=["monotonic"], **throttler_time)):
        try:
            yield loop, clock
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
