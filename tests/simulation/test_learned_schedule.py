"""Hours and days of polls that follow what earlier jobs took, in virtual time: what they gain, and their bounds."""

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from tests.simulation.stub_world import ReplyData, Sent, StubWorld, in_stub_world
from tests.support.poll_replay import log_normal
from tests.support.report_spec import HEAD, POLL, RESULTS, SUBMIT
from tidewaiter.domain.job import State

INTERVAL_S, CAP_S, PERIOD_S, REQUESTS = 4.0, 60.0, 30.0, 8
RETRY_AFTER_S = 15.0
EVERY_S = 200.0
# Latency, the linger of a commit, and a wait for the limit of requests.
SLACK_S = 2.0
SPEC = (
    HEAD
    + """
[operations.report.schedule]
first_delay_s = 2
interval_s = 4
cap_s = 60
"""
    + SUBMIT
    + POLL
    + RESULTS
)


class _Provider:
    """Remote jobs of about a minute and a half; some replies ask for a pause, and some fail."""

    def __init__(self, seed: int) -> None:
        self._rand = Random(seed)
        self._took = log_normal(90.0, 0.3)
        self.ready_at: dict[str, float] = {}
        self.polls: dict[str, list[tuple[float, bool]]] = {}
        """When each remote job was polled, and whether the reply asked for a pause."""

    def answer(self, sent: Sent) -> ReplyData:
        if sent.path == "POST /reports":
            name = f"r-{len(self.ready_at)}"
            self.ready_at[name] = sent.at + self._took(self._rand, 0.0)
            return ReplyData(200, {"id": name})
        name = sent.path.split("/")[2]
        if sent.path.endswith("/file"):
            return ReplyData(200, b"a file")
        asks = self._rand.random() < 0.1
        self.polls.setdefault(name, []).append((sent.at, asks))
        headers = {"Retry-After": f"{RETRY_AFTER_S:g}"} if asks else {}
        status = "ready" if sent.at >= self.ready_at[name] else "working"
        return ReplyData(200, {"status": status}, headers)

    def late_s(self, first: int) -> float:
        """The mean wait after "ready", without the first jobs."""
        late = [polls[-1][0] - self.ready_at[name] for name, polls in self.polls.items()][first:]
        return sum(late) / len(late)

    def polls_of_a_job(self, first: int) -> float:
        """The mean number of polls, without the first jobs."""
        counts = [len(polls) for polls in self.polls.values()][first:]
        return sum(counts) / len(counts)


def _lived(template: Path, seed: int, jobs: int, *, learn: bool) -> tuple[_Provider, list[Sent]]:
    """A job every three minutes; the daemon is restarted once."""
    provider = _Provider(seed)

    async def story(world: StubWorld) -> list[Sent]:
        made = []
        for number in range(jobs):
            made.append(await world.submit())
            await world.clock.sleep(EVERY_S)
            if number == jobs // 2:
                await world.restart(5.0)
        await world.clock.sleep(400.0)
        assert {(await world.job(job)).state for job in made} == {State.SUCCEEDED}
        return world.wire.sent

    limits = {"requests": REQUESTS, "period_s": PERIOD_S}
    return provider, in_stub_world(
        template, SPEC, provider.answer, story, schedule={"learn": learn}, limits=limits, lookout_s=30.0
    )


@pytest.mark.parametrize(
    "jobs", [pytest.param(14, marks=pytest.mark.slow), pytest.param(80, marks=[pytest.mark.chaos, pytest.mark.long])]
)
def test_learned_polls(template: Path, jobs: int) -> None:
    """Half the wait with about as many polls, and every interval within floor, cap, Retry-After and limit."""
    learned, sent = _lived(template, 1, jobs, learn=True)
    configured, _ = _lived(template, 1, jobs, learn=False)
    assert learned.late_s(5) < 0.6 * configured.late_s(5)
    assert learned.polls_of_a_job(5) <= 1.15 * configured.polls_of_a_job(5)
    for polls in learned.polls.values():
        for (before_at, asked), (at, _) in pairwise(polls):
            floor_s = max(0.8 * INTERVAL_S, RETRY_AFTER_S if asked else 0.0)
            assert floor_s - 0.1 <= at - before_at <= CAP_S + SLACK_S + PERIOD_S
    moments = [one.at for one in sent]
    assert all(later - earlier > PERIOD_S for earlier, later in zip(moments, moments[REQUESTS:], strict=False))


@pytest.mark.slow
def test_the_seed_decides(template: Path) -> None:
    """The same hours twice are the same to the last request."""
    runs = [[(one.at, one.path) for one in _lived(template, 2, 4, learn=True)[1]] for _ in range(2)]
    assert runs[0] == runs[1]
