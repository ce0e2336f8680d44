"""Jobs with requests before the submit and after it, through power cuts at moments that a seed chooses."""

from pathlib import Path
from random import Random

import pytest

from tests.simulation.stub_world import ReplyData, Sent, StubWorld, in_stub_world
from tidewaiter.domain.job import Job, State
from tidewaiter.services import DAEMON

SPEC = """
name = "demo"
title = "Demo"
base_url = "${account.server}"
error = "error"
[account]
server = { type = "url", help = "the server" }
[operations.report]
title = "Report"
[operations.report.params]
number = { type = "integer", help = "which" }
[operations.report.schedule]
first_delay_s = 1
interval_s = 5
cap_s = 5
gone_grace_s = 0
deadline_s = 86400
[[operations.report.before]]
name = "upload"
url = "/files"
json = { number = "${params.number}" }
keep = { file = "id" }
[operations.report.submit]
url = "/reports"
json = { number = "${params.number}", file = "${kept.file}" }
handle = "id"
keep = { queue = "queue" }
[[operations.report.start]]
name = "enqueue"
url = "/queues/${kept.queue}/${handle}"
[[operations.report.start]]
name = "hurry"
repeatable = true
url = "/reports/${handle}/hurry"
[operations.report.poll]
url = "/reports/${handle}"
rules = [{ word = "status", words = { working = "pending", ready = "ready" } }]
keep = { place = "place" }
[operations.report.results]
url = "/places/${kept.place}"
"""
JOBS = 12


class Provider:
    """Makes reports, starts each once, and counts; now and then it is busy."""

    def __init__(self, rand: Random) -> None:
        self._rand = rand
        self.made: dict[str, str] = {}
        self.started: dict[str, float] = {}
        self.starts: list[str] = []

    def __call__(self, sent: Sent) -> ReplyData:
        """One request."""
        _, _, path = sent.path.partition(" ")
        parts = path.strip("/").split("/")
        if self._rand.random() < 0.1:
            return ReplyData(421, {"error": "another server"})
        match parts:
            case ["files"]:
                return ReplyData(200, {"id": f"f{_body(sent)['number']}"})
            case ["reports"]:
                report = f"r{len(self.made)}"
                self.made[report] = str(_body(sent)["number"])
                assert _body(sent)["file"] == f"f{_body(sent)['number']}"
                return ReplyData(201, {"id": report, "queue": f"q-{report}"})
            case ["queues", queue, report]:
                assert queue == f"q-{report}"
                self.starts.append(report)
                self.started[report] = sent.at
                return ReplyData(202, {})
            case ["reports", _, "hurry"]:
                return ReplyData(200, {})
            case ["reports", report]:
                assert report in self.started
                is_ready = sent.at - self.started[report] > 20
                return ReplyData(200, {"status": "ready", "place": report} if is_ready else {"status": "working"})
            case ["places", report]:
                return ReplyData(200, self.made[report].encode())
            case _:
                raise AssertionError(sent.path)


def _body(sent: Sent) -> dict[str, object]:
    assert isinstance(sent.json, dict)
    return sent.json


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))])
def test_power_cuts(template: Path, seed: int) -> None:
    """No report is started twice, a person who knows the provider finishes every job, and each file is its own."""
    rand = Random(seed)
    provider, stages = Provider(rand), list[str | None]()

    async def decided(world: StubWorld, job: Job) -> None:
        """A person looks at the provider, and says what is true."""
        reports = [report for report, number in provider.made.items() if number == str(job.params["number"])]
        if job.stage == "submit" and reports:
            kept = {"queue": f"q-{reports[-1]}"}
            await world.service.adopt(job.id, reports[-1], actor=DAEMON, kept=kept)
        elif job.stage == "enqueue" and job.handle in provider.started:
            await world.service.adopt(job.id, job.handle, actor=DAEMON)
        else:
            await world.service.retry(job.id, actor=DAEMON)

    async def story(world: StubWorld) -> list[tuple[Job, bytes]]:
        world.wire.latency_s = 3.0  # so that many a cut hits a request under way
        jobs = [await world.submit({"number": number}) for number in range(JOBS)]
        for _ in range(5):
            await world.clock.sleep(rand.choice((rand.uniform(0, 1), rand.uniform(0, 30))))
            await world.cut(rand.uniform(0, 5))
        for _ in range(20):
            found = [await world.ended(job) for job in jobs]
            parked = [job for job in found if job.state is State.PARKED]
            if not parked:
                return [(job, await world.file_of(job)) for job in found]
            for job in parked:
                stages.append(job.stage)
                await decided(world, job)
        raise AssertionError("jobs are parked again and again")

    ended = in_stub_world(template, SPEC, provider, story)
    assert [job.state for job, _ in ended] == [State.SUCCEEDED] * JOBS
    assert [file for _, file in ended] == [str(number).encode() for number in range(JOBS)]
    assert len(provider.starts) == len(set(provider.starts))
    assert len(provider.made) <= sum(job.submits for job, _ in ended)
    assert set(stages) <= {"submit", "enqueue"}
