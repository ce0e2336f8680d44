"""ShareProgress when all is well: every object with every method, as its document has them."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.emulators.manual_clock import ManualClock
from tests.emulators.shareprogress_client import KEY, Caller
from tidewaiter.emulators.shareprogress import ShareProgressEmulator
from tidewaiter.emulators.shareprogress_library import TEMPLATES, ShareKind

URL = "https://example.org/save-the-reef"


@pytest.fixture
async def api(clock: ManualClock) -> AsyncIterator[ShareProgressEmulator]:
    """A running API with three pages, two buttons and one wrapper."""
    async with ShareProgressEmulator(clock=clock, key=KEY) as running:
        yield running


@pytest.fixture
def caller(client: aiohttp.ClientSession, api: ShareProgressEmulator) -> Caller:
    """Whoever asks that API."""
    return Caller(client, api)


async def test_a_page_from_creation_to_deletion(api: ShareProgressEmulator, caller: Caller) -> None:
    """Create without an id, read, write with it, find it in the index, delete it: each changes what the others tell."""
    created = (await caller.post("pages/update", page_url=URL, page_title="Reef")).row
    assert (created["id"], created["page_url"], created["page_title"]) == (13, URL, "Reef")
    assert (created["share_page_url"], created["found_snippet"], created["wrapper_id"]) == (
        "http://shpg.org/1/13",
        True,
        10,
    )
    assert (await caller.post("pages/read", id=13)).row == created
    changed = (await caller.post("pages/update", id="13", page_title="Coral")).row
    assert (changed["id"], changed["page_title"], changed["page_url"]) == (13, "Coral", URL)
    assert [row["id"] for row in (await caller.get("pages")).rows] == [13, 12, 11, 10]
    assert (await caller.post("pages/delete", id=13)).row == {
        "id": 13,
        "page_url": URL,
        "page_title": "Coral",
        "share_page_url": "http://shpg.org/1/13",
        "is_active": False,
    }
    assert [row["id"] for row in (await caller.get("pages")).rows] == [12, 11, 10]
    assert (await caller.get("pages/read", id="13")).status == 404
    assert (api.count("page_update"), api.count("page_index"), api.count("page_delete")) == (2, 2, 1)


async def test_a_button(caller: Caller) -> None:
    """A button has a template and a tag where a page has an address, and an index of its own."""
    created = (await caller.post("buttons/update", page_url=URL, button_template="sp_em_large")).row
    assert created["share_button_html"] == f"<div class='sp_{created['id']} sp_em_large' ></div>"
    assert "share_page_url" not in created
    assert "wrapper_id" not in created
    assert [row["id"] for row in (await caller.get("buttons")).rows] == [12, 11, 10]
    assert sorted((await caller.get("buttons")).rows[0]) == [
        "button_template",
        "id",
        "is_active",
        "page_title",
        "page_url",
        "share_button_html",
    ]
    for template in sorted(TEMPLATES):
        saved = await caller.post("buttons/update", id=created["id"], button_template=template)
        assert saved.row["button_template"] == template
    assert (await caller.post("buttons/delete", id=created["id"])).row["id"] == created["id"]
    assert (await caller.post("buttons/read", id=created["id"])).status == 404


async def test_every_creation_makes_a_page(api: ShareProgressEmulator, caller: Caller) -> None:
    """The same page asked for twice is two pages: whoever repeats a save blindly is found out."""
    for _ in range(2):
        await caller.post("pages/update", page_url=URL, page_title="Reef")
    assert [entry.page_title for entry in api.library.shared[ShareKind.PAGES].values()].count("Reef") == 2


async def test_a_wrapper(caller: Caller) -> None:
    """Wrappers are created, read, made the default, listed and deleted; their replies tell less than those of pages."""
    created = (await caller.post("wrappers/update", name="Christmas", html="<b>{ShareAction}</b>", default="true")).row
    assert created == {"id": 11, "name": "Christmas"}
    assert (await caller.get("wrappers/read", id="11")).row == {
        "id": 11,
        "name": "Christmas",
        "default": True,
        "html": "<b>{ShareAction}</b>",
    }
    assert (await caller.post("wrappers/update", id=11, name="Easter")).row == {"id": 11, "name": "Easter"}
    assert (await caller.post("wrappers")).rows == [
        {"id": 10, "name": "Default Wrapper", "default": False},
        {"id": 11, "name": "Easter", "default": True},
    ]
    assert (await caller.post("pages/update", page_url=URL)).row["wrapper_id"] == 11
    assert (await caller.get("wrappers/delete", id="10")).row == {"id": 10}
    assert (await caller.post("wrappers/delete", id=11)).row == {"id": 11}
    assert (await caller.get("wrappers")).rows == []


async def test_the_account(caller: Caller) -> None:
    """The members of the document's sample, either way of asking."""
    told = (await caller.get("account")).row
    assert (told["plan"], told["share_budget"], told["monthly_cost"]) == ("basic", 1250, "50")
    assert (await caller.post("account")).row == told


async def test_the_index_in_parts(clock: ManualClock, client: aiohttp.ClientSession) -> None:
    """Fifty unless told, from the newest; limit and offset may be texts; an offset past the end finds nothing."""
    async with ShareProgressEmulator(clock=clock, key=KEY, pages=120) as api:
        caller = Caller(client, api)
        assert [row["id"] for row in (await caller.get("pages")).rows] == list(range(129, 79, -1))
        assert [row["id"] for row in (await caller.post("pages", limit="10", offset="10")).rows] == [
            *range(119, 109, -1)
        ]
        assert len((await caller.get("pages", limit="100", offset="100")).rows) == 20
        assert (await caller.get("pages", offset="120")).rows == []


async def test_the_index_by_a_word(caller: Caller) -> None:
    """A search looks at titles and addresses, in any case."""
    await caller.post("pages/update", page_url=URL, page_title="Coral")
    for search, found in (("CORAL", 1), ("the-reef", 1), ("petition", 3), ("petition-2", 1), ("whale", 0)):
        assert len((await caller.get("pages", search=search)).rows) == found


async def test_variants_are_filled_from_the_page(caller: Caller) -> None:
    """Each channel has one variant with scraped texts; with ``auto_fill`` off they stay blank."""
    filled = (await caller.post("pages/update", page_url=URL)).row
    (facebook,), (email,), (twitter,) = (filled["variants"][channel] for channel in ("facebook", "email", "twitter"))
    assert facebook["facebook_title"] == filled["page_title"] == "The page save-the-reef"
    assert "{LINK}" in email["email_body"]
    assert "{LINK}" in twitter["twitter_message"]
    assert filled["is_active"] is False
    blank = (await caller.post("pages/update", page_url=URL, auto_fill="false")).row
    assert blank["variants"]["twitter"] == [{"id": twitter["id"] + 3, "twitter_message": None}]


async def test_variants_are_written_added_and_destroyed(caller: Caller, clock: ManualClock) -> None:
    """With an id a variant is written, without one it is added, with ``_destroy`` it goes; two make a test."""
    message = "Look {LINK}"
    page = (await caller.post("pages/update", page_url=URL, variants={"twitter": [{"twitter_message": message}]})).row
    (first,) = page["variants"]["twitter"]
    assert first["twitter_message"] == message
    variants = {"twitter": [{"id": str(first["id"]), "twitter_message": "See {LINK}"}, {"twitter_message": message}]}
    page = (await caller.post("pages/update", id=page["id"], variants=variants)).row
    assert [variant["twitter_message"] for variant in page["variants"]["twitter"]] == ["See {LINK}", message]
    clock.at += 1
    assert (await caller.post("pages/read", id=page["id"])).row["is_active"] is True
    gone = {"twitter": [{"id": first["id"], "_destroy": True}]}
    page = (await caller.post("pages/update", id=page["id"], variants=gone)).row
    assert [variant["twitter_message"] for variant in page["variants"]["twitter"]] == [message]


async def test_options(caller: Caller) -> None:
    """Options are kept; both spellings of the channel parameters are understood, and the one is told."""
    for name in ("customize_params", "custom_params"):
        options = {"prompt": "Share!", name: {"param": "source", "e": "email"}}
        page = (await caller.post("pages/update", page_url=URL, advanced_options=options)).row
        assert page["advanced_options"] == {
            "automatic_traffic_routing": "true",
            "buttons_optimize_actions": None,
            "customize_params": {"param": "source", "e": "email"},
            "id_pass": {"id": "id", "passed": "referrer_id"},
            "prompt": "Share!",
        }


async def test_the_key_in_query_body_or_form(api: ShareProgressEmulator, client: aiohttp.ClientSession) -> None:
    """The key is found in the query, in a JSON body (of a GET, too) and in a form, with or without the version."""
    for url in (f"{api.base_url}/account", f"{api.origin}/api/account"):
        async with client.get(url, params={"key": KEY}) as reply:
            assert reply.status == 200
        async with client.get(url, json={"key": KEY}) as reply:
            assert reply.status == 200
        async with client.post(url, json={"key": KEY}) as reply:
            assert reply.status == 200
        async with client.post(url, data={"key": KEY}) as reply:
            assert reply.status == 200
        async with client.post(url, params={"key": KEY}, data=b"anything") as reply:
            assert reply.status == 200


async def test_a_form_with_variants(caller: Caller, client: aiohttp.ClientSession) -> None:
    """A form names members of members in brackets, as public clients send them."""
    form = [
        ("page_url", URL),
        ("button_template", "sp_tw_small"),
        ("variants[twitter][][twitter_message]", "One {LINK}"),
        ("variants[twitter][][twitter_message]", "Two {LINK}"),
    ]
    async with client.post(f"{caller.api.base_url}/buttons/update?key={KEY}", data=form) as reply:
        saved = json.loads(await reply.text())["response"][0]
    assert [variant["twitter_message"] for variant in saved["variants"]["twitter"]] == ["One {LINK}", "Two {LINK}"]


async def test_a_save_takes_seconds(caller: Caller, clock: ManualClock) -> None:
    """It reads the page first: two seconds, where everything else is answered at once."""
    await caller.get("pages")
    await caller.post("pages/update", page_url=URL)
    assert clock.slept == [2]


async def test_analytics(caller: Caller) -> None:
    """A page under test: numbers by generation and channel, the channel under test alone, visitors as a text."""
    told = (await caller.post("pages/analytics", id=10)).row
    assert sorted(told) == ["generations", "id", "share_tests", "share_types", "total"]
    assert sorted(told["share_types"]) == ["dark_social", "email", "facebook", "twitter"]
    assert sorted(told["share_types"]["email"]) == ["shares", "viral_actions", "viral_visits"]
    assert list(told["share_tests"]) == ["facebook"]
    assert [test["winner"] for test in told["share_tests"]["facebook"]] == [False, True]
    assert sorted(told["total"]) == ["total_shares", "total_viral_actions", "total_viral_visitors", "total_visitors"]
    assert isinstance(told["total"]["total_visitors"], str)
    assert (await caller.get("pages/analytics", id="11")).row["share_tests"] == {}


async def test_analytics_of_a_button(caller: Caller) -> None:
    """A button has no viral actions, and its totals begin with a capital, as in the document's sample."""
    told = (await caller.get("buttons/analytics", id="10")).row
    assert sorted(told["share_types"]["email"]) == ["shares", "viral_visits"]
    assert sorted(told["total"]) == ["Total_shares", "Total_viral_visitors", "Total_visitors"]


async def test_analytics_are_refreshed_every_five_minutes_at_most(caller: Caller, clock: ManualClock) -> None:
    """Within five minutes of an answer the numbers stand still; then they move, each object by itself."""
    first = await caller.get("pages/analytics", id="10")
    clock.at += 299
    assert (await caller.get("pages/analytics", id="10")).text == first.text
    other = await caller.get("pages/analytics", id="11")
    clock.at += 1
    assert (await caller.get("pages/analytics", id="10")).row["total"] != first.row["total"]
    assert (await caller.get("pages/analytics", id="11")).text == other.text


@pytest.mark.parametrize("kind", ["pages", "buttons", "wrappers"])
@pytest.mark.parametrize("method", ["read", "analytics", "update", "delete"])
async def test_what_is_not_there(caller: Caller, kind: str, method: str) -> None:
    """404 in the recorded words, for an id that is unknown, missing (a save would create) or no number."""
    if kind == "wrappers" and method == "analytics":
        kind = "methods"  # there are none of wrappers
    for fields in ({"id": 999}, {"id": "x"}, {}) if method != "update" else ({"id": 999}, {"id": "x"}):
        answer = await caller.post(f"{kind}/{method}", **fields)
        assert (answer.status, answer.envelope) == (404, _not_found(kind))


async def test_methods_that_want_a_post(api: ShareProgressEmulator, caller: Caller) -> None:
    """Nothing is saved or deleted by a GET, but for wrappers."""
    for path in ("pages/update", "pages/delete", "buttons/update", "buttons/delete", "wrappers/update"):
        answer = await caller.get(path, id="10", page_title="x")
        assert (answer.status, answer.envelope) == (404, _not_found("methods"))
    assert api.count("unknown") == 5


def _not_found(kind: str) -> dict[str, object]:
    return {"success": False, "message": f"Can't find that {kind.capitalize()}", "response": []}


async def test_the_shape_of_a_reply(api: ShareProgressEmulator, client: aiohttp.ClientSession) -> None:
    """Envelope, type and rate headers in the recorded spelling, byte for byte."""
    async with client.get(f"{api.base_url}/wrappers", params={"key": KEY}) as reply:
        assert await reply.json() == {
            "success": True,
            "response": [{"id": 10, "name": "Default Wrapper", "default": True}],
            "message": None,
        }
        names = [name.decode() for name, _ in reply.raw_headers]
        assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert names[:3] == ["X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"]
