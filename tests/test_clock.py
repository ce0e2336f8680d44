"""The machine's clock without jumps."""

import time

import pytest

from tidewaiter.clock import SystemClock

_DAY_S = 86_400.0


@pytest.mark.fault(53)
@pytest.mark.parametrize("jump_s", [_DAY_S, -_DAY_S])
def test_a_wall_clock_that_jumps_a_day_expires_nothing(monkeypatch: pytest.MonkeyPatch, jump_s: float) -> None:
    """Deadlines and due times go by seconds that have passed; how far the wall clock was moved is told apart."""
    clock, wall = SystemClock(), time.time
    before, monotonic = clock.now(), clock.monotonic()
    monkeypatch.setattr(time, "time", lambda: wall() + jump_s)
    assert 0.0 <= clock.now() - before < 60.0
    assert 0.0 <= clock.monotonic() - monotonic < 60.0
    assert clock.skew() == pytest.approx(jump_s, abs=60.0)
    assert SystemClock().now() - before == pytest.approx(jump_s, abs=60.0), "the next process begins with the new time"
