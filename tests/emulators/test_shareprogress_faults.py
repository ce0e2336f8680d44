"""ShareProgress when something is wrong: the limit, the key, refused fields, and every variant that is left open."""

from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from tests.emulators.manual_clock import ManualClock
from tests.emulators.shareprogress_client import KEY, Answer, Caller
from tidewaiter.emulators.controls import FaultKind, InjectedFault, RetryAfter
from tidewaiter.emulators.shareprogress import ShareProgressEmulator
from tidewaiter.emulators.shareprogress_library import ShareKind
from tidewaiter.emulators.shareprogress_variants import (
    BooleanForm,
    CapitalsForm,
    MessageForm,
    ParamsKey,
    ShareProgressVariants,
)

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


def _rates(answer: Answer) -> tuple[int, int, int]:
    limit, remaining, reset = (int(answer.headers[f"X-Ratelimit-{name}"]) for name in ("Limit", "Remaining", "Reset"))
    return limit, remaining, reset


async def test_the_limit_is_counted_progressively(caller: Caller, clock: ManualClock) -> None:
    """Thirty in a minute; each leaves the count a minute after it was made, and every two seconds there is room."""
    start = clock.at
    for number in range(30):
        clock.at = start + number
        assert _rates(await caller.get("account")) == (30, 29 - number, start)  # oldest + 60, told by a clock 60 behind
    clock.at = start + 59
    refused = await caller.get("account")
    assert (refused.status, refused.envelope["success"], "rate limit" in refused.envelope["message"]) == (
        429,
        False,
        True,
    )
    assert "Retry-After" not in refused.headers
    assert _rates(refused) == (30, 0, start)
    clock.at = start + 60
    assert _rates(await caller.get("account")) == (30, 0, start + 1)
    assert (await caller.get("account")).status == 429


async def test_reset_less_date_is_the_wait(caller: Caller, clock: ManualClock) -> None:
    """Both stand on the server's clock, a minute behind: their difference is right, Reset alone is in the past."""
    for _ in range(30):
        await caller.get("account")
    clock.at += 12
    refused = await caller.get("account")
    _, _, reset = _rates(refused)
    assert reset - parsedate_to_datetime(refused.headers["Date"]).timestamp() == 48
    assert reset < clock.at


async def test_what_counts(caller: Caller, client: aiohttp.ClientSession) -> None:
    """What is not there counts, and a save that fails; a bad key does not, and neither does what was refused."""
    await caller.get("pages/read", id="999")
    await caller.get("nonsense")
    await caller.post("pages/update", page_url="")
    async with client.get(f"{caller.api.base_url}/account", params={"key": "other"}) as reply:
        assert not [name for name in reply.headers if name.lower().startswith("x-ratelimit")]
    assert _rates(await caller.get("account"))[1] == 26


async def test_a_bad_key(caller: Caller, api: ShareProgressEmulator) -> None:
    """HTTP 500 in the recorded words, though nothing is wrong with the server; nothing is saved."""
    for key in ("other", "", None):
        answer = await caller.post("pages/update", key=key, page_url=URL)
        assert (answer.status, answer.envelope) == (
            500,
            {"success": False, "message": "Bad API Key", "response": []},
        )
    assert len(api.library.shared[ShareKind.PAGES]) == 3
    api.faults.add("account", InjectedFault(FaultKind.UNAUTHORIZED))
    assert (await caller.get("account")).envelope["message"] == "Bad API Key"
    assert (await caller.get("account")).status == 200


async def test_a_revoked_key(caller: Caller, api: ShareProgressEmulator) -> None:
    """From the request that it is told on the key is bad, for all that follow."""
    api.faults.add("account", InjectedFault(FaultKind.REVOKED))
    assert [(await caller.get(path)).status for path in ("pages", "account", "pages")] == [200, 500, 500]


async def test_a_broken_body(api: ShareProgressEmulator, client: aiohttp.ClientSession) -> None:
    """JSON that breaks off, or is no object, is 400 and a page."""
    for body in (b'{"key": ', b"[]"):
        headers = {"Content-Type": "application/json"}
        async with client.post(f"{api.base_url}/account", data=body, headers=headers) as reply:
            assert (reply.status, reply.content_type) == (400, "text/html")


async def test_the_reply_to_a_save_is_lost(caller: Caller, api: ShareProgressEmulator) -> None:
    """The connection breaks after the save: the page is there, once, and the index tells of it."""
    api.faults.add("page_update", InjectedFault(FaultKind.RESET_AFTER))
    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.post("pages/update", page_url=URL, page_title="Reef")
    found = (await caller.get("pages", search="Reef")).rows
    assert [(row["page_url"], row["page_title"]) for row in found] == [(URL, "Reef")]


async def test_a_save_that_never_came(caller: Caller, api: ShareProgressEmulator) -> None:
    """The connection breaks before the save was read: there is no page."""
    api.faults.add("page_update", InjectedFault(FaultKind.RESET_BEFORE))
    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.post("pages/update", page_url=URL, page_title="Reef")
    assert len(api.library.shared[ShareKind.PAGES]) == 3


async def test_faults_are_worded_by_the_api(caller: Caller, api: ShareProgressEmulator) -> None:
    """What is told: gone, failed with a message, throttled with a date by the server's clock, forbidden, down."""
    api.faults.add("button_read", InjectedFault(FaultKind.GONE))
    api.faults.add("button_read", InjectedFault(FaultKind.ERROR_STATUS, text="Try again"))
    api.faults.add("button_read", InjectedFault(FaultKind.THROTTLE, seconds=7, retry_after=RetryAfter.SECONDS))
    api.faults.add("button_read", InjectedFault(FaultKind.FORBIDDEN))
    api.faults.add("button_read", InjectedFault(FaultKind.UNAVAILABLE, status=500))
    answers = [await caller.get("buttons/read", id="10") for _ in range(6)]
    assert [answer.status for answer in answers] == [404, 200, 429, 403, 500, 200]
    assert answers[0].envelope["message"] == "Can't find that Buttons"
    assert answers[1].envelope == {"success": False, "message": "Try again", "response": []}
    assert (_rates(answers[2])[:2], answers[2].headers["Retry-After"]) == ((30, 0), "7")
    assert "<html>" in answers[4].text


@pytest.mark.parametrize(
    ("path", "fields", "message"),
    [
        (
            "buttons/update",
            {"page_url": "", "button_template": ""},
            {"page_url": ["can't be blank"], "button_template": ["is invalid"]},
        ),
        ("pages/update", {}, {"page_url": ["can't be blank"]}),
        ("pages/update", {"page_url": "not a url"}, {"page_url": ["could not be read"]}),
        ("pages/update", {"page_url": "http://[::1"}, {"page_url": ["could not be read"]}),
        ("pages/update", {"page_url": "https://down.invalid/"}, {"page_url": ["could not be read"]}),
        ("pages/update", {"page_url": URL, "wrapper_id": 99}, {"wrapper_id": ["is invalid"]}),
        (
            "pages/update",
            {"page_url": URL, "advanced_options": {"prompt": "x" * 121}},
            {"advanced_options": ["prompt is longer than 120 characters"]},
        ),
        ("wrappers/update", {"name": "x", "html": "<b></b>"}, {"html": ["must include {SHAREACTION}"]}),
        ("wrappers/update", {"html": "{SHAREACTION}"}, {"name": ["can't be blank"]}),
    ],
)
async def test_refused_fields(
    caller: Caller, api: ShareProgressEmulator, path: str, fields: dict[str, Any], message: object
) -> None:
    """200 that is a failure: every complaint under its field, the object without an id, and nothing saved."""
    answer = await caller.post(path, **fields)
    assert (answer.status, answer.envelope["success"], answer.envelope["message"]) == (200, False, message)
    assert [row["id"] for row in answer.envelope["response"]] == [None]
    assert [len(shared) for shared in api.library.shared.values()] == [3, 2]
    assert len(api.library.wrappers) == 1


@pytest.mark.parametrize(
    ("channel", "variant", "complaints"),
    [
        ("facebook", {"facebook_title": "x" * 101}, ["facebook_title is longer than 100 characters"]),
        ("facebook", {"facebook_description": "x" * 261}, ["facebook_description is longer than 260 characters"]),
        ("twitter", {"twitter_message": "x"}, ["twitter_message needs a {LINK} tag"]),
        ("twitter", {"twitter_message": "x" * 119 + "{LINK}"}, ["twitter_message is longer than 140 characters"]),
        ("email", {"email_subject": "x" * 101}, ["email_subject is longer than 100 characters"]),
        ("email", {"email_body": "x" * 744 + "{LINK}"}, ["email_body is longer than 750 characters"]),
        (
            "email",
            {"email_body": "x" * 751},
            ["email_body is longer than 750 characters", "email_body needs a {LINK} tag"],
        ),
        ("email", {"id": 999}, ["id is invalid"]),
    ],
)
async def test_refused_variants(
    caller: Caller, channel: str, variant: dict[str, object], complaints: list[str]
) -> None:
    """A list of complaints for each bad variant; the page stays what it was."""
    before = (await caller.get("pages/read", id="10")).row
    answer = await caller.post("pages/update", id=10, page_title="New", variants={channel: [variant]})
    assert answer.envelope == {"success": False, "response": [before], "message": {"variants": [complaints]}}
    assert (await caller.get("pages/read", id="10")).row == before


@pytest.mark.parametrize(
    ("channel", "variant"),
    [
        ("twitter", {"twitter_message": "x" * 118 + "{LINK}"}),
        ("email", {"email_body": "x" * 743 + "{LINK}"}),
        ("facebook", {"facebook_title": "x" * 100, "facebook_description": "x" * 260}),
    ],
)
async def test_variants_that_just_fit(caller: Caller, channel: str, variant: dict[str, object]) -> None:
    """``{LINK}`` counts as 22 in a tweet and as 7 in a mail."""
    assert (await caller.post("pages/update", id=10, variants={channel: [variant]})).row["id"] == 10


async def _varied(client: aiohttp.ClientSession, api: ShareProgressEmulator, **members: object) -> Caller:
    async with client.patch(f"{api.origin}/_control/variants", json=members) as reply:
        assert reply.status == 200
    return Caller(client, api)


@pytest.mark.parametrize("message", ["saved", [], ["saved"], {}, {"note": ["saved"]}, None])
async def test_messages_of_success(client: aiohttp.ClientSession, api: ShareProgressEmulator, message: object) -> None:
    """Nothing, a text, a list or an object may stand beside a success."""
    caller = await _varied(client, api, success_message=message)
    assert (await caller.get("account")).envelope["message"] == message
    assert (await caller.get("account")).envelope["success"] is True


async def test_messages_of_failure(client: aiohttp.ClientSession, api: ShareProgressEmulator) -> None:
    """What the records have as an object may come as a list or as a text."""
    said = {}
    for form in MessageForm:
        caller = await _varied(client, api, failure_message=form)
        said[form] = (await caller.post("buttons/update", page_url="", button_template="")).envelope["message"]
    assert said == {
        MessageForm.OBJECT: {"page_url": ["can't be blank"], "button_template": ["is invalid"]},
        MessageForm.LIST: ["page_url can't be blank", "button_template is invalid"],
        MessageForm.TEXT: "page_url can't be blank; button_template is invalid",
    }


async def test_booleans_as_texts(client: aiohttp.ClientSession, api: ShareProgressEmulator) -> None:
    """Those of the objects, or all of them, success included."""
    caller = await _varied(client, api, booleans=BooleanForm.FIELDS)
    told = (await caller.get("wrappers")).envelope
    assert (told["success"], told["response"][0]["default"]) == (True, "true")
    caller = await _varied(client, api, booleans=BooleanForm.ALL)
    told = (await caller.get("pages")).envelope
    assert (told["success"], told["response"][0]["is_active"]) == ("true", "false")
    assert (await caller.get("pages/read", id="999")).envelope["success"] == "false"


async def test_totals(client: aiohttp.ClientSession, api: ShareProgressEmulator) -> None:
    """Capitals on all totals or on none, and visitors as a number."""
    caller = await _varied(client, api, capital_totals=CapitalsForm.ALL, visitors_as_text=False)
    assert isinstance((await caller.get("pages/analytics", id="10")).row["total"]["Total_visitors"], int)
    caller = await _varied(client, api, capital_totals=CapitalsForm.NONE)
    assert "total_visitors" in (await caller.get("buttons/analytics", id="10")).row["total"]


async def test_single_variants_in_tests(client: aiohttp.ClientSession, api: ShareProgressEmulator) -> None:
    """Channels with one variant stand among the tests."""
    caller = await _varied(client, api, single_tests=True)
    tests = (await caller.get("pages/analytics", id="11")).row["share_tests"]
    assert {channel: len(variants) for channel, variants in tests.items()} == {"facebook": 1, "email": 1, "twitter": 1}


async def test_the_time_of_analytics(
    client: aiohttp.ClientSession, api: ShareProgressEmulator, clock: ManualClock
) -> None:
    """The document promises a timestamp, its samples have none: under a name that is told it stands there."""
    caller = await _varied(client, api, analytics_time_key="updated_at")
    first = clock.at
    await caller.get("pages/analytics", id="10")
    clock.at += 100
    assert (await caller.get("pages/analytics", id="10")).row["updated_at"] == first - 60


async def test_the_other_name_of_the_parameters(client: aiohttp.ClientSession, api: ShareProgressEmulator) -> None:
    """Replies may say ``custom_params`` where the samples say ``customize_params``."""
    caller = await _varied(client, api, params_key=ParamsKey.CUSTOM)
    options = (await caller.get("pages/read", id="10")).row["advanced_options"]
    assert ("custom_params" in options, "customize_params" in options) == (True, False)


async def test_slow_replies(client: aiohttp.ClientSession, api: ShareProgressEmulator, clock: ManualClock) -> None:
    """Every reply may take five seconds, and a save longer."""
    caller = await _varied(client, api, reply_s=5, scrape_s=4)
    await caller.get("pages/analytics", id="10")
    await caller.post("wrappers/update", id=10, name="x")
    assert clock.slept == [5, 9]


async def test_an_index_that_lags(
    client: aiohttp.ClientSession, api: ShareProgressEmulator, clock: ManualClock
) -> None:
    """What was created just now is read at once, and listed later."""
    caller = await _varied(client, api, index_lag_s=30, scrape_s=0)
    page_id = (await caller.post("pages/update", page_url=URL)).row["id"]
    assert (await caller.get("pages/read", id=str(page_id))).row["id"] == page_id
    assert page_id not in [row["id"] for row in (await caller.get("pages")).rows]
    clock.at += 30
    assert page_id in [row["id"] for row in (await caller.get("pages")).rows]


async def test_somebody_else_with_the_same_key(client: aiohttp.ClientSession, api: ShareProgressEmulator) -> None:
    """The headers tell that there is less room than one's own requests explain, down to none, with a Retry-After."""
    caller = await _varied(client, api, spent_by_others=20, retry_after=True)
    remaining = [_rates(await caller.get("account"))[1] for _ in range(10)]
    assert remaining == list(range(9, -1, -1))
    refused = await caller.get("account")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "60")


async def test_variants_by_the_constructor(clock: ManualClock, client: aiohttp.ClientSession) -> None:
    """The same can be told at the start, and a clock that is right."""
    variants = ShareProgressVariants(booleans=BooleanForm.FIELDS, scrape_s=0)
    async with ShareProgressEmulator(clock=clock, key=KEY, pages=0, buttons=0, variants=variants, skew_s=0) as api:
        answer = await Caller(client, api).get("wrappers")
        assert answer.row["default"] == "true"
        assert parsedate_to_datetime(answer.headers["Date"]).timestamp() == clock.at
