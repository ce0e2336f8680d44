"""Copernica with a whole daemon, when its API fails: outages, lost and broken replies, refusals, a killed daemon."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.apis.copernica_scenario import (
    EITHER_FORM,
    OPERATION,
    WANTED,
    Scenario,
    run_scenario,
)
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind, InjectedFault, RetryAfter

pytestmark = pytest.mark.slow  # a simulated day for each; the strict servers have the quick tests


@pytest.mark.slow
@EITHER_FORM
@pytest.mark.parametrize("code", [502, 503, 504])
def test_an_outage_of_minutes(template: Path, form: str, code: int) -> None:
    """Pages of HTML for ten minutes, for the order and again for the polls: one file in the end, no failed job."""

    async def story(scenario: Scenario) -> None:
        down = InjectedFault(FaultKind.UNAVAILABLE, status=code)
        async with scenario.environment.daemon():
            scenario.api.faults.add("*", down, times=None)
            job = await scenario.environment.submit(OPERATION, WANTED)
            await scenario.environment.clock.sleep(600)
            assert len(scenario.api.requests) < 60
            scenario.api.faults.clear()
            # Submits of unknown outcome come ever more slowly; the fourth at least is after the outage.
            await scenario.environment.clock.sleep(1500)
            scenario.api.faults.add("*", down, times=None)
            await scenario.environment.clock.sleep(600)
            scenario.api.faults.clear()
            assert await scenario.landed_whole(await scenario.environment.ended(job))

    run_scenario(template, story, settings={"form": form}, build_s=1500)


def test_asked_too_often(template: Path) -> None:
    """429 with a Retry-After: nothing is asked before that is over, and the job pays nothing but time."""

    async def story(scenario: Scenario) -> None:
        slow_down = InjectedFault(FaultKind.THROTTLE, seconds=120, retry_after=RetryAfter.SECONDS)
        for route in ("create", "status", "data"):
            scenario.api.faults.add(route, slow_down)
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        times = [asked.at for asked in scenario.api.requests]
        pauses = [later - earlier for earlier, later in pairwise(times)]
        assert sum(pause >= 120 for pause in pauses) >= 3
        assert len(scenario.api.data_requests) == 1

    run_scenario(template, story)


def test_a_lost_reply_to_an_order(template: Path) -> None:
    """Nobody knows the identifier, and there is no list: ordered again, which the spec says is harmless."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("create", InjectedFault(FaultKind.RESET_AFTER))
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert (job.submits, len(scenario.api.data_requests)) == (2, 2)
        assert any("repeatable" in (entry.detail or "") for entry in await scenario.environment.history(job))

    run_scenario(template, story)


@EITHER_FORM
@pytest.mark.parametrize("kind", [FaultKind.MALFORMED, FaultKind.HTML, FaultKind.TRUNCATE, FaultKind.UNKNOWN_WORD])
def test_replies_of_the_wrong_shape(template: Path, form: str, kind: FaultKind) -> None:
    """Half a JSON, a page, a broken body, an unknown word: neither a crash nor a success, and polled on."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("status" if form == "status" else "bare", InjectedFault(kind), times=2)
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert scenario.environment.events("job.unmapped" if kind is FaultKind.UNKNOWN_WORD else "job.troubled")

    run_scenario(template, story, settings={"form": form})


@pytest.mark.fault(28)
def test_a_word_that_no_document_names_for_good(template: Path) -> None:
    """The job lives until its deadline, and ends with the word in its reason."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("create", InjectedFault(FaultKind.UNKNOWN_WORD, text="archived"))
        job = await scenario.run()
        assert job.state is State.EXPIRED
        assert "archived" in (job.reason or "")

    run_scenario(template, story, deadline_s=900)


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATE, FaultKind.RESET_AFTER, FaultKind.HTML])
def test_a_download_that_breaks(template: Path, kind: FaultKind) -> None:
    """A body that breaks off, or a page in its place, is not the file."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("data", InjectedFault(kind), times=2)
        assert await scenario.landed_whole(await scenario.run())
        assert len(scenario.api.data_requests) == 1

    run_scenario(template, story, mime_bytes=300_000)


@pytest.mark.fault(28)
def test_a_status_that_flaps(template: Path) -> None:
    """Available, pending, available: the file lands all the same."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("create", InjectedFault(FaultKind.FLAPPING))
        assert await scenario.landed_whole(await scenario.run())

    run_scenario(template, story)


def test_a_request_that_never_ends(template: Path) -> None:
    """The job expires at its deadline."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("create", InjectedFault(FaultKind.NEVER_ENDS))
        assert (await scenario.run()).state is State.EXPIRED

    run_scenario(template, story, deadline_s=900)


def test_whom_nobody_knows(template: Path) -> None:
    """400 with a message: the job fails with it at once."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run(id="0")
        assert (job.state, job.submits) == (State.FAILED, 1)
        assert "There is no subprofile 0" in (job.reason or "")

    run_scenario(template, story)


@EITHER_FORM
def test_killed_at_any_moment(template: Path, form: str) -> None:
    """Daemons whose power is cut every few seconds: the job ends well, and no file is there twice."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.environment.submit(OPERATION, WANTED)
        for lasts_s in (0.05, 0.1, 8, 15, 20, 30):
            async with scenario.environment.daemon(is_cut=True):
                await scenario.environment.clock.sleep(lasts_s)
        async with scenario.environment.daemon():
            job = await scenario.environment.ended(job)
        assert job.state is State.SUCCEEDED
        assert len(await scenario.environment.service.jobs.artifacts(job.id)) == 1

    run_scenario(template, story, settings={"form": form})
