"""A provider that limits concurrent remote jobs, in virtual time."""

from pathlib import Path

import pytest

from tests.simulation.stub_world import ReplyData, Sent, StubWorld, in_stub_world
from tidewaiter.domain.job import State
from tidewaiter.services import DAEMON

SPEC = """
name = "demo"
title = "Demo"
base_url = "${account.server}"
error = "error"
[account]
server = { type = "url", help = "the server" }
[limits]
remote_jobs = 3
[operations.report]
title = "Report"
[operations.report.params]
number = { type = "integer", help = "which" }
[operations.report.schedule]
first_delay_s = 5
interval_s = 10
cap_s = 10
deadline_s = 7200
[operations.report.submit]
url = "/reports"
json = { number = "${params.number}" }
handle = "id"
[operations.report.poll]
url = "/reports/${handle}"
[[operations.report.poll.rules]]
word = "status"
words = { working = "pending", ready = "ready" }
[operations.report.results]
url = "/reports/${handle}/file"
[operations.report.cancel]
url = "/reports/${handle}"
"""
QUICK = (
    SPEC[SPEC.index("[operations.report]") :].replace("operations.report", "operations.quick").replace("7200", "600")
)


class Building:
    """Builds each report for so long, counts those under way, and refuses what is too much."""

    def __init__(self, builds_s: float, permitted: int = 3) -> None:
        self.builds_s = builds_s
        self.permitted = permitted
        self.begun_at: dict[str, float] = {}
        self.done: set[str] = set()
        self.most = 0
        self.refused = 0

    def __call__(self, sent: Sent) -> ReplyData:
        """One request."""
        method, _, path = sent.path.partition(" ")
        if path == "/reports":
            return self._begin(sent)
        number = path.split("/")[2]
        if path.endswith("/file"):
            return ReplyData(200, number.encode())
        if method == "DELETE":
            self.done.add(number)
            return ReplyData(204)
        if sent.at - self.begun_at[number] < self.builds_s:
            return ReplyData(200, {"status": "working"})
        self.done.add(number)
        return ReplyData(200, {"status": "ready"})

    def _begin(self, sent: Sent) -> ReplyData:
        under_way = len(self.begun_at) - len(self.done)
        if under_way >= self.permitted:
            self.refused += 1
            return ReplyData(409, {"error": "too many reports under way"})
        self.most = max(self.most, under_way + 1)
        number = str(len(self.begun_at) + 1)
        self.begun_at[number] = sent.at
        return ReplyData(201, {"id": number})


@pytest.mark.slow
def test_never_more_than_are_permitted_and_never_fewer_than_could_be(template: Path) -> None:
    """Twenty jobs go through three places, one after the other, as soon as a place is free."""
    provider = Building(builds_s=60.0)

    async def story(world: StubWorld) -> None:
        begun_at = world.clock.now()
        jobs = [await world.submit({"number": number}) for number in range(20)]
        states = [(await world.ended(job)).state for job in jobs]
        assert states == [State.SUCCEEDED] * 20
        assert (provider.most, provider.refused) == (3, 0)
        # Seven rounds of a minute and the wait for its last poll.
        assert world.clock.now() - begun_at < 7 * 75.0

    in_stub_world(template, SPEC, provider, story)


@pytest.mark.slow
def test_the_places_are_known_after_a_restart(template: Path) -> None:
    """What another daemon has submitted counts."""
    provider = Building(builds_s=600.0)

    async def story(world: StubWorld) -> None:
        jobs = [await world.submit({"number": number}) for number in range(6)]
        await world.clock.sleep(100.0)
        await world.restart(30.0)
        states = [(await world.ended(job)).state for job in jobs]
        assert states == [State.SUCCEEDED] * 6
        assert (provider.most, provider.refused) == (3, 0)

    in_stub_world(template, SPEC, provider, story)


@pytest.mark.slow
def test_who_waits_for_a_place_can_be_cancelled_and_expires(template: Path) -> None:
    """Waiting for others is no reason to be kept for ever; and a job that is cancelled makes room."""
    provider = Building(builds_s=1e9)

    async def story(world: StubWorld) -> None:
        building = [await world.submit({"number": number}) for number in range(3)]
        await world.clock.sleep(60.0)
        waiting = [await world.submit({"number": number}) for number in range(2)]
        waiting.append(await world.submit({"number": 3}, "quick"))
        await world.clock.sleep(60.0)
        await world.service.cancel(waiting[0].id, actor=DAEMON)
        assert (await world.ended(waiting[0], 60.0)).state is State.CANCELLED
        await world.service.cancel(building[0].id, actor=DAEMON)
        await world.clock.sleep(60.0)
        assert (await world.job(building[0])).state is State.CANCELLED
        assert (await world.job(waiting[1])).state is State.POLLING
        assert (await world.job(waiting[2])).state is State.QUEUED
        ended = await world.ended(waiting[2], 1200.0)
        assert (ended.state, ended.submits) == (State.EXPIRED, 0)
        assert provider.refused == 0

    in_stub_world(template, SPEC + QUICK, provider, story)


def test_an_operator_may_permit_fewer(template: Path) -> None:
    """The account's own limit goes before the spec's."""
    provider = Building(builds_s=60.0)

    async def story(world: StubWorld) -> None:
        jobs = [await world.submit({"number": number}) for number in range(4)]
        assert [(await world.ended(job)).state for job in jobs] == [State.SUCCEEDED] * 4
        assert provider.most == 1

    in_stub_world(template, SPEC, provider, story, limits={"remote_jobs": 1})
