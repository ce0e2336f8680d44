"""Each variant for what OneAll's documentation leaves open, and the faults of a snapshot."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.emulators.callback_receiver import Receiver
from tests.emulators.manual_clock import ManualClock
from tests.emulators.oneall_client import PRIVATE, PUBLIC, Caller
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.oneall import FinishedForm, OneAllEmulator, OneAllVariants, PendingForm

Open = Callable[..., Awaitable[Caller]]


@pytest.fixture
async def opened(clock: ManualClock, client: aiohttp.ClientSession) -> AsyncIterator[Open]:
    """Starts an API with variants, and returns a client; snapshots take 100 seconds by default."""
    async with AsyncExitStack() as stack:

        async def start(**variants: Any) -> Caller:
            snapshot = OneAllVariants(**{"build_s": 100, **variants})
            oneall = OneAllEmulator(clock=clock, public_key=PUBLIC, private_key=PRIVATE, variants=snapshot)
            return Caller(client, await stack.enter_async_context(oneall))

        yield start


# --- open in the documents --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pending", "snapshot"),
    [
        (PendingForm.UNFINISHED, (200, 200, "success")),
        (PendingForm.PROCESSING, (200, 102, "pending")),
        (PendingForm.ACCEPTED, (202, 202, "pending")),
        (PendingForm.MULTI_STATUS, (207, 207, "pending")),
        (PendingForm.CONFLICT, (409, 409, "error")),
    ],
)
async def test_every_form_of_pending(
    opened: Open, clock: ManualClock, pending: PendingForm, snapshot: tuple[int, int, str]
) -> None:
    """102 in the envelope, 202, 207, 409 or a 200 without the end; then the finished snapshot all the same."""
    caller = await opened(pending=pending)
    token = await caller.start()
    status, request, data = await caller.envelope("GET", f"/{token}.json")
    assert (status, request["status"]["code"], request["status"]["flag"]) == snapshot
    assert (data is None) is (pending is PendingForm.CONFLICT)
    assert "date_finished" not in json.dumps(data)
    clock.at += 100
    assert (await caller.snapshot(token))["status"] == "processed"


async def test_pending_as_not_modified(opened: Open) -> None:
    """304 has no body at all."""
    caller = await opened(pending=PendingForm.NOT_MODIFIED)
    token = await caller.start()
    assert (await caller.ask("GET", f"/{token}.json"))[::2] == (304, "")


@pytest.mark.parametrize(
    ("finished", "members"),
    [
        (FinishedForm.DATE, {"date_finished"}),
        (FinishedForm.STATUS, {"status"}),
        (FinishedForm.BOTH, {"date_finished", "status"}),
    ],
)
async def test_every_form_of_finished(
    opened: Open, clock: ManualClock, finished: FinishedForm, members: set[str]
) -> None:
    """The end is told by its date, by a status of ``processed``, or by both."""
    caller = await opened(finished=finished)
    token = await caller.start()
    clock.at += 100
    snapshot = await caller.snapshot(token)
    assert snapshot.keys() & {"date_finished", "status"} == members
    assert snapshot.get("status", "processed") == "processed"


async def test_a_duplicate_without_a_token(opened: Open) -> None:
    """The 207 says that there is a pending snapshot, not which: only the list tells."""
    caller = await opened(duplicate_token=False)
    token = await caller.start()
    assert await caller.initiate() == (207, None)
    assert await caller.tokens() == [token]


async def test_missing_right_after_the_initiation(opened: Open, clock: ManualClock) -> None:
    """A new snapshot is answered with 404 for a while, though it is listed."""
    caller = await opened(lookup_lag_s=20)
    token = await caller.start()
    assert (await caller.envelope("GET", f"/{token}.json"))[0] == 404
    assert await caller.tokens() == [token]
    clock.at += 20
    await caller.snapshot(token)


async def test_a_list_that_lags(opened: Open, clock: ManualClock) -> None:
    """A new snapshot is missing from the list for a while, though it can be read."""
    caller = await opened(list_lag_s=60)
    token = await caller.start()
    clock.at += 59
    assert await caller.tokens() == []
    await caller.snapshot(token)
    clock.at += 1
    assert await caller.tokens() == [token]


async def test_the_old_revision_of_the_list(opened: Open, clock: ManualClock) -> None:
    """Its entries have no status; only the date tells which are finished."""
    caller = await opened(list_status=False)
    await caller.start()
    (pending,) = (await caller.listed())["entries"]
    clock.at += 100
    (built,) = (await caller.listed())["entries"]
    assert "status" not in pending.keys() | built.keys()
    assert ("date_finished" in pending, "date_finished" in built) == (False, True)


async def test_an_http_status_of_its_own(opened: Open) -> None:
    """The envelope's code is one thing, the HTTP status another."""
    caller = await opened(http_statuses={201: 200, 207: 200, 404: 200})
    order = {"request": {"analytics": {"sharing": {"sharing_message_token": "m"}}}}
    for code in (201, 207):
        status, request, _ = await caller.envelope("PUT", ".json", order)
        assert (status, request["status"]["code"]) == (200, code)
    status, request, _ = await caller.envelope("GET", "/nobody.json")
    assert (status, request["status"]["code"], request["status"]["flag"]) == (200, 404, "error")


async def test_errors_without_info(opened: Open) -> None:
    """An error may say nothing but its code; a success still says something."""
    caller = await opened(error_info=False)
    _, request, _ = await caller.envelope("GET", "/nobody.json")
    assert request["status"] == {"flag": "error", "code": 404}
    _, request, _ = await caller.envelope("GET", ".json")
    assert request["status"]["info"]


async def test_the_number_of_publications(opened: Open) -> None:
    """None is a finished snapshot, too."""
    caller = await opened(publications=0, build_s=0)
    snapshot = await caller.snapshot(await caller.start())
    assert snapshot["publication_snapshots"] == {"count": 0, "entries": []}


async def test_variants_over_the_control_endpoint(opened: Open) -> None:
    """A PATCH changes a variant of a running server; unknown variants are refused."""
    caller = await opened()
    url = f"{caller.oneall.origin}/_control/variants"
    async with caller.client.patch(url, json={"pending": 202, "http_statuses": {"202": 200}}) as reply:
        assert (reply.status, (await reply.json())["pending"]) == (200, 202)
    token = await caller.start()
    status, request, _ = await caller.envelope("GET", f"/{token}.json")
    assert (status, request["status"]["code"]) == (200, 202)
    for wrong in ({"pending": 418}, {"nothing": 1}):
        async with caller.client.patch(url, json=wrong) as reply:
            assert reply.status == 400
    assert caller.oneall.variants.pending is PendingForm.ACCEPTED


# --- faults -----------------------------------------------------------------------------------------------------------


async def test_a_lost_reply_leaves_a_snapshot(opened: Open) -> None:
    """The connection breaks after the order was taken: the snapshot exists, and the next initiation finds it."""
    caller = await opened()
    caller.oneall.faults.add(
        "initiate", InjectedFault(FaultKind.RESET_AFTER), times=2
    )  # the client repeats a PUT by itself
    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.initiate()
    assert [snapshot.repeats for snapshot in caller.oneall.snapshots] == [1]
    assert (await caller.initiate())[0] == 207


async def test_told_refusals_are_envelopes(opened: Open) -> None:
    """A throttle or a refusal speaks as the API does; an outage is a page of HTML."""
    caller = await opened()
    caller.oneall.faults.add("list", InjectedFault(FaultKind.THROTTLE))
    caller.oneall.faults.add("list", InjectedFault(FaultKind.UNAVAILABLE, status=502))
    status, request, _ = await caller.envelope("GET", ".json")
    assert (status, request["status"]["code"]) == (429, 429)
    status, headers, text = await caller.ask("GET", ".json")
    assert (status, headers["Content-Type"][:9], text[:9]) == (502, "text/html", "<!DOCTYPE")


async def test_a_snapshot_that_never_ends(opened: Open, clock: ManualClock) -> None:
    """It stays pending for ever, and so does its message."""
    caller = await opened()
    caller.oneall.faults.add("initiate", InjectedFault(FaultKind.NEVER_ENDS))
    token = await caller.start()
    clock.at += 10**7
    assert (await caller.snapshot(token))["status"] == "pending"
    assert (await caller.initiate())[0] == 207


async def test_a_snapshot_that_is_gone(opened: Open) -> None:
    """Told at the initiation it was never there for anybody; told on a reading it is missing that once."""
    caller = await opened()
    caller.oneall.faults.add("initiate", InjectedFault(FaultKind.GONE))
    caller.oneall.faults.add("snapshot", InjectedFault(FaultKind.NONE))
    caller.oneall.faults.add("snapshot", InjectedFault(FaultKind.GONE))
    lost = await caller.start()
    assert (await caller.envelope("GET", f"/{lost}.json"))[0] == 404
    assert await caller.tokens() == []
    token = await caller.start()
    assert (await caller.envelope("GET", f"/{token}.json"))[0] == 404
    await caller.snapshot(token)
    caller.oneall.faults.add("delete", InjectedFault(FaultKind.GONE))
    assert (await caller.envelope("DELETE", f"/{token}.json?confirm_deletion=true"))[0] == 404


async def test_a_status_that_flaps(opened: Open, clock: ManualClock) -> None:
    """Built, pending, built: every other reading takes it back."""
    caller = await opened()
    caller.oneall.faults.add("initiate", InjectedFault(FaultKind.FLAPPING))
    token = await caller.start()
    clock.at += 100
    assert [(await caller.snapshot(token))["status"] for _ in range(3)] == ["processed", "pending", "processed"]


@pytest.mark.parametrize(("text", "word"), [(None, "archived"), ("quux", "quux")])
async def test_a_word_that_no_document_names(opened: Open, clock: ManualClock, text: str | None, word: str) -> None:
    """The status is some other word, without a date."""
    caller = await opened()
    caller.oneall.faults.add("snapshot", InjectedFault(FaultKind.UNKNOWN_WORD, text=text))
    token = await caller.start()
    clock.at += 100
    snapshot = await caller.snapshot(token)
    assert (snapshot["status"], "date_finished" in snapshot) == (word, False)
    assert (await caller.snapshot(token))["status"] == "processed"


# --- the pingback -----------------------------------------------------------------------------------------------------


async def test_the_pingback(opened: Open, clock: ManualClock) -> None:
    """When the snapshot is built its envelope is posted: success, 200, its date, no statistics, unsigned."""
    caller = await opened()
    start = clock.at
    async with Receiver() as receiver:
        token = await caller.start(pingback_uri=receiver.url)
        received = await receiver.next()
    assert (clock.at, received.content_type, received.authorization) == (start + 100, "application/json", None)
    response = json.loads(received.body)["response"]
    assert response["request"]["resource"] == "/sharing/analytics/snapshot.json"
    assert (response["request"]["status"]["flag"], response["request"]["status"]["code"]) == ("success", 200)
    snapshot = response["result"]["data"]["sharing_analytics_snapshot"]
    assert snapshot["sharing_analytics_snapshot_token"] == token
    assert snapshot["date_finished"]
    assert "publication_snapshots" not in snapshot


async def test_a_late_and_a_duplicate_pingback(opened: Open, clock: ManualClock) -> None:
    """It comes an hour after its time; another comes twice, the same."""
    caller = await opened()
    start = clock.at
    caller.oneall.faults.add("pingback", InjectedFault(FaultKind.LATENCY, seconds=3600))
    caller.oneall.faults.add("pingback", InjectedFault(FaultKind.DUPLICATE, seconds=5))
    async with Receiver() as receiver:
        await caller.start("one", receiver.url)
        await receiver.next()
        assert clock.at == start + 3700
        await caller.start("two", receiver.url)
        assert await receiver.next() == await receiver.next()


async def test_a_lost_pingback(opened: Open, clock: ManualClock) -> None:
    """It never comes; the snapshot is built all the same."""
    caller = await opened()
    caller.oneall.faults.add("pingback", InjectedFault(FaultKind.LOST))
    async with Receiver() as receiver:
        token = await caller.start(pingback_uri=receiver.url)
        await caller.oneall.callbacks.settle()
        assert receiver.waiting == 0
    assert (await caller.snapshot(token))["status"] == "processed"


async def test_a_forged_pingback(opened: Open) -> None:
    """It speaks of a snapshot that is not there, or holds whatever it was told to."""
    caller = await opened()
    caller.oneall.faults.add("pingback", InjectedFault(FaultKind.FORGED))
    caller.oneall.faults.add("pingback", InjectedFault(FaultKind.FORGED, text="[NaN"))
    async with Receiver() as receiver:
        token = await caller.start("one", receiver.url)
        snapshot = json.loads((await receiver.next()).body)["response"]["result"]["data"]["sharing_analytics_snapshot"]
        assert snapshot["sharing_analytics_snapshot_token"] != token
        await caller.start("two", receiver.url)
        assert (await receiver.next()).body == b"[NaN"


@pytest.mark.parametrize("fate", [FaultKind.NEVER_ENDS, FaultKind.GONE])
async def test_no_pingback_for_what_does_not_end(opened: Open, fate: FaultKind) -> None:
    """A snapshot that never ends, or is not there, is not told of."""
    caller = await opened()
    caller.oneall.faults.add("initiate", InjectedFault(fate))
    async with Receiver() as receiver:
        await caller.start(pingback_uri=receiver.url)
        await caller.oneall.callbacks.settle()
        assert receiver.waiting == 0
    assert caller.oneall.callbacks.sent == []


async def test_no_pingback_for_what_was_deleted(opened: Open, clock: ManualClock) -> None:
    """A snapshot that was deleted while it was built is not told of."""
    caller = await opened()
    async with Receiver() as receiver:
        await caller.oneall.callbacks.stop()  # or the clock would run on to the end of the build
        token = await caller.start(pingback_uri=receiver.url)
        await caller.envelope("DELETE", f"/{token}.json?confirm_deletion=true")
        caller.oneall.callbacks.start()
        await caller.oneall.callbacks.settle()
        assert receiver.waiting == 0
    assert caller.oneall.callbacks.sent == []
