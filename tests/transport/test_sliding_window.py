"""The sliding window, and what it needs of asyncio-throttle's private state; a changed library fails here."""

import inspect
import math
import time
from collections import deque

import pytest
from asyncio_throttle.throttler import Throttler

from tidewaiter.clock import SystemClock
from tidewaiter.transport.sliding_window import SlidingWindow


class Ahead:
    """The monotonic clock, moved ahead by the test: for the window and for the library, which reads it itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self._real = time.monotonic
        monkeypatch.setattr("asyncio_throttle.throttler.time.monotonic", self.monotonic)

    def now(self) -> float:
        return self.monotonic()

    def monotonic(self) -> float:
        return self._real() + self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def skew(self) -> float:
        return 0.0


async def test_what_the_window_needs_of_the_library() -> None:
    """Its log is a deque of monotonic seconds, oldest first; room is what the log leaves of the limit, read each time.

    With another place, clock or order of the log, :class:`SlidingWindow` would be wrong.
    """
    library = Throttler(rate_limit=3, period=10.0, retry_interval=0.01)
    assert type(library._task_logs) is deque
    before = time.monotonic()
    await library.acquire()  # type: ignore[no-untyped-call]
    await library.acquire()  # type: ignore[no-untyped-call]
    assert before <= library._task_logs[0] <= library._task_logs[1] <= time.monotonic()
    library._task_logs.appendleft(before - 10.1)
    library.flush()  # type: ignore[no-untyped-call]
    assert len(library._task_logs) == 2, "what is older than the period is forgotten, the oldest first"
    library._task_logs.appendleft(before - 5.0)
    library.rate_limit += 1
    await library.acquire()  # type: ignore[no-untyped-call]  # the limit is read each time, so there is room
    assert len(library._task_logs) == 4
    assert vars(library).keys() == {"rate_limit", "period", "retry_interval", "_task_logs"}
    own = {name for name, _ in inspect.getmembers(Throttler, inspect.isfunction) if not name.startswith("__")}
    assert own == {"acquire", "flush"}, "a new method may clash with one of Window"


async def test_a_place_is_taken_until_a_period_after_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    """In flight only a reply can make room; after the reply the place is taken for one period."""
    ahead = Ahead(monkeypatch)
    window = SlidingWindow(ahead, 1, 30.0)
    await window.enter()
    ahead.seconds = 3600.0
    assert window.wait_s() == math.inf
    window.leave()
    assert 29.0 < window.wait_s() < 30.1
    assert window.left == 0
    ahead.seconds += 30.1
    assert window.wait_s() == 0.0
    assert window.left == 1


async def test_a_request_that_was_not_sent_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place is free at once."""
    window = SlidingWindow(Ahead(monkeypatch), 1, 30.0)
    await window.enter()
    window.cancel()
    assert window.wait_s() == 0.0
    assert window.stamps() == []


async def test_a_window_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process counts what a former one sent, in any order, and knows when there will be room."""
    ahead = Ahead(monkeypatch)
    window, now = SlidingWindow(ahead, 3, 30.0), ahead.monotonic()
    window.restore([now - 1.0, now - 20.0, now - 31.0])
    assert window.left == 1
    await window.enter()
    assert 9.0 < window.wait_s() < 10.1, "the request of 20 s ago leaves first"
    assert [round(now - stamp) for stamp in window.stamps()] == [20, 1, 0], "one in flight counts as sent now"


async def test_a_full_window_has_nothing_left() -> None:
    """Not less than nothing either, where more were restored than it holds now."""
    clock = SystemClock()
    window = SlidingWindow(clock, 2, 60.0)
    assert window.left == 2
    window.restore([clock.monotonic()] * 3)
    assert window.left == 0


async def test_whether_it_was_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Because the last place was taken a moment ago, though there is room again; or because there is none now."""
    ahead = Ahead(monkeypatch)
    window = SlidingWindow(ahead, 1, 2.0)
    assert not window.was_full(10.0)
    await window.enter()
    window.leave()
    ahead.seconds = 5.0
    assert window.left == 1
    assert window.was_full(10.0)
    ahead.seconds = 11.0
    assert not window.was_full(10.0)
    window.restore([ahead.monotonic()])
    assert window.was_full(10.0), "filled by an earlier process"
