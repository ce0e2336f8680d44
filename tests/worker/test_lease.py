"""A lease is valid only while two clocks agree that it was renewed recently."""

import pytest

from tidewaiter.worker.lease import Lease, moment

LEASE_S = 30.0


class Clock:
    """A clock whose parts a test moves apart, as a suspended machine or a person does."""

    def __init__(self) -> None:
        self.steady = 1000.0
        self.set_ahead = 0.0

    def now(self) -> float:
        return 1.7e9 + self.steady

    def monotonic(self) -> float:
        return self.steady

    async def sleep(self, seconds: float) -> None:
        self.steady += seconds

    def skew(self) -> float:
        return self.set_ahead


@pytest.mark.fault(16)
@pytest.mark.invariant(5)
def test_a_stopped_process() -> None:
    """SIGSTOP: the monotonic clock has gone on."""
    clock = Clock()
    hold = Lease(1, 1, clock, LEASE_S)
    clock.steady += LEASE_S - 0.1
    assert hold.held()
    clock.steady += 0.2
    assert not hold.held()
    hold.renewed(*moment(clock))
    assert hold.held()


def test_a_suspended_machine() -> None:
    """The monotonic clock stood still; the wall clock is right again."""
    clock = Clock()
    hold = Lease(1, 1, clock, LEASE_S)
    clock.set_ahead = 3600.0
    assert not hold.held()
    hold.renewed(*moment(clock))
    assert hold.held()


@pytest.mark.fault(53)
def test_a_wall_clock_that_is_set_back() -> None:
    """It does not make the lease longer, and the next renewal is believed."""
    clock = Clock()
    hold = Lease(1, 1, clock, LEASE_S)
    clock.set_ahead = -86_400.0
    clock.steady += LEASE_S + 1
    assert not hold.held()
    hold.renewed(*moment(clock))
    assert hold.held()
    clock.steady += LEASE_S + 1
    assert not hold.held()


def test_a_lane_that_took_long_to_be_taken() -> None:
    """The lease counts from before it was asked for."""
    clock = Clock()
    asked = moment(clock)
    clock.steady += LEASE_S - 1
    hold = Lease(1, 1, clock, LEASE_S, asked)
    assert hold.held()
    clock.steady += 2
    assert not hold.held()


def test_a_lease_that_is_lost() -> None:
    """Nothing is believed any more."""
    hold = Lease(1, 1, Clock(), LEASE_S)
    hold.lost()
    assert not hold.held()
