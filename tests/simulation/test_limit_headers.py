"""A provider that sends the rest of its limit in headers, in virtual time."""

from email.utils import formatdate
from pathlib import Path

import pytest

from tests.simulation.stub_world import ReplyData, Sent, StubWorld, in_stub_world
from tidewaiter.domain.job import State

SPEC = """
name = "demo"
title = "Demo"
base_url = "${account.server}"
error = "error"
[account]
server = { type = "url", help = "the server" }
[limits]
requests = 5
period_s = 60
[limits.headers]
limit = "X-RateLimit-Limit"
remaining = "X-RateLimit-Remaining"
reset = "X-RateLimit-Reset"
[operations.report]
title = "Report"
[operations.report.submit]
url = "/reports"
rules = [{ then = "ready" }]
[operations.report.results]
inline = true
"""
BEHIND_S = 75.0
"""How far the server's clock is behind ours."""


class Counting:
    """Counts progressively, others' requests too, and tells of it; refuses what is too much.

    ``retry_after`` makes the refusal say how long to wait. The server's clock is not ours.
    """

    def __init__(self, permitted: int = 5) -> None:
        self.permitted = permitted
        self.counted: list[float] = []
        self.refused: list[float] = []
        self.most = 0

    def others(self, at: float, number: int) -> None:
        """Somebody else uses the same key."""
        self.counted += [at] * number

    def __call__(self, sent: Sent) -> ReplyData:
        """One request."""
        self.counted = [at for at in self.counted if at > sent.at - 60.0]
        if len(self.counted) >= self.permitted:
            self.refused.append(sent.at)
            return ReplyData(429, {"error": "too much"}, self._headers(sent.at))
        self.counted.append(sent.at)
        self.most = max(self.most, len(self.counted))
        return ReplyData(200, b"{}", self._headers(sent.at))

    def _headers(self, at: float) -> dict[str, str]:
        return {
            "Date": formatdate(at - BEHIND_S, usegmt=True),
            "X-Ratelimit-Limit": str(self.permitted),
            "X-Ratelimit-Remaining": str(self.permitted - len(self.counted)),
            "X-Ratelimit-Reset": str(int(min(self.counted) + 60.0 - BEHIND_S) + 1),
        }


def test_what_others_have_spent_is_seen_in_time(template: Path) -> None:
    """Two of five are spent by somebody else: the third request of ours reads that nothing is left, and we wait."""
    server = Counting()

    async def story(world: StubWorld) -> None:
        begun_at = world.clock.now()
        server.others(begun_at - 30.0, 2)
        jobs = [await world.ended(await world.submit(), 120.0) for _ in range(6)]
        assert {job.state for job in jobs} == {State.SUCCEEDED}
        assert server.refused == []
        assert world.wire.sent[2].at < begun_at + 15.0
        # The others' requests leave the count thirty seconds after we began.
        assert begun_at + 30.0 < world.wire.sent[3].at < begun_at + 33.0
        (paused,) = world.events("account.paused")
        assert paused["reason"] == "the provider says that nothing is left of the 5 requests that it permits"

    in_stub_world(template, SPEC, server, story)


def test_a_refusal_without_retry_after_waits_for_the_reset(template: Path) -> None:
    """A 429 that names the moment in its own header is believed, by the server's clock and not by ours."""
    server = Counting()

    async def story(world: StubWorld) -> None:
        server.others(world.clock.now() - 30.0, 5)
        job = await world.ended(await world.submit(), 120.0)
        assert job.state is State.SUCCEEDED
        first, second = (sent.at for sent in world.wire.sent)
        assert 29.0 < second - first < 33.0
        assert len(server.refused) == 1

    in_stub_world(template, SPEC, server, story)


@pytest.mark.slow
def test_our_own_requests_lose_nothing_to_the_headers(template: Path) -> None:
    """Nothing is left after every fifth request of ours; our window knows that, and no second is lost for it."""
    server = Counting()

    async def story(world: StubWorld) -> None:
        begun_at = world.clock.now()
        jobs = [await world.submit() for _ in range(60)]
        for job in jobs:
            assert (await world.ended(job)).state is State.SUCCEEDED
        assert server.refused == []
        assert server.most == 5
        used = [sent.at - begun_at for sent in world.wire.sent]
        # The first of the twelfth group of five comes eleven periods after the first of all.
        assert used[55] - used[0] < 11 * 60.0 * 1.01
        assert world.events("account.paused") == []

    in_stub_world(template, SPEC, server, story)
