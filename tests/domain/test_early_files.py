"""Files that are fetched before their remote job has finished: the job comes back to its poll, at its time."""

import pytest

from tests.domain.sample_jobs import NOW, job, step
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job import REMOTE, Job, State, Track, track_of

LINKS = (Link("http://x/1"), Link("http://x/2"))


def _early(**changes: object) -> Job:
    pending = o.Pending("RUNNING", "1/2", 120.0, links=LINKS)
    return step(job(State.POLLING, handle="h", **changes), pending)


def test_files_of_a_running_job_are_fetched_at_once() -> None:
    """In the stream of downloads; the time of the next poll is kept, and new files are progress."""
    fetching = _early(polls=3, ready_at=NOW - 5, moved_at=NOW - 9)
    assert (fetching.state, fetching.due_at, track_of(fetching.state)) == (State.FETCHING, NOW, Track.FETCH)
    assert (fetching.links, fetching.polls, fetching.moved_at, fetching.ready_at) == (LINKS, 4, NOW, None)
    assert (fetching.remote_status, fetching.progress) == ("RUNNING", "1/2")
    assert fetching.poll_at is not None
    assert fetching.poll_at >= NOW + 120.0
    assert fetching.fetches_early
    assert fetching.has_remote_job
    assert State.FETCHING not in REMOTE


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (o.PartLanded(), None),
        (o.Retry("HTTP 500"), "a file of the unfinished remote job was not fetched yet: HTTP 500"),
        (o.Retry("slow", progressed=True), "a file of the unfinished remote job was not fetched yet: slow"),
        (o.NotYet("later", 9000.0, exact=True), "a file of the unfinished remote job was not fetched yet: later"),
        (o.LinksExpired("old"), "a file of the unfinished remote job was not fetched yet: old"),
        (o.LinksLost("no key"), "a file of the unfinished remote job was not fetched yet: no key"),
    ],
    ids=str,
)
def test_whatever_comes_of_it_the_remote_job_is_polled(outcome: o.Outcome, reason: str | None) -> None:
    """Nothing is charged, and the poll is not earlier than the provider permits."""
    fetching = _early(fetches=2, expiries=1)
    again = step(step(fetching, o.FetchStarted()), outcome)
    assert (again.state, again.due_at, again.poll_at) == (State.POLLING, fetching.poll_at, None)
    assert (again.fetches, again.failures, again.expiries, again.links) == (2, 0, 1, ())
    assert again.reason == reason
    assert again.handle == "h"


def test_a_late_download_is_followed_by_a_poll_at_once() -> None:
    """If it took longer than until the next poll."""
    fetching = _early()
    later = NOW + 5000
    assert step(fetching, o.PartLanded(), now=later).due_at == later


@pytest.mark.parametrize(
    "outcome", [o.StorageFull("full"), o.Throttled("slow"), o.Interrupted(), o.Crashed("bug")], ids=str
)
def test_what_does_not_concern_the_files_leaves_them_to_the_next_step(outcome: o.Outcome) -> None:
    """The download begins again."""
    again = step(step(_early(), o.FetchStarted()), outcome)
    assert again.fetches_early
    assert again.links == LINKS


def test_a_finished_remote_job_is_fetched_as_ever() -> None:
    """The last poll ends it."""
    done = step(step(_early(), o.PartLanded()), o.Ready(LINKS))
    assert (done.state, done.ready_at, done.poll_at) == (State.FETCHING, NOW, None)
    assert not done.fetches_early
    assert step(done, o.Retry("HTTP 500")).state is State.FETCHING


def test_a_cancel_request_and_the_deadline_end_it() -> None:
    """The remote job is cancelled, because it runs."""
    assert step(_early(), o.CancelAsked()).state in (State.CANCELLING, State.CANCELLED)
    assert step(_early(), o.DeadlinePassed("late")).state is State.EXPIRED
