"""ShareProgress's errors and odd replies, and parameters that are refused before a request is sent."""

from pathlib import Path
from typing import Any

import pytest

from tests.apis.shareprogress_api import KEY, NEW_PAGE, Scenario, run_scenario
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.shareprogress_variants import BooleanForm, CapitalsForm, MessageForm, ParamsKey
from tidewaiter.services import RequestError


@pytest.mark.slow
def test_a_bad_key_is_no_server_fault(template: Path) -> None:
    """HTTP 500 with "Bad API Key": the account waits for a person, its jobs wait unharmed, and nothing is in doubt."""

    async def story(scenario: Scenario) -> None:
        scenario.api.key = "another"
        async with scenario.environment.daemon():
            jobs = [
                await scenario.environment.submit("page_create", NEW_PAGE),
                await scenario.environment.submit("page_index"),
            ]
            await scenario.environment.clock.sleep(3600)
            assert scenario.asked() == ["page_update", "page_index"]
            scenario.api.key = KEY
            await scenario.environment.resume()
            ended = [await scenario.environment.ended(job) for job in jobs]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert {job.failures for job in ended} == {0}
        line = scenario.environment.events("account.refused")[0]
        assert line["level"] == "error"
        assert "the key is not valid: HTTP 500: Bad API Key" in str(line["reason"])
        assert scenario.titles().count("Reef") == 1

    run_scenario(template, story)


@pytest.mark.parametrize(
    ("operation", "params", "kind"),
    [
        ("page_read", {"id": 999}, "Pages"),
        ("button_analytics", {"id": 999}, "Buttons"),
        ("page_update", {"id": 999, "page_title": "x"}, "Pages"),
        ("button_delete", {"id": 999}, "Buttons"),
        ("wrapper_read", {"id": 999}, "Wrappers"),
        ("wrapper_delete", {"id": 999}, "Wrappers"),
    ],
)
def test_what_is_not_there(template: Path, operation: str, params: dict[str, Any], kind: str) -> None:
    """404: the job fails in the API's words after one request."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            job = await scenario.environment.run(operation, params)
        assert job.state is State.FAILED
        assert f"HTTP 404: Can't find that {kind}" in (job.reason or "")
        assert len(scenario.asked()) == 1

    run_scenario(template, story)


@pytest.mark.parametrize("form", list(MessageForm))
def test_what_the_api_refuses(template: Path, form: MessageForm) -> None:
    """200 with ``success: false``: the job fails with the complaints, whatever they look like, and nothing lands."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            job = await scenario.environment.run("page_create", {**NEW_PAGE, "page_url": "https://down.invalid/"})
        assert job.state is State.FAILED
        assert "could not be read" in (job.reason or "")
        assert (job.reason or "").startswith("HTTP 200: ")
        assert await scenario.environment.service.jobs.artifacts(job.id) == []
        assert scenario.asked() == ["page_update"]

    run_scenario(template, story, failure_message=form)


@pytest.mark.parametrize(
    "variants",
    [
        {"booleans": BooleanForm.ALL},
        {"booleans": BooleanForm.FIELDS},
        {"success_message": "saved"},
        {"success_message": ["saved"]},
        {"success_message": {"note": ["saved"]}},
        {"capital_totals": CapitalsForm.ALL, "visitors_as_text": False},
        {"single_tests": True, "analytics_time_key": "updated_at"},
        {"params_key": ParamsKey.CUSTOM},
        {"reply_s": 5.0, "scrape_s": 25.0},
        {"retry_after": True},
    ],
)
def test_every_variant_of_a_reply(template: Path, variants: dict[str, Any]) -> None:
    """However success is worded and however long it takes, each job succeeds by one request."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            jobs = [
                await scenario.environment.run("page_analytics", {"id": 10}),
                await scenario.environment.run("page_create", NEW_PAGE),
                await scenario.environment.run("page_index"),
            ]
        assert {job.state for job in jobs} == {State.SUCCEEDED}
        assert scenario.asked() == ["page_analytics", "page_update", "page_index"]

    run_scenario(template, story, **variants)


def test_a_failure_told_by_a_text(template: Path) -> None:
    """``"success": "false"`` is a failure, though the text is true."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            job = await scenario.environment.run("page_create", {**NEW_PAGE, "page_url": "https://down.invalid/"})
        assert job.state is State.FAILED

    run_scenario(template, story, booleans=BooleanForm.ALL)


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.HTML, FaultKind.MALFORMED, FaultKind.TRUNCATE, FaultKind.UNAVAILABLE, FaultKind.RESET_BEFORE,
        FaultKind.RESET_AFTER, FaultKind.WRONG_TYPE, FaultKind.LATENCY,
    ],
)  # fmt: skip
@pytest.mark.parametrize(("operation", "params"), [("page_analytics", {"id": 10}), ("page_index", {})])
def test_a_reading_that_goes_wrong(template: Path, kind: FaultKind, operation: str, params: dict[str, Any]) -> None:
    """A page of HTML, broken JSON, an outage (a 500, too) or a lost reply is read again, and what lands is whole."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add(operation, InjectedFault(kind, status=500, seconds=5))
        async with scenario.environment.daemon():
            job = await scenario.environment.run(operation, params)
        assert job.state is State.SUCCEEDED
        assert await scenario.landed(job)
        assert scenario.environment.events("account.refused") == []

    run_scenario(template, story)


def _variant(channel: str, **fields: str) -> dict[str, Any]:
    return {**NEW_PAGE, "variants": {channel: [{}, fields]}}


@pytest.mark.parametrize(
    ("operation", "params", "text"),
    [
        ("page_create", {}, "page_url"),
        ("page_create", {"page_url": "no url"}, "page_url"),
        ("page_create", _variant("facebook", facebook_title="x" * 101), "variants.facebook[1].facebook_title"),
        ("page_create", _variant("facebook", facebook_description="x" * 261), "variants.facebook[1].facebook_desc"),
        ("page_create", _variant("twitter", twitter_message="x"), "variants.twitter[1].twitter_message"),
        ("page_create", _variant("twitter", twitter_message="x" * 119 + "{LINK}"), "variants.twitter[1].twitter_me"),
        ("page_create", _variant("email", email_subject="x" * 101), "variants.email[1].email_subject"),
        ("page_create", _variant("email", email_body="x" * 744 + "{LINK}"), "variants.email[1].email_body"),
        ("page_create", _variant("email", email_body="x"), "variants.email[1].email_body"),
        ("page_create", _variant("fax", number="1"), "variants.fax"),
        ("page_create", {**NEW_PAGE, "advanced_options": {"prompt": "x" * 121}}, "advanced_options.prompt"),
        ("button_create", {**NEW_PAGE}, "button_template"),
        (
            "button_create",
            {**NEW_PAGE, "button_template": "sp_em_large", "advanced_options": {"prompt": "x"}},
            "prompt",
        ),
        ("wrapper_create", {"name": "x", "html": "<b></b>"}, "html"),
        ("wrapper_update", {"id": 10, "html": "{SHARE ACTION}"}, "html"),
        ("page_update", {"page_title": "x"}, "id"),
        ("page_read", {"id": "ten"}, "id"),
    ],
)
def test_fields_are_checked_before_anything_is_sent(
    template: Path, operation: str, params: dict[str, Any], text: str
) -> None:
    """The service checks the documented limits; the fault names its place, and no request is sent."""

    async def story(scenario: Scenario) -> None:
        with pytest.raises(RequestError) as raised:
            await scenario.environment.submit(operation, params)
        assert text in str(raised.value)
        assert scenario.asked() == []

    run_scenario(template, story)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("page_create", _variant("twitter", twitter_message="x" * 118 + "{LINK}")),
        ("page_create", _variant("email", email_body="x" * 743 + "{LINK}", email_subject="x" * 100)),
        ("page_create", _variant("facebook", facebook_title="x" * 100, facebook_description="x" * 260)),
        ("page_create", {**NEW_PAGE, "advanced_options": {"prompt": "x" * 120}}),
        ("wrapper_create", {"name": "x", "html": "{shareACTION}"}),
    ],
)
def test_fields_that_just_fit(template: Path, operation: str, params: dict[str, Any]) -> None:
    """What is as long as it may be is taken, by the API too: ``{LINK}`` counts as 22 in a tweet, as 7 in a mail."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            job = await scenario.environment.run(operation, params)
        assert job.state is State.SUCCEEDED

    run_scenario(template, story)
