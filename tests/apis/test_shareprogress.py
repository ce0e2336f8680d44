"""ShareProgress through the product, where all is well: every operation by its document, and what lands."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.apis.shareprogress_api import KEY, NEW_PAGE, PAGE_URL, Told, tell
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

    async def story(told: Told) -> None:
        async with told.stage.daemon():
            job = await told.stage.run(operation, params)
        assert (job.state, told.asked()) == (State.SUCCEEDED, [route])
        (asked,) = told.api.requests
        assert (asked.method, KEY in asked.path_qs, json.loads(asked.body)["key"]) == ("POST", False, KEY)
        (artifact,) = await told.stage.desk.jobs.artifacts(job.id)
        assert artifact.name == name
        envelope = await told.landed(job)
        assert envelope["success"] is True
        assert isinstance(envelope["response"], list)

    tell(template, story)


def test_what_a_save_does(template: Path) -> None:
    """A page is created with its variants and options, written into, and deleted; each reply lands."""

    async def story(told: Told) -> None:
        variants = {"twitter": [{"twitter_message": "One {LINK}"}, {"twitter_message": "Two {LINK}"}]}
        options = {"prompt": "Share!", "custom_params": {"prompt": "source", "e": "mail"}}
        async with told.stage.daemon():
            created = await told.stage.run(
                "page_create", {**NEW_PAGE, "variants": variants, "advanced_options": json.dumps(options)}
            )
            (row,) = (await told.landed(created))["response"]
            first = row["variants"]["twitter"][0]["id"]
            gone = {"twitter": [{"id": first, "_destroy": "true"}]}
            updated = await told.stage.run("page_update", {"id": row["id"], "variants": gone})
            (entry,) = (
                entry for entry in told.api.library.shared[ShareKind.PAGES].values() if entry.page_url == PAGE_URL
            )
            deleted = await told.stage.run("page_delete", {"id": row["id"]})
        assert {created.state, updated.state, deleted.state} == {State.SUCCEEDED}
        assert [variant["twitter_message"] for variant in entry.variants["twitter"]] == ["Two {LINK}"]
        assert entry.options["customize_params"] == {"param": "source", "e": "mail"}
        assert entry.options["prompt"] == "Share!"
        sent = json.loads(told.api.requests[0].body)["advanced_options"]
        assert "custom_params" not in sent
        assert "Reef" not in told.titles()

    tell(template, story)


@pytest.mark.parametrize(
    ("pages", "requests"),
    [(0, 1), (49, 1), (50, 2), (120, 3)],
)
def test_a_whole_index(template: Path, pages: int, requests: int) -> None:
    """All pages of the list become one file, from the newest."""

    async def story(told: Told) -> None:
        async with told.stage.daemon():
            job = await told.stage.run("page_index")
        rows = await told.landed(job)
        assert [row["id"] for row in rows] == list(range(9 + pages, 9, -1))
        assert told.asked() == ["page_index"] * requests
        assert KEY not in "".join(asked.path_qs for asked in told.api.requests)

    tell(template, story, pages=pages)


def test_the_other_indexes(template: Path) -> None:
    """Buttons, wrappers, and the pages that a search finds."""

    async def story(told: Told) -> None:
        async with told.stage.daemon():
            buttons = await told.stage.run("button_index")
            wrappers = await told.stage.run("wrapper_index")
            found = await told.stage.run("page_index", {"search": "petition-2"})
        assert [row["id"] for row in await told.landed(buttons)] == [11, 10]
        assert await told.landed(wrappers) == [{"id": 10, "name": "Default Wrapper", "default": True}]
        assert [row["id"] for row in await told.landed(found)] == [11]
        assert told.asked() == ["button_index", "wrapper_index", "page_index"]

    tell(template, story)
