"""OneAll's snapshots when all is well, and what the API refuses of its own accord."""

from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from tests.emulators.manual_clock import ManualClock
from tests.emulators.oneall_client import AUTH, MESSAGE, PRIVATE, PUBLIC, SNAPSHOTS, Caller
from tidewaiter.emulators.oneall import OneAllEmulator, OneAllVariants
from tidewaiter.emulators.oneall_replies import publications_of


@pytest.fixture
async def oneall(clock: ManualClock) -> AsyncIterator[OneAllEmulator]:
    """A running API whose snapshots take 100 seconds."""
    variants = OneAllVariants(build_s=100)
    async with OneAllEmulator(clock=clock, public_key=PUBLIC, private_key=PRIVATE, variants=variants) as running:
        yield running


@pytest.fixture
def caller(client: aiohttp.ClientSession, oneall: OneAllEmulator) -> Caller:
    """Whoever asks that API."""
    return Caller(client, oneall)


async def test_a_snapshot_from_initiation_to_statistics(
    oneall: OneAllEmulator, caller: Caller, clock: ManualClock
) -> None:
    """Initiate, wait, read: the finished snapshot tells of every publication."""
    token = await caller.start()
    assert "publication_snapshots" not in await caller.snapshot(token)
    clock.at += 100
    told = await caller.snapshot(token)
    assert told["status"] == "processed"
    assert parsedate_to_datetime(told["date_finished"]).timestamp() == clock.at
    assert told["publication_snapshots"]["count"] == len(told["publication_snapshots"]["entries"]) == 2
    (snapshot,) = oneall.snapshots
    assert (snapshot.token, snapshot.message_token, snapshot.polls) == (token, MESSAGE, 2)


async def test_the_shape_of_an_initiation(caller: Caller) -> None:
    """201 in HTTP and in the envelope, the flag and the members of the vendor's example, dates as RFC 2822 has them."""
    order = {"request": {"analytics": {"sharing": {"sharing_message_token": MESSAGE}}}}
    status, request, data = await caller.envelope("PUT", ".json", order)
    assert status == 201
    assert request["resource"] == "/sharing/analytics/snapshots.json"
    assert request["status"] == {
        "flag": "scheduled",
        "code": 201,
        "info": "Your request has been received and scheduled to be processed",
    }
    told = data["sharing_analytics_snapshot"]
    assert told.keys() == {"sharing_analytics_snapshot_token", "date_initiated", "sharing_message"}
    assert told["sharing_message"]["sharing_message_token"] == MESSAGE
    assert told["date_initiated"].endswith(" +0100")


async def test_one_pending_snapshot_for_a_message(oneall: OneAllEmulator, caller: Caller, clock: ManualClock) -> None:
    """A second initiation finds the pending one and makes none; another message, or a built one, is another matter."""
    token = await caller.start()
    code, data = await caller.initiate()
    assert (code, data["sharing_analytics_snapshot"]["sharing_analytics_snapshot_token"]) == (207, token)
    assert await caller.start("another-message") != token
    assert [snapshot.repeats for snapshot in oneall.snapshots] == [1, 0]
    clock.at += 100
    assert await caller.start() != token


async def test_a_deleted_snapshot_makes_room(caller: Caller) -> None:
    """After the pending snapshot was deleted a new one can be initiated."""
    token = await caller.start()
    status, _, _ = await caller.envelope("DELETE", f"/{token}.json?confirm_deletion=true")
    assert status == 200
    assert await caller.start() != token


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"nonsense", "The sharing_message_token is missing"),
        ([], "The sharing_message_token is missing"),
        ({"request": {"analytics": []}}, "The sharing_message_token is missing"),
        (
            {"request": {"analytics": {"sharing": {"sharing_message_token": ""}}}},
            "The sharing_message_token is missing",
        ),
        (
            {"request": {"analytics": {"sharing": {"sharing_message_token": "m", "pingback_uri": 1}}}},
            "The pingback_uri is not a string",
        ),
    ],
)
async def test_a_bad_order(oneall: OneAllEmulator, caller: Caller, body: object, said: str) -> None:
    """400 in an error envelope without a result, and no snapshot."""
    status, request, data = await caller.envelope("PUT", ".json", body)
    assert (status, request["status"], data) == (400, {"flag": "error", "code": 400, "info": said}, None)
    assert oneall.snapshots == []


@pytest.mark.parametrize("credentials", [("other", PRIVATE), (PUBLIC, "other"), None])
async def test_bad_keys(
    oneall: OneAllEmulator, client: aiohttp.ClientSession, credentials: tuple[str, str] | None
) -> None:
    """Without the keys, or with wrong ones, nothing is told and nothing happens: 401 and an error envelope."""
    headers = {"Authorization": aiohttp.encode_basic_auth(*credentials, "utf-8")} if credentials else {}
    for method, path in (("PUT", ".json"), ("GET", ".json"), ("GET", "/x.json"), ("DELETE", "/x.json")):
        async with client.request(method, f"{oneall.origin}{SNAPSHOTS}{path}", headers=headers) as reply:
            told = await reply.json()
            assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, 'Basic realm="API"')
        assert told["response"]["request"]["status"]["code"] == 401
        assert "result" not in told["response"]
    assert oneall.snapshots == []


async def test_a_stranger(caller: Caller) -> None:
    """A token that nobody gave: 404 in an error envelope, for reading and deleting."""
    for method in ("GET", "DELETE"):
        status, request, data = await caller.envelope(method, "/nobody.json?confirm_deletion=true")
        assert (status, request["status"]["flag"], request["status"]["code"], data) == (404, "error", 404, None)
        assert request["resource"] == f"{SNAPSHOTS}/nobody.json"


@pytest.mark.parametrize("query", ["", "?confirm_deletion=false", "?confirm_deletion=1"])
async def test_a_deletion_without_confirmation(oneall: OneAllEmulator, caller: Caller, query: str) -> None:
    """It is refused, and the snapshot stays."""
    token = await caller.start()
    status, request, _ = await caller.envelope("DELETE", f"/{token}.json{query}")
    assert (status, request["status"]["flag"]) == (400, "error")
    assert not oneall.snapshots[0].deleted
    await caller.snapshot(token)


async def test_a_deletion(oneall: OneAllEmulator, caller: Caller) -> None:
    """With the confirmation: 200 without a result; then the snapshot is neither read, listed nor deleted again."""
    token = await caller.start()
    status, request, data = await caller.envelope("DELETE", f"/{token}.json?confirm_deletion=true")
    assert (status, request["status"]["flag"], data) == (200, "success", None)
    assert oneall.snapshots[0].deleted
    assert (await caller.envelope("GET", f"/{token}.json"))[0] == 404
    assert (await caller.envelope("DELETE", f"/{token}.json?confirm_deletion=true"))[0] == 404
    assert await caller.tokens() == []


async def test_the_list_by_pages(caller: Caller, clock: ManualClock) -> None:
    """Pages of the wanted size in either direction; the pagination says where one is."""
    tokens = []
    for number in range(5):
        tokens.append(await caller.start(f"message-{number}"))
        clock.at += 1
    assert await caller.tokens() == tokens
    assert await caller.tokens("?page=2&entries_per_page=2") == tokens[2:4]
    assert await caller.tokens("?page=1&entries_per_page=2&order_direction=desc") == [tokens[4], tokens[3]]
    last = await caller.listed("?page=3&entries_per_page=2")
    assert last["count"] == 1
    assert last["pagination"] == {
        "current_page": 3,
        "total_pages": 3,
        "entries_per_page": 2,
        "total_entries": 5,
        "order": {"field": "date_creation", "direction": "asc"},
    }
    assert await caller.tokens("?page=4&entries_per_page=2") == []


async def test_a_page_holds_250_entries_at_most(caller: Caller) -> None:
    """A larger page is cut down to that; it is also what one gets without asking."""
    for query in ("", "?entries_per_page=1000"):
        assert (await caller.listed(query))["pagination"]["entries_per_page"] == 250


@pytest.mark.parametrize("query", ["?page=0", "?page=x", "?entries_per_page=-1", "?order_direction=up"])
async def test_a_bad_page(caller: Caller, query: str) -> None:
    """400 for a page that cannot be."""
    assert (await caller.envelope("GET", f".json{query}"))[0] == 400


async def test_the_list_by_user_and_identity(caller: Caller) -> None:
    """The filters keep the snapshots whose message was published by that user, or that identity of theirs."""
    by_user: dict[str, list[str]] = {}
    for number in range(6):
        (first, second) = publications_of(f"message-{number}", 2)
        token = await caller.start(f"message-{number}")
        by_user.setdefault(first.user_token, []).append(token)
        assert token in await caller.tokens(f"?identity_token={second.identity_token}")
    for user, tokens in by_user.items():
        assert await caller.tokens(f"?user_token={user}") == tokens
    assert await caller.tokens("?user_token=nobody") == []
    assert await caller.tokens("?identity_token=nobody") == []


async def test_what_an_entry_of_the_list_tells(caller: Caller, clock: ManualClock) -> None:
    """Both tokens, dates, and the status; the end is told once there is one."""
    token = await caller.start()
    (pending,) = (await caller.listed())["entries"]
    assert pending["sharing_analytics_snapshot_token"] == token
    assert pending["sharing_message"]["sharing_message_token"] == MESSAGE
    assert (pending["status"], "date_finished" in pending) == ("pending", False)
    clock.at += 100
    (built,) = (await caller.listed())["entries"]
    assert (built["status"], "date_finished" in built) == ("processed", True)


@pytest.mark.parametrize("headers", [AUTH, {}])
async def test_any_other_path(oneall: OneAllEmulator, client: aiohttp.ClientSession, headers: dict[str, Any]) -> None:
    """404 in an envelope, which also counts as asked."""
    async with client.get(f"{oneall.origin}/users.json", headers=headers) as reply:
        assert (reply.status, (await reply.json())["response"]["request"]["status"]["code"]) == (404, 404)
    assert oneall.count("unknown") == 1
