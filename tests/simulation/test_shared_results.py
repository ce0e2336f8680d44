"""Shared results in virtual time: one request for all jobs with the same question, a file for each."""

import hashlib
import json
from itertools import count
from pathlib import Path

import pytest

from tests.simulation.stub_world import Answer, ReplyData, Sent, StubWorld, in_stub_world
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
requests = 30
period_s = 60
[operations.report]
title = "Report"
repeatable = true
[operations.report.params]
page = { help = "which page", type = "integer" }
fresh = { help = "newer than the job itself", type = "boolean", default = false }
[operations.report.answers]
fresh_s = 300
newer = "fresh"
[operations.report.submit]
url = "/pages/${params.page}"
rules = [{ then = "ready" }]
[operations.report.results]
inline = true
label = "page ${params.page}"
"""


def numbering() -> Answer:
    """A provider whose every answer is another one."""
    numbers = count(1)
    return lambda sent: ReplyData(200, {"answer": next(numbers), "at": sent.at})


@pytest.mark.slow
def test_jobs_made_together_share_one_answer(template: Path) -> None:
    """Of twenty for one page one asks; each has a file, a manifest and a history of its own."""

    async def story(world: StubWorld) -> None:
        jobs = [await world.submit({"page": 7}) for _ in range(20)]
        other = await world.submit({"page": 8})
        ended = [await world.ended(job) for job in (*jobs, other)]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert sorted(world.paths()) == ["POST /pages/7", "POST /pages/8"]
        assert sorted(job.submits for job in ended) == [0] * 19 + [1, 1]
        assert len({await world.file_of(job) for job in jobs}) == 1
        keys = [artifact.key for job in jobs for artifact in await world.service.jobs.artifacts(job.id)]
        assert len(set(keys)) == 20
        (asker,) = [job for job in ended[:20] if job.submits]
        sharer = next(job for job in ended if not job.submits)
        _, history, (artifact,) = await world.service.show(sharer.id)
        assert (history[-1].outcome, history[-1].detail) == ("Stored", f"the result of job {asker.id}")
        manifest = json.loads((world.root / "exports" / artifact.key).with_name("manifest.json").read_text())
        assert manifest["job"] == sharer.id
        content = await world.file_of(sharer)
        assert artifact.sha256 == hashlib.sha256(content).hexdigest()

    in_stub_world(template, SPEC, numbering(), story)


@pytest.mark.slow
def test_an_answer_is_shared_for_as_long_as_it_stays_the_same(template: Path) -> None:
    """Four minutes later it is the same answer; after five it is asked for again."""

    async def story(world: StubWorld) -> None:
        first = await world.ended(await world.submit({"page": 7}))
        await world.clock.sleep(240.0)
        second = await world.ended(await world.submit({"page": 7}))
        await world.clock.sleep(120.0)
        third = await world.ended(await world.submit({"page": 7}))
        assert len(world.paths()) == 2
        assert await world.file_of(first) == await world.file_of(second)
        assert await world.file_of(third) != await world.file_of(first)

    in_stub_world(template, SPEC, numbering(), story)


@pytest.mark.slow
def test_a_shared_answer_is_as_old_as_the_one_it_was_copied_from(template: Path) -> None:
    """Copies of copies do not keep an answer young for ever."""

    async def story(world: StubWorld) -> None:
        for _ in range(6):
            assert (await world.ended(await world.submit({"page": 7}))).state is State.SUCCEEDED
            await world.clock.sleep(100.0)
        assert len(world.paths()) == 2

    in_stub_world(template, SPEC, numbering(), story)


@pytest.mark.slow
def test_a_job_that_wants_newer_data_waits_for_it(template: Path) -> None:
    """It shares nothing from before: after five minutes it asks, and others who want the same share that."""

    async def story(world: StubWorld) -> None:
        old = await world.ended(await world.submit({"page": 7}))
        made_at = world.clock.now()
        wanting = [await world.submit({"page": 7, "fresh": True}) for _ in range(3)]
        await world.clock.sleep(290.0)
        assert len(world.paths()) == 1
        ended = [await world.ended(job) for job in wanting]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert len(world.paths()) == 2
        assert world.wire.sent[1].at >= made_at + 300.0
        assert await world.file_of(wanting[0]) != await world.file_of(old)

    in_stub_world(template, SPEC, numbering(), story)


def test_an_answer_outlives_the_daemon_that_asked(template: Path) -> None:
    """What nobody remembers is looked up in the database."""

    async def story(world: StubWorld) -> None:
        first = await world.ended(await world.submit({"page": 7}))
        await world.restart()
        second = await world.ended(await world.submit({"page": 7}))
        assert len(world.paths()) == 1
        assert await world.file_of(first) == await world.file_of(second)

    in_stub_world(template, SPEC, numbering(), story)


def test_files_that_somebody_took_away_or_changed_are_not_shared(template: Path) -> None:
    """A missing file is seen before, a changed one while it is copied; either way the job asks for itself."""

    async def story(world: StubWorld) -> None:
        first = await world.ended(await world.submit({"page": 7}))
        (artifact,) = await world.service.jobs.artifacts(first.id)
        (world.root / "exports" / artifact.key).unlink()
        second = await world.ended(await world.submit({"page": 7}))
        assert len(world.paths()) == 2
        (artifact,) = await world.service.jobs.artifacts(second.id)
        (world.root / "exports" / artifact.key).write_bytes(b"x" * artifact.size)
        third = await world.ended(await world.submit({"page": 7}))
        assert len(world.paths()) == 3
        assert third.state is State.SUCCEEDED
        assert b"answer" in await world.file_of(third)

    in_stub_world(template, SPEC, numbering(), story)


def test_an_asking_that_fails_is_made_good_by_who_waited(template: Path) -> None:
    """The first is refused; one of those who waited for its answer asks again, and the rest share that."""
    replies = iter([ReplyData(400, {"error": "not you"})])
    answer = numbering()

    def moody(sent: Sent) -> ReplyData:
        return next(replies, None) or answer(sent)

    async def story(world: StubWorld) -> None:
        jobs = [await world.submit({"page": 7}) for _ in range(5)]
        states = [(await world.ended(job)).state for job in jobs]
        assert sorted(states) == [State.FAILED] + [State.SUCCEEDED] * 4
        assert len(world.paths()) == 2

    in_stub_world(template, SPEC, moody, story)


@pytest.mark.slow
def test_shared_answers_spend_nothing_of_the_limit(template: Path) -> None:
    """Three hundred jobs for thirty pages go through a budget of thirty in one minute."""

    async def story(world: StubWorld) -> None:
        begun_at = world.clock.now()
        jobs = [await world.submit({"page": number % 30}) for number in range(300)]
        for job in jobs:
            assert (await world.ended(job)).state is State.SUCCEEDED
        assert len(world.paths()) == 30
        assert world.clock.now() - begun_at < 60.0

    in_stub_world(template, SPEC, numbering(), story)


def test_what_is_only_read_is_shared_too(template: Path) -> None:
    """Without a submit it is the download that asks, once for all who want the same."""
    submit = SPEC[SPEC.index("[operations.report.submit]") :]
    read = '[operations.report.results]\nurl = "/pages/${params.page}"\nlabel = "page ${params.page}"\n'

    async def story(world: StubWorld) -> None:
        jobs = [await world.submit({"page": 7}) for _ in range(20)]
        assert {(await world.ended(job)).state for job in jobs} == {State.SUCCEEDED}
        late = await world.ended(await world.submit({"page": 7}))
        assert world.paths() == ["GET /pages/7"]
        assert len({await world.file_of(job) for job in (*jobs, late)}) == 1
        await world.clock.sleep(301.0)
        await world.ended(await world.submit({"page": 7}))
        assert len(world.paths()) == 2

    in_stub_world(template, SPEC.replace(submit, read), numbering(), story)


def test_a_cancel_request_is_applied_while_a_job_waits_for_newer_data(template: Path) -> None:
    """Nothing is asked for a job that nobody wants any more."""

    async def story(world: StubWorld) -> None:
        job = await world.submit({"page": 7, "fresh": True})
        await world.clock.sleep(10.0)
        await world.service.cancel(job.id, actor=DAEMON)
        assert (await world.ended(job, 60.0)).state is State.CANCELLED
        assert world.paths() == []

    in_stub_world(template, SPEC, numbering(), story)
