"""Copernica's data requests without faults, the requests that it refuses, and reports."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.emulators.callback_receiver import Receiver
from tests.emulators.copernica_client import ACCESS, Caller
from tests.emulators.manual_clock import ManualClock
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.copernica import CopernicaEmulator, CopernicaVariants
from tidewaiter.emulators.copernica_login import CopernicaLogin
from tidewaiter.emulators.request_limit import RequestLimit


@pytest.fixture
async def login(clock: ManualClock) -> AsyncIterator[CopernicaLogin]:
    """The login host."""
    async with CopernicaLogin(clock=clock, access_token=ACCESS) as running:
        yield running


@pytest.fixture
async def copernica(clock: ManualClock, login: CopernicaLogin) -> AsyncIterator[CopernicaEmulator]:
    """A running API that collects for 100 seconds."""
    async with CopernicaEmulator(clock=clock, login=login, variants=CopernicaVariants(build_s=100)) as running:
        yield running


@pytest.fixture
def caller(client: aiohttp.ClientSession, copernica: CopernicaEmulator) -> Caller:
    """A client of that API."""
    return Caller(client, copernica)


def _whole(copernica: CopernicaEmulator, place: int = 0) -> str:
    body = copernica.file(copernica.data_requests[place])
    return b"".join(body.chunks(0, body.size)).decode()


@pytest.mark.parametrize(
    ("path", "info"),
    [
        ("/subprofile/17", {"type": "subprofile", "id": 17}),
        ("/profile/4", {"type": "profile", "id": 4}),
        ("/email/jane%40example.org", {"type": "email", "id": "jane@example.org"}),
    ],
)
async def test_a_request_from_order_to_file(
    copernica: CopernicaEmulator, caller: Caller, clock: ManualClock, path: str, info: object
) -> None:
    """Order, wait, fetch, for a subprofile, a profile and an e-mail address: 201 and an empty body, then the file."""
    request_id = await caller.create(path)
    assert await caller.status(request_id) == {"status": "pending"}
    clock.at += 100
    whole = _whole(copernica)
    answer = await caller.status(request_id)
    assert answer == {"status": "available", "available": len(whole), "content-type": "application/json"}
    status, headers, text = await caller.ask("GET", f"/datarequest/{request_id}/data")
    assert (status, headers["Content-Type"], text) == (200, "application/json", whole)
    found = json.loads(whole)
    assert found["info"] == info
    assert all(isinstance(row, list) for row in found["data"])
    assert len(copernica.login.issued) == 1
    assert all("access" not in asked.path_qs for asked in copernica.requests)
    (request,) = copernica.data_requests
    assert (request.id, request.polls, request.fetches) == (request_id, 2, 1)


async def test_the_bare_form(copernica: CopernicaEmulator, caller: Caller, clock: ManualClock) -> None:
    """The one resource is a text in place of the data while it waits, and the file itself once it is there."""
    request_id = await caller.create()
    assert await caller.bare(request_id) == {"data": "Data not available (yet)"}
    clock.at += 100
    assert await caller.bare(request_id) == json.loads(_whole(copernica))


async def test_no_data_before_their_time(caller: Caller) -> None:
    """404 with a message."""
    request_id = await caller.create()
    status, _, text = await caller.ask("GET", f"/datarequest/{request_id}/data")
    assert (status, json.loads(text)) == (404, {"error": {"message": "Data not available (yet)"}})


async def test_each_order_makes_a_request(copernica: CopernicaEmulator, caller: Caller) -> None:
    """The same person twice: two requests, two identifiers, two files."""
    assert await caller.create() != await caller.create()
    assert _whole(copernica, 0) != _whole(copernica, 1)


@pytest.mark.parametrize("path", ["/subprofile/0", "/profile/000", "/email/nobody"])
async def test_whom_nobody_knows(copernica: CopernicaEmulator, caller: Caller, path: str) -> None:
    """400 with a message, and no request."""
    status, _, text = await caller.ask("POST", f"{path}/datarequest")
    assert (status, list(json.loads(text)["error"]), copernica.data_requests) == (400, ["message"], [])


@pytest.mark.parametrize("path", ["/datarequest/abc/status", "/datarequest/abc/data", "/datarequest/abc", "/nothing"])
async def test_what_is_not_there(caller: Caller, path: str) -> None:
    """404 with a message."""
    status, _, text = await caller.ask("GET", path)
    assert (status, list(json.loads(text)["error"])) == (404, ["message"])


@pytest.mark.parametrize("token", ["", "nonsense"])
async def test_a_bad_token(copernica: CopernicaEmulator, client: aiohttp.ClientSession, token: str) -> None:
    """401, and nothing happens; the access token itself is none here, in whatever place."""
    url = f"{copernica.base_url}/subprofile/17/datarequest"
    for headers in ({"Authorization": f"Bearer {token}"}, {}, {"X-Token": ACCESS}):
        async with client.post(f"{url}?access_token=x", headers=headers) as reply:
            assert (reply.status, "token" in (await reply.text())) == (401, True)
    assert copernica.data_requests == []


async def test_who_one_is(caller: Caller) -> None:
    """A harmless question that only a good token is answered."""
    assert json.loads((await caller.ask("GET", "/identity"))[2])["name"] == "Example account"
    caller.token = "nonsense"
    assert (await caller.ask("GET", "/identity"))[0] == 401


async def test_a_token_that_is_over(caller: Caller, clock: ManualClock) -> None:
    """After a day it is good for nothing; a new login helps."""
    request_id = await caller.create()
    clock.at += 86_400
    assert (await caller.ask("GET", f"/datarequest/{request_id}/status"))[0] == 401
    await caller.renew()
    await caller.create()


async def test_a_token_that_is_revoked(caller: Caller) -> None:
    """Once told so, the token that comes with a request is good for nothing."""
    request_id = await caller.create()
    caller.copernica.faults.add("status", InjectedFault(FaultKind.REVOKED))
    for _ in range(2):
        assert (await caller.ask("GET", f"/datarequest/{request_id}/status"))[0] == 401
    await caller.renew()
    await caller.status(request_id)


async def test_the_rate_limit(clock: ManualClock, login: CopernicaLogin, client: aiohttp.ClientSession) -> None:
    """429 with the seconds until there is room, and no effect."""
    limit = RequestLimit(most=1, period_s=60)
    async with CopernicaEmulator(clock=clock, login=login, limit=limit) as copernica:
        caller = Caller(client, copernica)
        await caller.create()
        clock.at += 20.5
        status, headers, _ = await caller.ask("POST", "/profile/1/datarequest")
    assert (status, headers["Retry-After"], len(copernica.data_requests)) == (429, "40", 1)


# --- reports ----------------------------------------------------------------------------------------------------------


async def test_a_report_by_mail(copernica: CopernicaEmulator, caller: Caller, clock: ManualClock) -> None:
    """When the data are there a mail goes out with the file attached; the parameter may stand in body or query."""
    start = clock.at
    first = await caller.create(body={"report": "example@example.com"})
    await caller.ask("POST", "/subprofile/17/datarequest?report=other@example.com")
    assert copernica.mails() == []
    clock.at += 100
    mail, other = copernica.mails()
    assert (mail.at, mail.address, mail.request_id, mail.attached) == (start + 100, "example@example.com", first, True)
    assert other.address == "other@example.com"
    assert copernica.callbacks.sent == []


async def test_a_report_that_is_too_large_for_a_mail(
    clock: ManualClock, login: CopernicaLogin, client: aiohttp.ClientSession
) -> None:
    """Above the limit the mail has a link."""
    variants = CopernicaVariants(build_s=0, mime_bytes=3_000, attached_bytes=2_000)
    async with CopernicaEmulator(clock=clock, login=login, variants=variants) as copernica:
        await Caller(client, copernica).create(body={"report": "a@example.com"})
        assert [mail.attached for mail in copernica.mails()] == [False]


async def test_a_report_to_a_web_address(copernica: CopernicaEmulator, caller: Caller, clock: ManualClock) -> None:
    """When the data are there they are posted, unsigned, and nothing says which request they belong to."""
    start = clock.at
    async with Receiver() as receiver:
        request_id = await caller.create(body={"report": receiver.url})
        received = await receiver.next()
    assert (clock.at, received.content_type, received.authorization) == (start + 100, "application/json", None)
    assert received.body.decode() == _whole(copernica)
    assert request_id not in received.body.decode()
    assert copernica.mails() == []


async def test_spoiled_reports(copernica: CopernicaEmulator, caller: Caller, clock: ManualClock) -> None:
    """Late, twice, forged (of another person, or any text), or never."""
    start = clock.at
    for fault in (
        InjectedFault(FaultKind.LATENCY, seconds=3600),
        InjectedFault(FaultKind.DUPLICATE),
        InjectedFault(FaultKind.FORGED),
        InjectedFault(FaultKind.FORGED, text="[NaN"),
        InjectedFault(FaultKind.LOST),
    ):
        copernica.faults.add("report", fault)
    async with Receiver() as receiver:
        for place in range(5):
            await caller.create(body={"report": receiver.url})
            await copernica.callbacks.settle()
            if place == 0:
                assert clock.at == start + 3700
        late, first, second, forged, nonsense = [(await receiver.next()).body for _ in range(5)]
        assert receiver.waiting == 0
    assert late.decode() == _whole(copernica)
    assert first == second
    assert json.loads(forged)["info"]["id"] == 999_999
    assert nonsense == b"[NaN"


async def test_a_report_to_nowhere(copernica: CopernicaEmulator, caller: Caller) -> None:
    """What is neither kind of address is refused."""
    status, _, _ = await caller.ask("POST", "/profile/1/datarequest", {"report": "nowhere"})
    assert (status, copernica.data_requests) == (400, [])
