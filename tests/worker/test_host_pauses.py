"""Pauses for hosts that asked for one, with a manual clock."""

from itertools import pairwise
from random import Random

import pytest

from tests.support.stored_jobs import StandingClock
from tidewaiter.transport.wire import HostClosedError
from tidewaiter.worker.file_hosts import FileHosts

HOST, OTHER = "https://files.example.com:443", "https://other.example.com:443"


@pytest.fixture
def clock() -> StandingClock:
    """A clock that the test moves."""
    return StandingClock()


@pytest.fixture
def hosts(clock: StandingClock) -> FileHosts:
    """Nothing is closed."""
    return FileHosts(clock, Random(1))


def wait_s(hosts: FileHosts, account: str = "a", host: str = HOST) -> float:
    """For how long a host is closed."""
    try:
        hosts.check(account, host)
    except HostClosedError as error:
        return error.wait_s
    return 0.0


def test_a_host_is_closed_for_as_long_as_it_asks(hosts: FileHosts, clock: StandingClock) -> None:
    """For one account and one host; a later, shorter delay does not end it earlier."""
    message = str(hosts.throttled("a", HOST, 60.0, "HTTP 429"))
    assert (wait_s(hosts), wait_s(hosts, "b"), wait_s(hosts, host=OTHER)) == (60.0, 0.0, 0.0)
    assert "closed for downloads until" in message
    assert message.endswith("files.example.com:443 asked for it, HTTP 429")
    hosts.throttled("a", HOST, 1.0, "HTTP 429")
    assert wait_s(hosts) == 60.0
    clock.at += 60.0
    assert wait_s(hosts) == 0.0


def test_without_a_word_the_delay_grows(hosts: FileHosts, clock: StandingClock) -> None:
    """Up to five minutes; what was under way together counts once, and a file that came makes it begin anew."""
    delays = []
    for _ in range(9):
        hosts.throttled("a", HOST, None, "HTTP 503")
        delays.append(wait_s(hosts))
        hosts.throttled("a", HOST, None, "HTTP 503")
        assert wait_s(hosts) == delays[-1]
        hosts.served("a", HOST)
        assert wait_s(hosts) == delays[-1]
        clock.at += delays[-1]
    assert 4.0 <= delays[0] <= 5.0
    assert all(later >= 1.5 * before for before, later in pairwise(delays[:6]))
    assert 240.0 <= delays[-1] <= 300.0
    hosts.served("a", HOST)
    hosts.throttled("a", HOST, None, "HTTP 503")
    assert wait_s(hosts) <= 5.0


def test_what_was_long_ago_is_forgotten(hosts: FileHosts, clock: StandingClock) -> None:
    """The delay begins anew after a while, and no number of hosts fills the memory."""
    for _ in range(4):
        hosts.throttled("a", HOST, None, "HTTP 503")
        clock.at += wait_s(hosts)
    clock.at += 3600.0
    for number in range(1000):
        hosts.throttled("a", f"https://h{number}:1", 1.0, "HTTP 503")
        clock.at += 10.0
    assert len(hosts._closings) < 300
    hosts.throttled("a", HOST, None, "HTTP 503")
    assert wait_s(hosts) <= 5.0
