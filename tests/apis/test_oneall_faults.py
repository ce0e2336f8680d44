"""OneAll with a whole daemon, when its API fails: refusals, outages, replies of the wrong shape, and lost snapshots."""

from pathlib import Path

import pytest

from tests.apis.oneall_scenario import PRIVATE_KEY, Scenario, run_scenario
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind, InjectedFault, RetryAfter

pytestmark = pytest.mark.slow  # a simulated day for each; the strict servers have the quick tests


@pytest.mark.parametrize("statuses", [{}, {401: 200}, {401: 400}])
def test_refused_keys(template: Path, statuses: dict[int, int]) -> None:
    """Whether HTTP or the envelope says so: the account waits for a person, and then its job goes on."""

    async def story(scenario: Scenario) -> None:
        scenario.api.private_key = "another"
        async with scenario.environment.daemon():
            job = await scenario.submit()
            await scenario.environment.clock.sleep(60)
            scenario.api.private_key = PRIVATE_KEY
            await scenario.environment.resume()
            assert await scenario.landed_whole(await scenario.environment.ended(job))
        assert [line["level"] for line in scenario.environment.events("account.refused")] == ["error"]

    run_scenario(template, story, http_statuses=statuses)


@pytest.mark.parametrize("info", [True, False])
@pytest.mark.parametrize("statuses", [{}, {400: 200}])
def test_a_refused_initiation(template: Path, statuses: dict[int, int], *, info: bool) -> None:
    """The job fails with what the API says, which may be nothing but the code."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("initiate", InjectedFault(FaultKind.UNAVAILABLE, status=400))
        job = await scenario.run()
        assert (job.state, job.submits, scenario.api.snapshots) == (State.FAILED, 1, [])
        assert "400" in (job.reason or "")

    run_scenario(template, story, http_statuses=statuses, error_info=info)


@pytest.mark.parametrize("statuses", [{}, {404: 200}])
def test_a_snapshot_that_is_gone(template: Path, statuses: dict[int, int]) -> None:
    """Initiated afresh, once, and that one lands."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("initiate", InjectedFault(FaultKind.GONE))
        job = await scenario.run()
        assert await scenario.landed_whole(job, 1)
        assert (job.submits, len(scenario.api.snapshots)) == (2, 2)

    run_scenario(template, story, http_statuses=statuses)


def test_snapshots_that_are_always_gone(template: Path) -> None:
    """The second time it fails, with the API's words."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("initiate", InjectedFault(FaultKind.GONE), times=None)
        job = await scenario.run()
        assert (job.state, len(scenario.api.snapshots)) == (State.FAILED, 2)
        assert "does not exist" in (job.reason or "")

    run_scenario(template, story)


@pytest.mark.slow
@pytest.mark.parametrize("route", ["initiate", "snapshot"])
@pytest.mark.parametrize("code", [500, 502, 503])
def test_an_outage(template: Path, route: str, code: int) -> None:
    """Pages of HTML for a while: one snapshot, one file."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add(route, InjectedFault(FaultKind.UNAVAILABLE, status=code), times=3)
        assert await scenario.landed_whole(await scenario.run())
        assert len(scenario.api.snapshots) == 1

    run_scenario(template, story)


@pytest.mark.parametrize("route", ["initiate", "snapshot"])
def test_asked_too_often(template: Path, route: str) -> None:
    """The delay of a 429 with Retry-After is kept."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add(route, InjectedFault(FaultKind.THROTTLE, seconds=90, retry_after=RetryAfter.SECONDS))
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        times = [asked.at for asked in scenario.api.requests if asked.route == route]
        after = times[1] if len(times) > 1 else scenario.api.requests[1].at
        assert after - times[0] >= 90

    run_scenario(template, story)


@pytest.mark.parametrize("kind", [FaultKind.MALFORMED, FaultKind.HTML, FaultKind.TRUNCATE])
@pytest.mark.parametrize("route", ["initiate", "snapshot"])
def test_replies_of_the_wrong_shape(template: Path, route: str, kind: FaultKind) -> None:
    """Neither a crash nor a success, and no second snapshot."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add(route, InjectedFault(kind))
        assert await scenario.landed_whole(await scenario.run())
        assert len(scenario.api.snapshots) == 1

    run_scenario(template, story)


@pytest.mark.slow
def test_a_word_that_no_document_names(template: Path) -> None:
    """Told loudly, with the word; the job lives on, and if it stays so to the deadline it expires with that reason."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("snapshot", InjectedFault(FaultKind.UNKNOWN_WORD, text="archived"), times=2)
        assert await scenario.landed_whole(await scenario.run())
        assert all("archived" in str(line) for line in scenario.environment.events("job.unmapped"))
        scenario.api.faults.add("initiate", InjectedFault(FaultKind.UNKNOWN_WORD, text="archived"))
        job = await scenario.run("another")
        assert job.state is State.EXPIRED
        assert "archived" in (job.reason or "")

    run_scenario(template, story, deadline_s=900)


def test_a_status_that_flaps(template: Path) -> None:
    """Finished now and then: the file lands."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("initiate", InjectedFault(FaultKind.FLAPPING))
        assert await scenario.landed_whole(await scenario.run())

    run_scenario(template, story)


@pytest.mark.fault(30)
@pytest.mark.slow
def test_a_snapshot_that_never_ends(template: Path) -> None:
    """The job expires at its deadline, and the remote snapshot is taken away, so that the message is free again."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("initiate", InjectedFault(FaultKind.NEVER_ENDS))
        job = await scenario.run()
        assert job.state is State.EXPIRED
        assert scenario.api.snapshots[0].deleted

    run_scenario(template, story, deadline_s=900)
