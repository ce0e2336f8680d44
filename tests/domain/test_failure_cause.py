"""Failures that differ only in numbers, names and dates have one cause."""

from random import Random

import pytest

from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.failure_cause import cause_of
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.state_machine import advance


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [
        (("HTTP 404: no report 17", "HTTP 404: no report 4711"), "HTTP 404: no report *"),
        (("cannot find 'a b'", "cannot find 'c'"), "cannot find *"),
        (("see https://x.example/1?a=b now", "see https://x.example/2 now"), "see * now"),
        (("2026-01-01T00:00:00Z, 2026-01-02: no data", "2026-02-01, 2026-02-02: no data"), "*: no data"),
        (("job 1f2e-99ab ended", "job 77 ended"), "job * ended"),
    ],
)
def test_one_cause(reasons: tuple[str, ...], cause: str) -> None:
    """What differs from job to job is left out, and the rest is kept."""
    assert {cause_of(reason) for reason in reasons} == {cause}


def test_different_statuses_are_different_causes() -> None:
    """The status of a reply says what is wrong, so it stays."""
    assert cause_of("HTTP 404: gone") != cause_of("HTTP 410: gone")


def test_a_long_reason_is_cut() -> None:
    """The cause is a key of groups, so it has a limit."""
    assert len(cause_of("no " * 1000)) == 200


@pytest.mark.parametrize(
    ("outcome", "state", "cause"),
    [
        (o.Refused("HTTP 404: no report 17"), State.FAILED, "HTTP 404: no report *"),
        (o.Gone("HTTP 404"), State.QUEUED, None),
    ],
)
def test_only_a_failure_has_a_cause(outcome: o.Outcome, state: State, cause: str | None) -> None:
    """So a job that ended well, was cancelled or goes on is in no group of failures."""
    job = Job(1, 0, "a", "op", {}, State.POLLING, 7, 1000.0, 900.0, 9000.0, handle="h")
    after = advance(job, outcome, OperationPolicy(), 1000.0, Random(1)).job
    assert (after.state, after.cause) == (state, cause)
    cancelled = advance(job, o.CancelAsked(), OperationPolicy(), 1000.0, Random(1)).job
    assert cancelled.cause is None
