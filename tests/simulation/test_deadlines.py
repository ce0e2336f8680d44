"""A whole daemon in virtual time: a deadline holds, whatever the provider does."""

from pathlib import Path

import pytest

from tests.simulation.stub_world import Answer, ReplyData, Sent, StubWorld, in_stub_world
from tests.support.report_spec import HEAD, POLL, RESULTS, SUBMIT
from tidewaiter.domain.job import Job, State

SPEC = HEAD + "repeatable = true\n" + SUBMIT + POLL + RESULTS
DEADLINE_S = 100.0


def _throttled(_: Sent) -> ReplyData:
    return ReplyData(429, b"", {"retry-after": "3600"})


def _down(_: Sent) -> ReplyData:
    return ReplyData(503, b"")


@pytest.mark.fault(25, 30)
@pytest.mark.parametrize("answer", [_throttled, _down])
def test_jobs_of_a_closed_provider_expire_in_time(answer: Answer, template: Path) -> None:
    """A provider that asks for an hour of silence, and one that is down: no job waits for its next request to end."""

    async def story(world: StubWorld) -> list[Job]:
        jobs = [await world.submit() for _ in range(8)]
        return [await world.ended(job) for job in jobs]

    jobs = in_stub_world(template, SPEC, answer, story, schedule={"deadline_s": DEADLINE_S})
    for job in jobs:
        assert job.state is State.EXPIRED
        assert job.finished_at is not None
        assert 0.0 <= job.finished_at - job.deadline_at < 3.0
        assert job.reason is not None
        assert ("429" in job.reason) or ("503" in job.reason), job.reason
