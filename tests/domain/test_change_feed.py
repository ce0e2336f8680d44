"""What is told of jobs, and to whom."""

from tidewaiter.domain.change_feed import ChangeFeed, ChangeListener, JobChange, added
from tidewaiter.domain.job import Job, State


def test_a_follower_that_fails_keeps_nothing_from_the_others() -> None:
    """They are told, before it and after it, and its fault is told with its name."""
    first: list[JobChange] = []
    last: list[JobChange] = []
    faults: list[tuple[ChangeListener, str]] = []

    def broken(_change: JobChange) -> None:
        raise ValueError("no room")

    news = ChangeFeed(lambda follower, error: faults.append((follower, str(error))))
    for follower in (first.append, broken, last.append):
        news.follow(follower)
    change = added(Job(1, 1, "acme", "report", {}, State.QUEUED, 1, 0.0, 0.0, 9000.0))
    news.tell(change)
    assert first == last == [change]
    assert faults == [(broken, "no room")]
