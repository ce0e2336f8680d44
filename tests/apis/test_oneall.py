"""OneAll with a whole daemon: each row of its contract, each quirk, and what its documentation leaves open."""

import json
from pathlib import Path

import pytest

from tests.apis.oneall_scenario import MESSAGE, PRIVATE_KEY, Scenario, run_scenario
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.oneall import FinishedForm, PendingForm
from tidewaiter.emulators.oneall_replies import publications_of
from tidewaiter.services import DAEMON

pytestmark = pytest.mark.slow  # a simulated day for each; the strict servers have the quick tests


# --- the rows of the contract -----------------------------------------------------------------------------------------


def test_a_snapshot(template: Path) -> None:
    """One PUT, polls, and the finished snapshot's own reply is the file, as it came; every request is signed."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert scenario.asked() == ["initiate", "snapshot"]
        assert scenario.api.count("initiate") == job.submits == 1
        assert scenario.api.count("snapshot") == job.polls
        assert all(asked.has_basic("public", PRIVATE_KEY) for asked in scenario.api.requests)
        (artifact,) = await scenario.environment.service.jobs.artifacts(job.id)
        assert (artifact.name, artifact.media_type) == (f"{MESSAGE}.json", "application/json")
        order = json.loads(scenario.api.requests[0].body)
        assert order == {"request": {"analytics": {"sharing": {"sharing_message_token": MESSAGE}}}}

    run_scenario(template, story)


@pytest.mark.parametrize("pending", PendingForm)
@pytest.mark.parametrize("finished", FinishedForm)
def test_every_form_of_pending_and_finished(template: Path, pending: PendingForm, finished: FinishedForm) -> None:
    """102 in the envelope, 202, 207, 304, 409, 200 without an end; then a date, a status, or both."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert job.polls > 2
        assert job.failures == 0
        assert not scenario.environment.events("job.unmapped")

    run_scenario(template, story, pending=pending, finished=finished)


@pytest.mark.parametrize("pending", [202, 207, 409])
def test_pending_in_the_envelope_alone(template: Path, pending: int) -> None:
    """The HTTP status says 200, the code in the envelope that it is not ready."""

    async def story(scenario: Scenario) -> None:
        assert await scenario.landed_whole(await scenario.run())

    run_scenario(template, story, pending=PendingForm(pending), http_statuses={pending: 200})


@pytest.mark.parametrize("statuses", [{201: 200}, {201: 202}, {200: 202}, {200: 201}])
def test_other_statuses_than_codes(template: Path, statuses: dict[int, int]) -> None:
    """An HTTP status that differs from the code misleads nobody, neither of the acceptance nor of the snapshot."""

    async def story(scenario: Scenario) -> None:
        assert await scenario.landed_whole(await scenario.run())
        assert len(scenario.api.snapshots) == 1

    run_scenario(template, story, http_statuses=statuses)


@pytest.mark.parametrize("publications", [0, 40])
def test_few_and_many_publications(template: Path, publications: int) -> None:
    """A message that came out nowhere, and one that came out often."""

    async def story(scenario: Scenario) -> None:
        assert await scenario.landed_whole(await scenario.run())

    run_scenario(template, story, publications=publications)


@pytest.mark.slow
def test_a_snapshot_that_no_memory_should_hold(template: Path) -> None:
    """One beyond what is looked into as JSON is recognised by its beginning, and fetched again as a stream."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        (artifact,) = await scenario.environment.service.jobs.artifacts(job.id)
        assert artifact.size > 8 * 2**20

    run_scenario(template, story, publications=18_000)


def test_not_there_right_after_the_initiation(template: Path) -> None:
    """404 at first is taken for lag."""

    async def story(scenario: Scenario) -> None:
        assert await scenario.landed_whole(await scenario.run())
        assert len(scenario.api.snapshots) == 1

    run_scenario(template, story, lookup_lag_s=60)


@pytest.mark.slow
def test_an_hour(template: Path) -> None:
    """A snapshot may take an hour: few polls, and the file at last."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert job.polls < 25

    run_scenario(template, story, build_s=3600)


# --- one pending snapshot for a message -------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [True, False])
@pytest.mark.parametrize("statuses", [{}, {207: 200}, {207: 409}])
def test_two_jobs_for_one_message(template: Path, statuses: dict[int, int], *, token: bool) -> None:
    """They share the one snapshot that there is, whether the 207 names it or the list has to."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            first = await scenario.submit()
            await scenario.environment.clock.sleep(5)
            second = await scenario.submit()
            ended = [await scenario.environment.ended(job) for job in (first, second)]
        for job in ended:
            assert await scenario.landed_whole(job)
        assert (len(scenario.api.snapshots), scenario.api.snapshots[0].repeats) == (1, 1)
        assert ended[0].handle == ended[1].handle
        assert [job.shared for job in ended] == [False, True]
        assert scenario.api.count("list") == (0 if token else 1)

    run_scenario(template, story, duplicate_token=token, http_statuses=statuses)


@pytest.mark.parametrize("token", [True, False])
def test_a_snapshot_of_somebody_else(template: Path, *, token: bool) -> None:
    """One that is pending already, of another program's making, is followed rather than fought; it is left alone."""

    async def story(scenario: Scenario) -> None:
        scenario.api.make(MESSAGE)
        await scenario.environment.clock.sleep(30)
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert job.shared
        assert scenario.api.count("delete") == 0

    run_scenario(template, story, duplicate_token=token, clean=True)


@pytest.mark.parametrize("status", [True, False])
def test_older_snapshots_of_the_same_message(template: Path, *, status: bool) -> None:
    """In a list of either revision the pending one is found among finished ones and other messages, over all pages."""

    async def story(scenario: Scenario) -> None:
        for number in range(600):
            scenario.api.make(MESSAGE if number % 5 == 0 else f"other-{number}")
        await scenario.environment.clock.sleep(301)
        for number in range(300):
            scenario.api.make(f"later-{number}")
        pending = scenario.api.make(MESSAGE)
        for number in range(300):
            scenario.api.make(f"latest-{number}")
        job = await scenario.run()
        assert job.handle == pending.token
        assert (await scenario.snapshot_of(job))["sharing_analytics_snapshot_token"] == pending.token
        assert scenario.api.count("list") == 5

    run_scenario(template, story, duplicate_token=False, list_status=status, build_s=300)


def test_a_list_that_lags_behind(template: Path) -> None:
    """A 207 that names nothing, and a list that does not have it yet: looked for again, and found."""

    async def story(scenario: Scenario) -> None:
        scenario.api.make(MESSAGE)
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert scenario.api.count("list") > 1

    run_scenario(template, story, duplicate_token=False, list_lag_s=50)


def test_a_lost_reply_to_an_initiation(template: Path) -> None:
    """Nobody was told the token: it is found in the list, and there is one snapshot, initiated once."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("initiate", InjectedFault(FaultKind.RESET_AFTER))
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert (job.submits, scenario.api.count("initiate"), len(scenario.api.snapshots)) == (1, 1, 1)

    run_scenario(template, story)


def test_a_lost_initiation(template: Path) -> None:
    """The order itself got lost: the list never shows a snapshot, so it is initiated again, once."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("initiate", InjectedFault(FaultKind.RESET_BEFORE))
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert (job.submits, len(scenario.api.snapshots), scenario.api.snapshots[0].repeats) == (2, 1, 0)

    run_scenario(template, story)


@pytest.mark.slow
@pytest.mark.parametrize("lives_s", [(0.05, 0.1, 5.0), (20.0, 200.0, 60.0, 30.0)])
def test_killed_at_any_moment(template: Path, lives_s: tuple[float, ...]) -> None:
    """Daemons whose power is cut: one snapshot, one file."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.submit()
        for lasts_s in lives_s:
            async with scenario.environment.daemon(is_cut=True):
                await scenario.environment.clock.sleep(lasts_s)
        async with scenario.environment.daemon():
            job = await scenario.environment.ended(job)
        assert await scenario.landed_whole(job)
        assert len(scenario.api.snapshots) == 1
        assert len(await scenario.environment.service.jobs.artifacts(job.id)) == 1

    run_scenario(template, story)


# --- the whole list ---------------------------------------------------------------------------------------------------


def test_the_list_of_all_snapshots(template: Path) -> None:
    """Three pages, one file: every entry, once, in order."""

    async def story(scenario: Scenario) -> None:
        made = [scenario.api.make(f"message-{number}").token for number in range(620)]
        async with scenario.environment.daemon():
            job = await scenario.environment.run("snapshots")
        assert job.state is State.SUCCEEDED
        entries = json.loads(await scenario.environment.file_of(job))
        assert [entry["sharing_analytics_snapshot_token"] for entry in entries] == made
        assert scenario.asked() == ["list"]
        assert [asked.query["page"] for asked in scenario.api.requests] == ["1", "2", "3"]
        assert {asked.query["entries_per_page"] for asked in scenario.api.requests} == {"250"}

    run_scenario(template, story)


def test_an_empty_list(template: Path) -> None:
    """No snapshots are an empty list, and a success."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            job = await scenario.environment.run("snapshots")
        assert job.state is State.SUCCEEDED
        assert json.loads(await scenario.environment.file_of(job)) == []
        assert scenario.api.count("list") == 1

    run_scenario(template, story)


def test_the_list_of_one_user_and_identity(template: Path) -> None:
    """The filters go out as they were given."""

    async def story(scenario: Scenario) -> None:
        for number in range(10):
            scenario.api.make(f"message-{number}")
        publication = publications_of("message-0", 1)[0]
        async with scenario.environment.daemon():
            wanted = {"user_token": publication.user_token, "identity_token": publication.identity_token}
            job = await scenario.environment.run("snapshots", wanted)
        entries = json.loads(await scenario.environment.file_of(job))
        found = {entry["sharing_message"]["sharing_message_token"] for entry in entries}
        mine = {f"message-{n}" for n in range(10) if publications_of(f"message-{n}", 1)[0] == publication}
        assert found == mine
        assert 0 < len(mine) < 10

    run_scenario(template, story)


@pytest.mark.parametrize(
    "kind", [FaultKind.UNAVAILABLE, FaultKind.RESET_AFTER, FaultKind.MALFORMED, FaultKind.HTML, FaultKind.THROTTLE]
)
def test_a_page_that_fails(template: Path, kind: FaultKind) -> None:
    """The list is whole in the end, whichever page was in trouble."""

    async def story(scenario: Scenario) -> None:
        for number in range(620):
            scenario.api.make(f"message-{number}")
        scenario.api.faults.add("list", InjectedFault(FaultKind.NONE))
        scenario.api.faults.add("list", InjectedFault(kind), times=2)
        async with scenario.environment.daemon():
            job = await scenario.environment.run("snapshots")
        assert job.state is State.SUCCEEDED
        assert len(json.loads(await scenario.environment.file_of(job))) == 620

    run_scenario(template, story)


# --- deleting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clean", [True, False])
def test_the_remote_snapshot_is_deleted_where_the_account_asks_for_it(template: Path, *, clean: bool) -> None:
    """After the file has landed, with the confirmation that the API wants; else it is left where it is."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert scenario.api.snapshots[0].deleted is clean
        assert scenario.asked() == ["initiate", "snapshot", *(["delete"] if clean else [])]

    run_scenario(template, story, clean=clean)


def test_a_shared_snapshot_is_deleted_once(template: Path) -> None:
    """While another job of ours still needs it, it stays; the last one tidies up."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            first = await scenario.submit()
            await scenario.environment.clock.sleep(5)
            second = await scenario.submit()
            for job in (first, second):
                assert await scenario.landed_whole(await scenario.environment.ended(job))
        assert scenario.api.count("delete") == 1
        assert scenario.api.snapshots[0].deleted

    run_scenario(template, story, clean=True)


def test_a_deletion_that_fails(template: Path) -> None:
    """The file is there, so the job succeeds; the snapshot is tried to be deleted again."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("delete", InjectedFault(FaultKind.UNAVAILABLE), times=2)
        assert await scenario.landed_whole(await scenario.run())
        assert scenario.api.snapshots[0].deleted

    run_scenario(template, story, clean=True)


def test_a_job_that_is_cancelled(template: Path) -> None:
    """The pending snapshot goes with it, so that the message is free again."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            job = await scenario.submit()
            await scenario.environment.clock.sleep(60)
            await scenario.environment.service.cancel(job.id, actor=DAEMON)
            assert (await scenario.environment.ended(job)).state is State.CANCELLED
        assert scenario.api.snapshots[0].deleted

    run_scenario(template, story)
