"""Backoff, limits, and the delays that a server may ask for."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.domain.backoff_and_limits import Backoff, Limits, OperationPolicy


@given(
    base_s=st.floats(0.001, 1e4),
    factor=st.floats(1.0, 10.0),
    cap_s=st.floats(0.001, 1e6),
    jitter=st.floats(0.0, 1.0),
    n=st.integers(-5, 10**9),
    seed=st.integers(0, 2**32),
)
def test_delay_is_clamped(*, base_s: float, factor: float, cap_s: float, jitter: float, n: int, seed: int) -> None:
    """However often it is asked, a delay stays between its jittered floor and the cap."""
    delay = Backoff(base_s, factor, cap_s, jitter).delay(n, Random(seed))
    assert 0.0 <= delay <= cap_s
    assert delay >= min(base_s, cap_s) * (1.0 - jitter) * 0.999


def test_delay_grows_to_the_cap() -> None:
    """Without jitter the schedule is the plain geometric one."""
    backoff = Backoff(2.0, 2.0, 15.0, 0.0)
    assert [backoff.delay(n, Random(0)) for n in range(5)] == [2.0, 4.0, 8.0, 15.0, 15.0]


@pytest.mark.fault(34)
def test_jitter_spreads_jobs_made_together() -> None:
    """Two jobs with the same history do not come back at the same moment."""
    rand = Random(7)
    delays = {Backoff(10.0).delay(0, rand) for _ in range(100)}
    assert len(delays) == 100
    assert min(delays) >= 8.0


def test_clamp() -> None:
    """A delay that a server asks for stays within the policy's floor and cap."""
    policy = OperationPolicy(retry_after_floor_s=2.0, retry_after_cap_s=60.0)
    assert [policy.clamp(wish) for wish in (-1.0, 5.0, 1e10)] == [2.0, 5.0, 60.0]


def test_shards_share_the_limits() -> None:
    """All lanes of an account together ask no more than the account may."""
    share = Limits(requests=30, spacing_s=1.0, concurrency=8, remote_jobs=6).share(4)
    assert share == Limits(requests=7, spacing_s=4.0, concurrency=2, remote_jobs=1)
    assert Limits(requests=30).share(2).requests == 15
    assert Limits(requests=30).share(1) == Limits(requests=30)


def test_more_lanes_than_shares() -> None:
    """Of a limit of three, four lanes with one each would be too many."""
    for limits in (Limits(requests=3), Limits(concurrency=3), Limits(remote_jobs=3)):
        assert limits.unshareable(3) is None
        assert "use 3 or fewer" in str(limits.unshareable(4))
    assert Limits().unshareable(64) is None
