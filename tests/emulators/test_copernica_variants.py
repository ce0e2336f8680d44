"""Each variant for what Copernica's documentation leaves open, faults, and very large files."""

import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.emulators.copernica_client import ACCESS, Caller
from tests.emulators.manual_clock import ManualClock
from tidewaiter.emulators.controls import FaultKind, InjectedFault, RetryAfter
from tidewaiter.emulators.copernica import (
    CopernicaEmulator,
    CopernicaVariants,
    ExpiredForm,
    HexBody,
    IdentifierPlace,
    data_file,
)
from tidewaiter.emulators.copernica_login import CopernicaLogin

Open = Callable[..., Awaitable[Caller]]


@pytest.fixture
async def opened(clock: ManualClock, client: aiohttp.ClientSession) -> AsyncIterator[Open]:
    """Starts an API with variants and its login host, and returns a client. Data take 100 seconds by default."""
    async with AsyncExitStack() as stack:

        async def start(**variants: Any) -> Caller:
            login = await stack.enter_async_context(CopernicaLogin(clock=clock, access_token=ACCESS))
            answer = CopernicaVariants(**{"build_s": 100, **variants})
            copernica = CopernicaEmulator(clock=clock, login=login, variants=answer)
            return Caller(client, await stack.enter_async_context(copernica))

        yield start


# --- open in the documents --------------------------------------------------------------------------------------------


def _found(place: IdentifierPlace, headers: Mapping[str, str], text: str) -> object:
    match place:
        case IdentifierPlace.TEXT:
            return text
        case IdentifierPlace.STRING:
            return json.loads(text)
        case IdentifierPlace.OBJECT:
            return json.loads(text)["id"]
        case _:
            assert text == ""
            return headers[place.value.removeprefix("303 ")]


@pytest.mark.parametrize("place", IdentifierPlace)
@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("numbers", [True, False])
async def test_every_place_of_an_identifier(
    opened: Open, place: IdentifierPlace, *, absolute: bool, numbers: bool
) -> None:
    """X-Created, X-location, Location (absolute or not), also of a 303; the body as text, JSON or an object."""
    expected = 303 if place.value.startswith("303") else 201
    caller = await opened(identifier=place, absolute=absolute, numbers=numbers)
    status, headers, text = await caller.ask("POST", "/profile/1/datarequest")
    (request,) = caller.copernica.data_requests
    before = caller.copernica.base_url if absolute else "/v4"
    if place in {IdentifierPlace.X_LOCATION, IdentifierPlace.LOCATION, IdentifierPlace.SEE_OTHER_LOCATION}:
        wanted: object = f"{before}/datarequest/{request.id}"
    elif numbers and place in {IdentifierPlace.STRING, IdentifierPlace.OBJECT}:
        wanted = int(request.id)
    else:
        wanted = request.id
    assert (status, _found(place, headers, text)) == (expected, wanted)
    assert request.id.isdecimal() is numbers


@pytest.mark.parametrize("word", ["pending", "not available"])
async def test_the_words_of_a_status(opened: Open, clock: ManualClock, word: str) -> None:
    """A request that is not ready is pending, or not available; then it is available."""
    caller = await opened(pending_word=word)
    request_id = await caller.create()
    assert (await caller.status(request_id))["status"] == word
    clock.at += 100
    assert (await caller.status(request_id))["status"] == "available"


async def test_pending_in_any_wording(opened: Open) -> None:
    """The text in place of the data is whatever it was told to be, also at the place of the file."""
    caller = await opened(pending_text="Even geduld")
    request_id = await caller.create()
    assert await caller.bare(request_id) == {"data": "Even geduld"}
    _, _, text = await caller.ask("GET", f"/datarequest/{request_id}/data")
    assert json.loads(text)["error"]["message"] == "Even geduld"


async def test_a_file_that_expires(opened: Open, clock: ManualClock) -> None:
    """After it has been ready for its time the request is not there any more, in every form."""
    caller = await opened(keep_s=50)
    request_id = await caller.create()
    clock.at += 149
    assert (await caller.status(request_id))["status"] == "available"
    clock.at += 1
    for path in ("/status", "/data", ""):
        assert (await caller.ask("GET", f"/datarequest/{request_id}{path}"))[0] == 404


async def test_a_file_that_is_not_available_any_more(opened: Open, clock: ManualClock) -> None:
    """The other way to say that it has expired: the words of one that is not ready yet."""
    caller = await opened(keep_s=0, over=ExpiredForm.NOT_AVAILABLE)
    request_id = await caller.create()
    clock.at += 100
    assert (await caller.status(request_id))["status"] == "not available"
    assert isinstance((await caller.bare(request_id))["data"], str)
    assert (await caller.ask("GET", f"/datarequest/{request_id}/data"))[0] == 404


async def test_missing_as_a_bad_request(opened: Open) -> None:
    """Errors are mostly 400: so may be what is not there."""
    caller = await opened(missing=400)
    assert (await caller.ask("GET", "/datarequest/abc/status"))[0] == 400


async def test_a_bad_token_as_a_bad_request(opened: Open, clock: ManualClock) -> None:
    """400 that speaks of the token."""
    caller = await opened(token_refusal=400)
    request_id = await caller.create()
    clock.at += 86_400
    status, _, text = await caller.ask("GET", f"/datarequest/{request_id}/status")
    assert (status, "token" in json.loads(text)["error"]["message"]) == (400, True)


@pytest.mark.parametrize("route", ["create", "status", "data", "bare"])
async def test_a_call_that_has_moved(opened: Open, clock: ManualClock, route: str) -> None:
    """301 to another path, where the call is answered."""
    caller = await opened(build_s=0)
    request_id = await caller.create()
    caller.copernica.variants = CopernicaVariants(build_s=0, moved=(route,))
    path = {"create": "/profile/1/datarequest?x=1", "bare": f"/datarequest/{request_id}"}.get(
        route, f"/datarequest/{request_id}/{route}"
    )
    method = "POST" if route == "create" else "GET"
    status, headers, _ = await caller.ask(method, path)
    assert (status, headers["Location"]) == (301, f"/v4/moved{path}")
    assert len(caller.copernica.data_requests) == 1
    assert (await caller.ask(method, f"/moved{path}"))[0] in {200, 201}


async def test_variants_over_the_control_endpoint(opened: Open) -> None:
    """A PATCH changes a variant of a running server; unknown variants are refused."""
    caller = await opened()
    url = f"{caller.copernica.origin}/_control/variants"
    async with caller.client.patch(url, json={"identifier": "text", "moved": ["bare"]}) as reply:
        assert (reply.status, (await reply.json())["identifier"]) == (200, "text")
    assert (await caller.ask("POST", "/profile/1/datarequest"))[2] == caller.copernica.data_requests[0].id
    async with caller.client.patch(f"{caller.copernica.login.origin}/_control/variants", json={"form": "?"}) as reply:
        assert reply.status == 400


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [502, 503, 504])
async def test_an_outage(opened: Open, clock: ManualClock, code: int) -> None:
    """Pages of HTML for minutes, whatever is asked; then it goes on as if nothing had been."""
    caller = await opened()
    request_id = await caller.create()
    caller.copernica.faults.add("*", InjectedFault(FaultKind.UNAVAILABLE, status=code), times=None)
    for _ in range(4):
        clock.at += 60
        status, headers, text = await caller.ask("GET", f"/datarequest/{request_id}/status")
        assert (status, headers["Content-Type"][:9], text[:9]) == (code, "text/html", "<!DOCTYPE")
    caller.copernica.faults.clear()
    assert (await caller.status(request_id))["status"] == "available"


async def test_asked_too_often(opened: Open) -> None:
    """429 with a Retry-After, in the API's own words."""
    caller = await opened()
    caller.copernica.faults.add("create", InjectedFault(FaultKind.THROTTLE, seconds=30, retry_after=RetryAfter.SECONDS))
    status, headers, text = await caller.ask("POST", "/profile/1/datarequest")
    assert (status, headers["Retry-After"], json.loads(text)) == (
        429,
        "30",
        {"error": {"message": "Too many requests"}},
    )
    assert caller.copernica.data_requests == []


async def test_a_lost_reply_leaves_a_request(opened: Open) -> None:
    """The connection breaks after the order was taken: the request exists, though nobody was told its identifier."""
    caller = await opened()
    caller.copernica.faults.add("create", InjectedFault(FaultKind.RESET_AFTER))
    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.create()
    assert len(caller.copernica.data_requests) == 1


async def test_a_request_that_never_ends(opened: Open, clock: ManualClock) -> None:
    """It stays pending for ever, in every form, and is reported to nobody."""
    caller = await opened(keep_s=0)
    caller.copernica.faults.add("create", InjectedFault(FaultKind.NEVER_ENDS))
    request_id = await caller.create(body={"report": "a@example.com"})
    clock.at += 10**6
    await caller.renew()
    assert (await caller.status(request_id))["status"] == "pending"
    assert isinstance((await caller.bare(request_id))["data"], str)
    assert caller.copernica.mails() == []


async def test_a_request_that_is_gone(opened: Open, clock: ManualClock) -> None:
    """Told at the order it is gone for good; told later it is missing that once."""
    caller = await opened()
    caller.copernica.faults.add("create", InjectedFault(FaultKind.GONE))
    lost = await caller.create()
    assert (await caller.ask("GET", f"/datarequest/{lost}/status"))[0] == 404
    request_id = await caller.create()
    clock.at += 100
    caller.copernica.faults.add("data", InjectedFault(FaultKind.GONE))
    assert [(await caller.ask("GET", f"/datarequest/{request_id}/data"))[0] for _ in range(2)] == [404, 200]


async def test_a_status_that_flaps(opened: Open, clock: ManualClock) -> None:
    """Available, pending, available."""
    caller = await opened()
    caller.copernica.faults.add("create", InjectedFault(FaultKind.FLAPPING))
    request_id = await caller.create()
    clock.at += 100
    words = [(await caller.status(request_id))["status"] for _ in range(3)]
    assert words == ["available", "pending", "available"]
    assert (await caller.ask("GET", f"/datarequest/{request_id}/data"))[0] == 200
    assert isinstance((await caller.bare(request_id))["data"], str)


async def test_what_no_document_names(opened: Open) -> None:
    """Another word of the status, and a bare form that has no data at all."""
    caller = await opened()
    request_id = await caller.create()
    caller.copernica.faults.add("status", InjectedFault(FaultKind.UNKNOWN_WORD, text="queued"))
    caller.copernica.faults.add("bare", InjectedFault(FaultKind.UNKNOWN_WORD))
    assert await caller.status(request_id) == {"status": "queued"}
    assert await caller.bare(request_id) == {"state": "archived"}


# --- very large files -------------------------------------------------------------------------------------------------


def test_a_file_of_gigabytes_is_not_held_in_memory() -> None:
    """Three gigabytes of messages: the size is known, any part can be read, and no more than that part is made."""
    tracemalloc.start()
    try:
        body = data_file("subprofile", 17, 3 * 10**9, seed=1)
        near_the_end = b"".join(body.chunks(body.size - 300, body.size))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert body.size > 3 * 10**9
    assert near_the_end.endswith(b'{"link": 1}]]}')
    assert peak < 20_000_000


@pytest.mark.parametrize("mime_bytes", [0, 1, 300_001, 11_000_000])
def test_a_file_is_json_of_that_size(mime_bytes: int) -> None:
    """However much is in messages: whole JSON, whose messages hold that much, the same in pieces as at once."""
    body = data_file("profile", 4, mime_bytes, seed=9)
    whole = b"".join(body.chunks(0, body.size))
    rows = json.loads(whole)["data"]
    content = [row[2].partition("\r\n\r\n")[2] for row in rows if row[0] == "mime"]
    assert mime_bytes <= sum(map(len, content)) <= mime_bytes + 6
    assert len(whole) == body.size
    middle = body.size // 2
    assert b"".join(body.chunks(0, middle)) + b"".join(body.chunks(middle, body.size)) == whole


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 3), (1, 2), (1, 8), (2, 7), (7, 8)])
def test_any_run_of_digits(start: int, stop: int) -> None:
    """Digits may be asked for from the middle of a byte to the middle of another."""
    body = HexBody(data_file("profile", 4, 2, seed=1))
    whole = b"".join(body.chunks(0, body.size))
    assert b"".join(body.chunks(start, stop)) == whole[start:stop]


async def test_a_large_file_over_the_wire(opened: Open, client: aiohttp.ClientSession) -> None:
    """Twenty megabytes arrive as they were made, with their length told."""
    caller = await opened(build_s=0, mime_bytes=20_000_000)
    request_id = await caller.create()
    wanted = caller.copernica.file(caller.copernica.data_requests[0])
    _, headers, text = await caller.ask("GET", f"/datarequest/{request_id}/data")
    assert int(headers["Content-Length"]) == wanted.size
    assert text.encode() == b"".join(wanted.chunks(0, wanted.size))
