"""ShareProgress's limit of thirty requests a minute, and shared results that help to keep it."""

from pathlib import Path

import pytest

from tests.apis.shareprogress_api import NEW_PAGE, Scenario, run_scenario
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind, InjectedFault, RetryAfter


def test_an_answer_is_shared_for_five_minutes(template: Path) -> None:
    """Analytics of one page within five minutes spend no request and have the same bytes; another page has its own."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            first = await scenario.environment.run("page_analytics", {"id": 10})
            other = await scenario.environment.run("page_analytics", {"id": 11})
            await scenario.environment.clock.sleep(240)
            again = await scenario.environment.run("page_analytics", {"id": 10})
            assert scenario.asked() == ["page_analytics"] * 2
            await scenario.environment.clock.sleep(120)
            later = await scenario.environment.run("page_analytics", {"id": 10})
        assert scenario.asked() == ["page_analytics"] * 3
        files = [await scenario.environment.file_of(job) for job in (first, again, later, other)]
        assert files[0] == files[1]
        assert len(set(files)) == 3
        keys = [(await scenario.environment.service.jobs.artifacts(job.id))[0].key for job in (first, again)]
        assert keys[0] != keys[1]

    run_scenario(template, story)


def test_many_who_ask_at_once_share(template: Path) -> None:
    """Twenty jobs for one page spend one request."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            jobs = [await scenario.environment.submit("page_analytics", {"id": 10}) for _ in range(20)]
            ended = [await scenario.environment.ended(job) for job in jobs]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert scenario.asked() == ["page_analytics"]

    run_scenario(template, story)


@pytest.mark.slow
def test_newer_than_the_job(template: Path) -> None:
    """With ``fresh`` the numbers are newer than the job: it waits for five minutes, then asks."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            stale = await scenario.environment.run("page_analytics", {"id": 10})
            wanted_at = scenario.environment.clock.now()
            fresh = await scenario.environment.run("page_analytics", {"id": 10, "fresh": True})
        assert (stale.state, fresh.state) == (State.SUCCEEDED, State.SUCCEEDED)
        assert scenario.asked() == ["page_analytics"] * 2
        assert 300 <= scenario.api.requests[1].at - wanted_at <= 330
        assert await scenario.environment.file_of(stale) != await scenario.environment.file_of(fresh)

    run_scenario(template, story)


@pytest.mark.slow
def test_a_burst_keeps_within_the_limit(template: Path) -> None:
    """A hundred jobs at once: nobody is refused, and the minutes are used to the full."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            jobs = [await scenario.environment.submit("page_read", {"id": 10 + number}) for number in range(100)]
            ended = [await scenario.environment.ended(job) for job in jobs]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert len(scenario.asked()) == 100
        times = [asked.at for asked in scenario.api.requests]
        assert 180 <= times[-1] - times[0] <= 200
        assert "account.paused" not in scenario.environment.output.getvalue()

    run_scenario(template, story, pages=100)


@pytest.mark.fault(34)
@pytest.mark.invariant(8)
@pytest.mark.slow
def test_the_limit_holds_over_restarts(template: Path) -> None:
    """A daemon that is drained, and one whose power is cut, leave a window that the next one keeps to."""

    async def story(scenario: Scenario) -> None:
        jobs = [await scenario.environment.submit("page_read", {"id": 10 + number}) for number in range(90)]
        for is_cut in (False, True):
            async with scenario.environment.daemon(is_cut=is_cut):
                await scenario.environment.clock.sleep(30)
        async with scenario.environment.daemon():
            ended = [await scenario.environment.ended(job) for job in jobs]
        assert {job.state for job in ended} == {State.SUCCEEDED}

    run_scenario(template, story, pages=90)


@pytest.mark.slow
@pytest.mark.parametrize("skew_s", [-60.0, 0.0, 75.0])
def test_others_with_the_same_key(template: Path, skew_s: float) -> None:
    """Somebody else spends twenty of the thirty: the headers tell, whatever the server's clock, and few are refused."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            jobs = [await scenario.environment.submit("page_read", {"id": 10 + number}) for number in range(40)]
            ended = [await scenario.environment.ended(job) for job in jobs]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert len(scenario.asked()) <= 60
        times = [asked.at for asked in scenario.api.requests]
        assert times[-1] - times[0] <= 600

    run_scenario(template, story, pages=40, skew_s=skew_s, spent_by_others=20)


@pytest.mark.parametrize("asked", [RetryAfter.ABSENT, RetryAfter.SECONDS, RetryAfter.NONSENSE])
def test_429(template: Path, asked: RetryAfter) -> None:
    """A 429 pauses the account, charges nobody, and the save that met it is made once."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("page_update", InjectedFault(FaultKind.THROTTLE, seconds=20, retry_after=asked))
        async with scenario.environment.daemon():
            job = await scenario.environment.run("page_create", NEW_PAGE)
        assert (job.state, job.failures) == (State.SUCCEEDED, 0)
        assert scenario.asked() == ["page_update"] * 2
        assert scenario.titles().count("Reef") == 1

    run_scenario(template, story)
