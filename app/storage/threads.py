"""Where the blocking work of storages runs: a parameter, because a simulation runs it in the event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self, TypeVar

T = TypeVar("T")


class Run(Protocol):
    """Runs blocking work, starting at once, and returns its result."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """The result of ``work()``, or what it raised."""


class StorageThreads:
    """A few threads for storage only, so that slow disks block no name lookup; leaving waits for their work."""

    def __init__(self, count: int = 4) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="storage")

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """See :class:`Run`."""
        return asyncio.get_running_loop().run_in_executor(self._executor, work)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
