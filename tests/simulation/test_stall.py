"""A remote job that makes no progress, in virtual time."""

from pathlib import Path

import pytest

from tests.simulation.stub_world import Answer, ReplyData, Sent, StubWorld, in_stub_world
from tidewaiter.domain.job import State

SPEC = """
name = "demo"
title = "Demo"
base_url = "${account.server}"
[account]
server = { type = "url", help = "the server" }
[operations.report]
title = "Report"
[operations.report.schedule]
interval_s = 60
cap_s = 60
stall_s = 1800
deadline_s = 864000
[operations.report.submit]
url = "/reports"
handle = "id"
[operations.report.poll]
url = "/reports/${handle}"
progress = "done"
[[operations.report.poll.rules]]
word = "status"
words = { waiting = "pending", working = "running", ready = "ready" }
[operations.report.results]
url = "/reports/${handle}/file"
[operations.report.cancel]
url = "/reports/${handle}"
"""


def telling(until_s: float, every_s: float, word: str = "working") -> Answer:
    """A provider whose job moves on every so often until it does no more."""
    begun_at: list[float] = []

    def answer(sent: Sent) -> ReplyData:
        if sent.path == "POST /reports":
            begun_at.append(sent.at)
            return ReplyData(200, {"id": "7"})
        passed_s = min(sent.at - begun_at[0], until_s)
        return ReplyData(200, {"status": word, "done": int(passed_s / every_s)})

    return answer


@pytest.mark.fault(30)
@pytest.mark.slow
def test_a_job_that_stands_still_is_let_go(template: Path) -> None:
    """Half an hour after the last progress, with the deadline far away; the remote is told."""

    async def story(world: StubWorld) -> None:
        job = await world.submit()
        ended = await world.ended(job)
        assert ended.state is State.EXPIRED
        assert ended.reason is not None
        assert "the provider reported nothing new about the job" in ended.reason
        stood_still_at = job.created_at + 3600.0
        assert ended.finished_at is not None
        assert stood_still_at + 1800.0 - 120.0 < ended.finished_at < stood_still_at + 1800.0 + 120.0
        assert world.paths()[-1] == "DELETE /reports/7"

    in_stub_world(template, SPEC, telling(until_s=3600.0, every_s=600.0), story, lookout_s=300.0)


@pytest.mark.slow
def test_slow_is_not_still(template: Path) -> None:
    """Progress every twenty minutes keeps a job alive for hours."""

    async def story(world: StubWorld) -> None:
        job = await world.submit()
        await world.clock.sleep(2 * 3600.0)
        assert (await world.job(job)).state is State.POLLING

    in_stub_world(template, SPEC, telling(until_s=1e9, every_s=1200.0), story, lookout_s=300.0)


@pytest.mark.slow
def test_an_outage_of_ours_is_no_stall_by_itself(template: Path) -> None:
    """After two hours without a daemon the job is asked after first, and what it has done meanwhile counts."""

    async def story(world: StubWorld) -> None:
        job = await world.submit()
        await world.clock.sleep(600.0)
        await world.restart(2 * 3600.0)
        await world.clock.sleep(600.0)
        assert (await world.job(job)).state is State.POLLING

    in_stub_world(template, SPEC, telling(until_s=1e9, every_s=1200.0), story, lookout_s=300.0)


@pytest.mark.slow
def test_without_a_limit_a_job_may_stand_still_until_its_deadline(template: Path) -> None:
    """Many providers tell nothing but "working"."""

    async def story(world: StubWorld) -> None:
        job = await world.submit()
        await world.clock.sleep(4 * 3600.0)
        assert (await world.job(job)).state is State.POLLING

    in_stub_world(
        template, SPEC.replace("stall_s = 1800\n", ""), telling(until_s=0.0, every_s=600.0), story, lookout_s=300.0
    )
