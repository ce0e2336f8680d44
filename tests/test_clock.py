"""The system clock: a wall clock that is set moves nothing but the skew."""

import time

import pytest

from tidewaiter.clock import SystemClock

_DAY_S = 86_400.0


@pytest.mark.parametrize("jump_s", [_DAY_S, -_DAY_S])
def test_53_a_wall_clock_that_jumps_a_day(monkeypatch: pytest.MonkeyPatch, jump_s: float) -> None:
    """Neither deadlines nor waits move; only the skew says by how much the clock was set."""
    clock, wall = SystemClock(), time.time
    now, monotonic = clock.now(), clock.monotonic()
    monkeypatch.setattr(time, "time", lambda: wall() + jump_s)
    assert now <= clock.now() < now + 60.0
    assert monotonic <= clock.monotonic() < monotonic + 60.0
    assert clock.skew() == pytest.approx(jump_s, abs=1.0)
