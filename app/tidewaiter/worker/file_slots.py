"""How many files of a step are downloaded at once, and from which hosts."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final, Generic, TypeVar

F = TypeVar("F")

_MOST_OF_HOST: Final = 6
_MOST_LOOKED_AT: Final = 64  # hosts


@dataclass(frozen=True, slots=True)
class FileSlots:
    """The download slots that all jobs of a lane share, and how many requests its provider permits at once.

    ``free`` has the slots that no step has taken; the step that waits for one gets the next that is given back.
    """

    free: asyncio.Semaphore
    own: int


class HostShares:
    """The files of one step that are under way.

    The first one uses the slot of the step. Each other one takes a free slot, if no job waits for one. A host, and the
    provider itself (an empty name), serves one file alone before it is asked for several at once.

    Args:
        slots: the slots; ``None`` for one file at a time.
        one_by_one: whether one file at a time is downloaded anyway.
    """

    def __init__(self, slots: FileSlots | None, *, one_by_one: bool) -> None:
        self._slots = None if one_by_one else slots
        self._running: Counter[str] = Counter()
        self._serving: set[str] = set()

    def may_begin(self) -> bool:
        """Whether another file may begin, wherever it is."""
        return not self._running.total() or (self._slots is not None and not self._slots.free.locked())

    def has_room(self, host: str) -> bool:
        """Whether another file of a host may begin; one may always, if nothing is under way."""
        if not self._running[host]:
            return True
        if self._slots is None or host not in self._serving:
            return False
        return self._running[host] < min(_MOST_OF_HOST, self._slots.own if not host else _MOST_OF_HOST)

    async def begin(self, host: str) -> None:
        """A file of a host begins; does not wait, if it may."""
        if self._slots is not None and self._running.total():
            await self._slots.free.acquire()
        self._running[host] += 1

    def end(self, host: str, *, served: bool) -> None:
        """It has ended; ``served`` says that the host gave it."""
        self._running[host] -= 1
        if self._slots is not None and self._running.total():
            self._slots.free.release()
        if served:
            self._serving.add(host)
        else:
            self._serving.discard(host)


class FileQueue(Generic[F]):
    """The files of a step that have not begun, in the order of the list, each with its host.

    However many files of a host that does not answer come first, those of the others go on.
    """

    def __init__(self) -> None:
        self._of_host: dict[str, deque[tuple[int, F]]] = {}
        self._added = 0

    def __bool__(self) -> bool:
        return bool(self._of_host)

    def add(self, file: F, host: str) -> None:
        """Add the next file of the list."""
        self._of_host.setdefault(host, deque()).append((self._added, file))
        self._added += 1

    def take(self, has_room: Callable[[str], bool]) -> tuple[F, str] | None:
        """Take the first file whose host has room; ``None`` if there is none."""
        heads = [
            (files[0][0], host) for host, files in islice(self._of_host.items(), _MOST_LOOKED_AT) if has_room(host)
        ]
        if not heads:
            return None
        _, host = min(heads)
        files = self._of_host[host]
        _, file = files.popleft()
        if not files:
            del self._of_host[host]
        return file, host
