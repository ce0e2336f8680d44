"""Copernica with a whole daemon: each row of its contract, each quirk, and what its documentation leaves open."""

import json
from pathlib import Path

import pytest

from tests.apis.copernica_scenario import (
    ACCESS_TOKEN,
    EITHER_FORM,
    OPERATION,
    WANTED,
    Scenario,
    run_scenario,
)
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.copernica import ExpiredForm, IdentifierPlace
from tidewaiter.emulators.copernica_login import LoginVariants, TokenForm
from tidewaiter.services import RequestError

pytestmark = pytest.mark.slow  # a simulated day for each; the strict servers have the quick tests


# --- the rows of the contract -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "of", "path"),
    [
        ("subprofile", "17", "/v4/subprofile/17/datarequest"),
        ("profile", "4", "/v4/profile/4/datarequest"),
        ("email", "jane+a@example.org", "/v4/email/jane%2Ba%40example.org/datarequest"),
    ],
)
def test_the_data_of_a_person(template: Path, kind: str, of: str, path: str) -> None:
    """One login, one order, polls, one download: the file is whole, and every request carries the session's token."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run(f"{kind}_data", id=of)
        assert await scenario.landed_whole(job)
        assert scenario.asked() == ["create", "status", "data"]
        assert scenario.api.requests[0].path_qs == path
        (token,) = scenario.login.issued
        assert all(asked.headers["Authorization"] == f"Bearer {token.jwt}" for asked in scenario.api.requests)
        (artifact,) = await scenario.environment.service.jobs.artifacts(job.id)
        assert artifact.name.startswith(f"{kind}_")
        assert artifact.name.endswith(".json")
        assert artifact.media_type == "application/json"
        assert json.loads(await scenario.environment.file_of(job))["info"]["type"] == kind
        assert scenario.api.count("create") == scenario.api.count("data") == job.submits == 1

    run_scenario(template, story)


def test_the_bare_form(template: Path) -> None:
    """Asked for by a setting: the one resource is polled until it is the file itself."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert scenario.asked() == ["create", "bare"]

    run_scenario(template, story, settings={"form": "bare"})


@pytest.mark.parametrize("text", ["Data not available (yet)", "Even geduld a.u.b.", "", "404"])
def test_a_text_in_place_of_the_data_is_pending(template: Path, text: str) -> None:
    """Whatever its wording."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert job.polls > 2

    run_scenario(template, story, settings={"form": "bare"}, pending_text=text)


@pytest.mark.parametrize("word", ["pending", "not available", " Not Available "])
def test_every_word_of_pending(template: Path, word: str) -> None:
    """Not ready, in either word and however it is written."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert job.polls > 2

    run_scenario(template, story, pending_word=word)


# --- the login --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", TokenForm)
@pytest.mark.parametrize("signed", [True, False])
def test_every_form_of_a_token(template: Path, form: TokenForm, *, signed: bool) -> None:
    """The whole body, a JSON string, a member of whatever name; signed or not is the API's business."""

    async def story(scenario: Scenario) -> None:
        assert await scenario.landed_whole(await scenario.run())
        assert len(scenario.login.issued) == 1

    run_scenario(template, story, login=LoginVariants(form=form, member="the_token", signed=signed))


@pytest.mark.slow
def test_a_token_is_renewed_ahead_of_its_end(template: Path) -> None:
    """Its own claims tell when it ends: a job that outlives three tokens meets no refusal."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert len(scenario.login.issued) >= 3
        assert all(
            scenario.login.holds(token.jwt) or token.expires_at > token.issued_at for token in scenario.login.issued
        )
        assert not scenario.environment.events("account.refused")
        assert job.failures == 0

    run_scenario(template, story, login=LoginVariants(lifetime_s=900), build_s=2700)


@pytest.mark.parametrize("refusal", [401, 400])
@pytest.mark.parametrize("route", ["create", "status", "data"])
def test_a_revoked_token(template: Path, refusal: int, route: str) -> None:
    """401, or a 400 that speaks of the token: one login, the request once more, and the job goes on unharmed."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add(route, InjectedFault(FaultKind.REVOKED))
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert len(scenario.login.issued) == 2
        assert (job.failures, job.submits, len(scenario.api.data_requests)) == (0, 1, 1)
        assert not scenario.environment.events("account.refused")

    run_scenario(template, story, token_refusal=refusal)


def test_two_jobs_share_one_login(template: Path) -> None:
    """Twenty jobs at once ask for one token."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            jobs = [await scenario.environment.submit(OPERATION, {"id": str(number)}) for number in range(1, 21)]
            ended = [await scenario.environment.ended(job) for job in jobs]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert scenario.login.count("login") == 1

    run_scenario(template, story)


@pytest.mark.parametrize("refusal", [401, 400, 200])
def test_a_refused_login(template: Path, refusal: int) -> None:
    """The account waits for a person, loudly; nothing is sent to the API; then the job goes on."""

    async def story(scenario: Scenario) -> None:
        scenario.login.access_token = "another"
        async with scenario.environment.daemon():
            job = await scenario.environment.submit(OPERATION, WANTED)
            await scenario.environment.clock.sleep(400)
            assert scenario.api.requests == []
            assert scenario.environment.events("account.refused")
            scenario.login.access_token = ACCESS_TOKEN
            await scenario.environment.resume()
            assert await scenario.landed_whole(await scenario.environment.ended(job))
        assert len(scenario.api.data_requests) == 1

    run_scenario(template, story, login=LoginVariants(refusal=refusal))


def test_a_login_host_that_is_down(template: Path) -> None:
    """Pages of HTML in place of a token: nothing is ordered, nothing is lost."""

    async def story(scenario: Scenario) -> None:
        scenario.login.faults.add("login", InjectedFault(FaultKind.UNAVAILABLE, status=502), times=3)
        scenario.login.faults.add("login", InjectedFault(FaultKind.HTML))
        scenario.login.faults.add("login", InjectedFault(FaultKind.RESET_AFTER))
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert len(scenario.api.data_requests) == 1

    run_scenario(template, story)


# --- what the documents leave open ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", IdentifierPlace)
@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("numbers", [True, False])
def test_every_place_of_an_identifier(template: Path, place: IdentifierPlace, *, absolute: bool, numbers: bool) -> None:
    """X-Created, X-location, Location, the body as text, as a JSON string or number, as a member."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert job.handle == scenario.api.data_requests[0].id

    run_scenario(template, story, identifier=place, absolute=absolute, numbers=numbers)


@EITHER_FORM
@pytest.mark.parametrize("missing", [404, 400])
def test_a_file_that_expires_before_it_is_fetched(template: Path, form: str, missing: int) -> None:
    """Gone after it was ready: ordered afresh, once, and that one lands."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            job = await scenario.environment.submit(OPERATION, WANTED)
            await scenario.environment.clock.sleep(61)
            scenario.api.data_requests[0].fate = InjectedFault(FaultKind.GONE)
            assert await scenario.landed_whole(await scenario.environment.ended(job))
        assert (await scenario.environment.job(job)).submits == len(scenario.api.data_requests) == 2

    run_scenario(template, story, settings={"form": form}, missing=missing, build_s=300)


@EITHER_FORM
def test_files_that_expire_at_once(template: Path, form: str) -> None:
    """The second one is gone as well: the job fails with the API's own words, after two orders and no more."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert job.state is State.FAILED
        assert "There is no data request with this ID" in (job.reason or "")
        assert len(scenario.api.data_requests) == 2

    run_scenario(template, story, settings={"form": form}, keep_s=0)


def test_data_that_are_missing_for_a_moment(template: Path) -> None:
    """404 at the place of the file although the status says available: asked again, and landed."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("data", InjectedFault(FaultKind.GONE), times=3)
        job = await scenario.run()
        assert await scenario.landed_whole(job)
        assert len(scenario.api.data_requests) == 1

    run_scenario(template, story)


def test_not_available_for_good(template: Path) -> None:
    """A request that goes back to "not available" is waited for until the deadline, and then told as it is."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert job.state is State.EXPIRED
        assert job.remote_status == "not available"
        assert len(scenario.api.data_requests) == 1

    run_scenario(template, story, deadline_s=900, keep_s=0, over=ExpiredForm.NOT_AVAILABLE)


@pytest.mark.parametrize("form", ["status", "bare"])
def test_calls_that_have_moved(template: Path, form: str) -> None:
    """A 301 for a GET is followed, with the session's token, because it stays on the API's origin."""

    async def story(scenario: Scenario) -> None:
        assert await scenario.landed_whole(await scenario.run())

    run_scenario(template, story, settings={"form": form}, moved=("status", "data", "bare"))


def test_an_order_that_has_moved(template: Path) -> None:
    """A POST is not sent elsewhere: the job fails with a sentence that says what to change, and nothing was ordered."""

    async def story(scenario: Scenario) -> None:
        job = await scenario.run()
        assert job.state is State.FAILED
        assert "base_url" in (job.reason or "")
        assert scenario.api.data_requests == []

    run_scenario(template, story, moved=("create",))


@pytest.mark.parametrize("wrong", ["17/../1", "jane", "", "1 2", "9" * 19])
def test_what_is_no_identifier_is_not_sent(template: Path, wrong: str) -> None:
    """Checked before anything goes out."""

    async def story(scenario: Scenario) -> None:
        with pytest.raises(RequestError, match=r"^id: "):
            await scenario.environment.submit(OPERATION, {"id": wrong})

    run_scenario(template, story)


# --- reports, and very large files ------------------------------------------------------------------------------------


def test_a_report_by_mail(template: Path) -> None:
    """A mailbox of the account's is told as well; the file lands all the same."""

    async def story(scenario: Scenario) -> None:
        assert await scenario.landed_whole(await scenario.run())
        assert [mail.address for mail in scenario.api.mails()] == ["privacy@example.com"]

    run_scenario(template, story, settings={"report": "mail", "report_to": "privacy@example.com"})


@EITHER_FORM
def test_a_file_that_no_memory_should_hold(template: Path, form: str) -> None:
    """Above what is read of a reply the bare form is fetched again as a stream, and lands as whole as the other."""

    async def story(scenario: Scenario) -> None:
        assert await scenario.landed_whole(await scenario.run())
        assert scenario.api.data_requests[0].id

    run_scenario(template, story, settings={"form": form}, mime_bytes=20_000_000)
