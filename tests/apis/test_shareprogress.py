"""ShareProgress with a whole daemon, without faults: each documented operation, and what lands."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.apis.shareprogress_api import KEY, NEW_PAGE, PAGE_URL, Scenario, run_scenario
from tidewaiter.domain.job import State
from tidewaiter.emulators.shareprogress_library import ShareKind

_WRAPPER = "<main>{ShareAction}</main>"


@pytest.mark.parametrize(
    ("operation", "params", "route", "name"),
    [
        ("page_analytics", {"id": 10}, "page_analytics", "page-10-analytics.json"),
        ("button_analytics", {"id": 10}, "button_analytics", "button-10-analytics.json"),
        ("page_read", {"id": "11"}, "page_read", "page-11.json"),
        ("button_read", {"id": 10}, "button_read", "button-10.json"),
        ("page_create", NEW_PAGE, "page_update", "new-page.json"),
        ("button_create", {**NEW_PAGE, "button_template": "SP_TW_small"}, "button_update", "new-button.json"),
        ("page_update", {"id": 10, "page_title": "Reef"}, "page_update", "page-10.json"),
        ("button_update", {"id": 10, "button_template": "sp_em_large"}, "button_update", "button-10.json"),
        ("page_delete", {"id": 10}, "page_delete", "deleted-page-10.json"),
        ("button_delete", {"id": 10}, "button_delete", "deleted-button-10.json"),
        ("wrapper_read", {"id": 10}, "wrapper_read", "wrapper-10.json"),
        ("wrapper_create", {"name": "Plain", "html": _WRAPPER}, "wrapper_update", "new-wrapper.json"),
        ("wrapper_update", {"id": 10, "name": "Plain", "default": True}, "wrapper_update", "wrapper-10.json"),
        ("wrapper_delete", {"id": 10}, "wrapper_delete", "deleted-wrapper-10.json"),
        ("account", {}, "account", "account.json"),
    ],
)
def test_what_is_answered_at_once(
    template: Path, operation: str, params: dict[str, Any], route: str, name: str
) -> None:
    """One request, by POST and with the key in its body; the file is the envelope, as it came."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            job = await scenario.environment.run(operation, params)
        assert (job.state, scenario.asked()) == (State.SUCCEEDED, [route])
        (asked,) = scenario.api.requests
        assert (asked.method, KEY in asked.path_qs, json.loads(asked.body)["key"]) == ("POST", False, KEY)
        (artifact,) = await scenario.environment.service.jobs.artifacts(job.id)
        assert artifact.name == name
        envelope = await scenario.landed(job)
        assert envelope["success"] is True
        assert isinstance(envelope["response"], list)

    run_scenario(template, story)


def test_what_a_save_does(template: Path) -> None:
    """A page is created with its variants and options, written into, and deleted; each reply lands."""

    async def story(scenario: Scenario) -> None:
        variants = {"twitter": [{"twitter_message": "One {LINK}"}, {"twitter_message": "Two {LINK}"}]}
        options = {"prompt": "Share!", "custom_params": {"prompt": "source", "e": "mail"}}
        async with scenario.environment.daemon():
            created = await scenario.environment.run(
                "page_create", {**NEW_PAGE, "variants": variants, "advanced_options": json.dumps(options)}
            )
            (row,) = (await scenario.landed(created))["response"]
            first = row["variants"]["twitter"][0]["id"]
            gone = {"twitter": [{"id": first, "_destroy": "true"}]}
            updated = await scenario.environment.run("page_update", {"id": row["id"], "variants": gone})
            (entry,) = (
                entry for entry in scenario.api.library.shared[ShareKind.PAGES].values() if entry.page_url == PAGE_URL
            )
            deleted = await scenario.environment.run("page_delete", {"id": row["id"]})
        assert {created.state, updated.state, deleted.state} == {State.SUCCEEDED}
        assert [variant["twitter_message"] for variant in entry.variants["twitter"]] == ["Two {LINK}"]
        assert entry.options["customize_params"] == {"param": "source", "e": "mail"}
        assert entry.options["prompt"] == "Share!"
        sent = json.loads(scenario.api.requests[0].body)["advanced_options"]
        assert "custom_params" not in sent
        assert "Reef" not in scenario.titles()

    run_scenario(template, story)


@pytest.mark.parametrize(
    ("pages", "requests"),
    [(0, 1), (49, 1), (50, 2), (120, 3)],
)
def test_a_whole_index(template: Path, pages: int, requests: int) -> None:
    """All pages of the list become one file, from the newest."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            job = await scenario.environment.run("page_index")
        rows = await scenario.landed(job)
        assert [row["id"] for row in rows] == list(range(9 + pages, 9, -1))
        assert scenario.asked() == ["page_index"] * requests
        assert KEY not in "".join(asked.path_qs for asked in scenario.api.requests)

    run_scenario(template, story, pages=pages)


def test_the_other_indexes(template: Path) -> None:
    """Buttons, wrappers, and the pages that a search finds."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            buttons = await scenario.environment.run("button_index")
            wrappers = await scenario.environment.run("wrapper_index")
            found = await scenario.environment.run("page_index", {"search": "petition-2"})
        assert [row["id"] for row in await scenario.landed(buttons)] == [11, 10]
        assert await scenario.landed(wrappers) == [{"id": 10, "name": "Default Wrapper", "default": True}]
        assert [row["id"] for row in await scenario.landed(found)] == [11]
        assert scenario.asked() == ["button_index", "wrapper_index", "page_index"]

    run_scenario(template, story)
