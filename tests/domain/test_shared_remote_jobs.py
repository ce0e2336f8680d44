"""Which of several jobs cleans up the remote job that they share."""

from dataclasses import replace
from itertools import permutations

from tidewaiter.domain.job import Job, RemoteJobEndDecision, SameRemoteJob, State, remote_job_end_decision

NOW = 1_000_000.0


def job(number: int, state: State = State.CLEANING, *, shared: bool = False) -> Job:
    """A job that is about to end its remote job."""
    return Job(number, 1, "acme", "report", {}, state, 4, NOW, NOW - 9000, NOW + 9000, handle="h", shared=shared)


def follower(
    number: int, state: State, *, shared: bool = True, told: str | None = None, late: bool = False
) -> SameRemoteJob:
    """Another job that has the same handle."""
    return SameRemoteJob(number, state, shared, NOW + (-1 if late else 1), frozenset({told} if told else ()))


def test_a_job_that_is_alone_acts() -> None:
    """Unless it followed somebody else's remote job."""
    assert remote_job_end_decision(job(1), (), NOW) is RemoteJobEndDecision.ACT
    assert remote_job_end_decision(job(1, shared=True), (), NOW) is RemoteJobEndDecision.LEAVE
    assert (
        remote_job_end_decision(job(1, shared=True), [follower(2, State.FAILED, shared=False)], NOW)
        is RemoteJobEndDecision.ACT
    )


def test_a_waiting_job_keeps_the_remote_job() -> None:
    """In any live state; one that has ended does not."""
    for state in (State.POLLING, State.FETCHING, State.RECONCILING):
        assert remote_job_end_decision(job(1), [follower(2, state)], NOW) is RemoteJobEndDecision.LEAVE
    for state in (State.SUCCEEDED, State.FAILED, State.EXPIRED, State.CANCELLED):
        assert remote_job_end_decision(job(1), [follower(2, state)], NOW) is RemoteJobEndDecision.ACT


def test_of_several_that_end_at_once_the_last_decides() -> None:
    """The others wait for it, and go when it has done it."""
    assert remote_job_end_decision(job(2), [follower(1, State.CLEANING)], NOW) is RemoteJobEndDecision.ACT
    assert remote_job_end_decision(job(1), [follower(2, State.CLEANING)], NOW) is RemoteJobEndDecision.WAIT
    assert (
        remote_job_end_decision(job(1), [follower(2, State.SUCCEEDED, told="Cleaned")], NOW)
        is RemoteJobEndDecision.LEAVE
    )
    assert (
        remote_job_end_decision(job(1, State.CANCELLING), [follower(2, State.CANCELLED, told="Cancelled")], NOW)
        is RemoteJobEndDecision.LEAVE
    )
    assert (
        remote_job_end_decision(job(1), [follower(2, State.CANCELLED, told="Cancelled")], NOW)
        is RemoteJobEndDecision.ACT
    )


def test_of_two_that_expire_together_one_reports() -> None:
    """Each sees the other as live."""
    assert (
        remote_job_end_decision(job(1, State.POLLING), [follower(2, State.POLLING, late=True)], NOW)
        is RemoteJobEndDecision.LEAVE
    )
    assert (
        remote_job_end_decision(job(2, State.POLLING), [follower(1, State.POLLING, late=True)], NOW)
        is RemoteJobEndDecision.ACT
    )


def test_in_every_order_the_remote_job_is_deleted_once() -> None:
    """Three jobs land, look and commit in every possible order, with what they saw already out of date."""
    events = [(number, what) for number in (1, 2, 3) for what in ("land", "look", "end")]
    tried = 0
    for order in permutations(events):
        if any([what for other, what in order if other == number] != ["land", "look", "end"] for number in (1, 2, 3)):
            continue
        tried += 1
        assert _deleted(order) == 1, order
    assert tried == 1680


def _deleted(order: tuple[tuple[int, str], ...]) -> int:
    """How often the remote job is deleted: a job that has to wait looks again when all others are through."""
    jobs = {number: follower(number, State.FETCHING, shared=number > 1) for number in (1, 2, 3)}
    seen: dict[int, RemoteJobEndDecision] = {}

    def look(number: int) -> None:
        others = [other for other in jobs.values() if other.id != number]
        seen[number] = remote_job_end_decision(job(number, shared=number > 1), others, NOW)

    def end(number: int) -> None:
        if seen[number] is not RemoteJobEndDecision.WAIT:
            told = frozenset({"Cleaned"} if seen[number] is RemoteJobEndDecision.ACT else ())
            jobs[number] = replace(jobs[number], state=State.SUCCEEDED, ended_by=told)

    for number, what in order:
        if what == "land":
            jobs[number] = replace(jobs[number], state=State.CLEANING)
        elif what == "look":
            look(number)
        else:
            end(number)
    for number in (3, 2, 1):
        if jobs[number].state is not State.SUCCEEDED:
            look(number)
            end(number)
    assert all(one.state is State.SUCCEEDED for one in jobs.values())
    return sum("Cleaned" in one.ended_by for one in jobs.values())
