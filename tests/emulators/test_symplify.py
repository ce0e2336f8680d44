"""Symplify's export when all is well, and what it refuses of its own accord."""

import json

import aiohttp
import pytest

from tests.emulators.manual_clock import ManualClock
from tests.emulators.symplify_client import AUTH, GOOD, ORDER, Caller
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.emulated_replies import GeneratedBody
from tidewaiter.emulators.file_host import FileHost
from tidewaiter.emulators.request_limit import RequestLimit
from tidewaiter.emulators.symplify import (
    EXPORT_TYPES,
    PERIODS,
    ExportForm,
    SymplifyCustomer,
    SymplifyEmulator,
    SymplifyVariants,
)


async def test_an_export_from_order_to_file(
    symplify: SymplifyEmulator, files: FileHost, caller: Caller, clock: ManualClock
) -> None:
    """Order, wait, link, file: the ten rows arrive, and no credential reached the file host."""
    batch_id = await caller.create()
    clock.at += 100
    assert await caller.word(batch_id) == "FINISHED"
    status, url = await caller.url(batch_id)
    assert (status, url.startswith(f"{files.origin}/result/5004/3232465_result.json?Expires=")) == (200, True)
    status, content = await caller.fetch(url)
    assert (status, len(json.loads(content))) == (200, 10)
    assert json.loads(content)[0]["event"] == "OPENS"
    assert files.violations == []
    (batch,) = symplify.batches
    assert (str(batch.id), batch.export_type, batch.period, batch.polls) == (batch_id, "OPENS", "LAST_DAY", 1)
    assert batch.created_at == clock.at - 100
    assert files.files[batch.result_key].source == content


async def test_progress_by_the_clock(caller: Caller, clock: ManualClock) -> None:
    """PENDING, IN_PROGRESS with growing counts, FINISHED with one row never counted as processed."""
    batch_id = await caller.create()
    seen = []
    for _ in range(5):
        reply = await caller.status(batch_id)
        seen.append((str(reply["status"]).strip(), reply["processed"], reply["total"]))
        clock.at += 25
    assert seen == [
        ("PENDING", 0, 11),
        ("IN_PROGRESS", 2, 11),
        ("IN_PROGRESS", 5, 11),
        ("IN_PROGRESS", 7, 11),
        ("FINISHED", 10, 11),
    ]


async def test_the_shape_of_a_status_reply(caller: Caller, clock: ManualClock) -> None:
    """The members of the vendor's example, with its quirks: the id as a number, blanks, times in milliseconds."""
    start_ms = int(clock.at * 1000)
    batch_id = await caller.create()
    first = await caller.status(batch_id)
    assert first == {
        "id": int(batch_id),
        "type": " STAT_EXPORT",
        "customerId": 5004,
        "startTime": start_ms,
        "endTime": None,
        "affected": 0,
        "processed": 0,
        "total": 11,
        "status": " PENDING ",
    }
    assert (await caller.status(batch_id))["status"] == "PENDING"
    clock.at += 300
    assert (await caller.status(batch_id))["endTime"] == start_ms + 100_000


async def test_each_order_makes_a_batch(symplify: SymplifyEmulator, caller: Caller) -> None:
    """Every POST has its own effect, so that a repeated one is seen by whoever counts."""
    ids = [await caller.create(period=period) for period in sorted(PERIODS)]
    assert len(set(ids)) == len(symplify.batches) == symplify.count("create") == 5


async def test_every_type_can_be_ordered(symplify: SymplifyEmulator, caller: Caller) -> None:
    """All types of the document, and OPENED, which its example uses for OPENS."""
    for export_type in sorted(EXPORT_TYPES):
        await caller.create(exportType=export_type)
    await caller.create(exportType="OPENED")
    assert [batch.export_type for batch in symplify.batches] == [*sorted(EXPORT_TYPES), "OPENS"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (ORDER | {"exportType": "OPEN"}, "Unknown exportType: OPEN"),
        (ORDER | {"period": "LAST_YEAR"}, "Unknown period: LAST_YEAR"),
        ({"exportType": "OPENS"}, "Unknown period: None"),
        ([], "The request body is not an object"),
        (b"exportType=OPENS", "The request body is not JSON"),
    ],
)
async def test_a_bad_order(symplify: SymplifyEmulator, caller: Caller, body: object, said: str) -> None:
    """400, the reason under ``error``, and no batch."""
    status, _, text = await caller.ask("POST", "/exports/statistics", body)
    assert (status, json.loads(text), symplify.batches) == (400, {"error": said}, [])


async def test_a_bad_token(symplify: SymplifyEmulator, caller: Caller, client: aiohttp.ClientSession) -> None:
    """Without the token, or with one that was revoked, nothing is told and nothing happens."""
    for headers in ({}, {"X-Carma-Authentication-Token": "other"}, {"Authorization": "Basic dDBrZW46"}):
        async with client.post(f"{symplify.base_url}/batches/exports/statistics", json=ORDER, headers=headers) as reply:
            assert (reply.status, await reply.json()) == (401, {"error": "Unauthorized"})
    assert symplify.batches == []
    await caller.create()
    symplify.customer = SymplifyCustomer(GOOD[::-1])
    assert (await caller.ask("GET", "/101111"))[0] == 401


async def test_http_basic(clock: ManualClock, files: FileHost, client: aiohttp.ClientSession) -> None:
    """An older installation wants Basic and does not know the token."""
    customer = SymplifyCustomer(GOOD, basic=("me", "påss"))
    async with SymplifyEmulator(clock=clock, files=files, customer=customer) as symplify:
        url = f"{symplify.base_url}/batches/exports/statistics"
        good = {"Authorization": aiohttp.encode_basic_auth("me", "påss", "utf-8")}
        bad = {"Authorization": aiohttp.encode_basic_auth("me", "pass")}
        for headers, status in ((good, 200), (bad, 401), (AUTH, 401)):
            async with client.post(url, json=ORDER, headers=headers) as reply:
                assert reply.status == status
                assert ("WWW-Authenticate" in reply.headers) is (status == 401)


async def test_strangers(symplify: SymplifyEmulator, caller: Caller, client: aiohttp.ClientSession) -> None:
    """Batches and customers that are not there: 404 with an error."""
    await caller.create()
    for batch_id in ("101110", "101112", "0", "9" * 18):
        status, _, text = await caller.ask("GET", f"/{batch_id}")
        assert (status, json.loads(text)) == (404, {"error": f"No such batch: {batch_id}"})
    async with client.get(f"{symplify.origin}/rest/1/batches/101111", headers=AUTH) as reply:
        assert reply.status == 404


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/plain", 200),
        ("*/*", 200),
        ("text/*;q=0.5", 200),
        ("text/html, Text/Plain;q=0.9", 200),
        ("application/json", 406),
        ("application/json, text/plain, */*", 406),
        ("image/png", 406),
    ],
)
async def test_the_link_is_plain_text(caller: Caller, clock: ManualClock, accept: str, status: int) -> None:
    """Whoever accepts JSON, or does not accept plain text, is refused."""
    batch_id = await caller.create()
    clock.at += 100
    assert (await caller.url(batch_id, accept))[0] == status


async def test_the_redirect(caller: Caller, clock: ManualClock, files: FileHost) -> None:
    """The other way to the file: 302 to a signed URL on another origin."""
    batch_id = await caller.create()
    clock.at += 100
    async with caller.client.get(
        f"{caller.symplify.base_url}/batches/{batch_id}/result", headers=AUTH, allow_redirects=False
    ) as reply:
        assert (reply.status, await reply.read()) == (302, b"")
        location = reply.headers["Location"]
    assert location.startswith(files.origin)
    assert (await caller.fetch(location))[0] == 200


async def test_no_link_before_the_end(caller: Caller, clock: ManualClock, files: FileHost) -> None:
    """While the batch is built there is no result, either way."""
    batch_id = await caller.create()
    clock.at += 99
    assert (await caller.url(batch_id))[0] == 404
    assert (await caller.ask("GET", f"/{batch_id}/result"))[0] == 404
    assert files.files == {}


async def test_links_expire(caller: Caller, clock: ManualClock) -> None:
    """A link holds for 300 seconds; a fresh one is to be had for the asking."""
    batch_id = await caller.create()
    clock.at += 100
    _, url = await caller.url(batch_id)
    clock.at += 301
    assert (await caller.fetch(url))[0] == 403
    assert (await caller.fetch((await caller.url(batch_id))[1]))[0] == 200


async def test_a_fresh_link_does_not_bring_a_file_back(caller: Caller, clock: ManualClock, files: FileHost) -> None:
    """What the file host has lost stays lost, however often the API is asked."""
    files.faults.add("file", InjectedFault(FaultKind.GONE))
    batch_id = await caller.create()
    clock.at += 100
    for _ in range(2):
        assert (await caller.fetch((await caller.url(batch_id))[1]))[0] == 404


async def test_content_by_type(clock: ManualClock, files: FileHost, client: aiohttp.ClientSession) -> None:
    """A form for each type: NDJSON, no byte at all, and the JSON array where none is named."""
    content = {"CLICKS": ExportForm.NDJSON, "SENT": ExportForm.EMPTY}
    async with SymplifyEmulator(
        clock=clock,
        files=files,
        customer=SymplifyCustomer(GOOD),
        variants=SymplifyVariants(build_s=0, rows=3),
        content=content,
    ) as symplify:
        caller = Caller(client, symplify)
        got = {}
        for export_type in ("CLICKS", "SENT", "LISTS"):
            _, url = await caller.url(await caller.create(exportType=export_type))
            got[export_type] = (await caller.fetch(url))[1]
    assert [json.loads(line)["contactId"] for line in got["CLICKS"].splitlines()] == [1, 2, 3]
    assert got["SENT"] == b""
    assert [row["name"] for row in json.loads(got["LISTS"])] == ["lists no. 1", "lists no. 2", "lists no. 3"]


async def test_no_rows(clock: ManualClock, files: FileHost, client: aiohttp.ClientSession) -> None:
    """An export of nothing finishes with an empty array."""
    variants = SymplifyVariants(build_s=0, rows=0)
    async with SymplifyEmulator(
        clock=clock, files=files, customer=SymplifyCustomer(GOOD), variants=variants
    ) as symplify:
        caller = Caller(client, symplify)
        batch_id = await caller.create()
        assert await caller.word(batch_id) == "FINISHED"
        assert (await caller.fetch((await caller.url(batch_id))[1]))[1] == b"[]"


async def test_content_by_callable(clock: ManualClock, files: FileHost, client: aiohttp.ClientSession) -> None:
    """A function of type and period says what the file holds, of any size."""
    async with SymplifyEmulator(
        clock=clock,
        files=files,
        customer=SymplifyCustomer(GOOD),
        variants=SymplifyVariants(build_s=0),
        content=lambda export_type, period: GeneratedBody(100_000, len(export_type + period)),
    ) as symplify:
        caller = Caller(client, symplify)
        _, url = await caller.url(await caller.create())
        _, content = await caller.fetch(url)
    assert content == b"".join(GeneratedBody(100_000, len("OPENSLAST_DAY")).chunks(0, 100_000))


async def test_asked_too_often(clock: ManualClock, files: FileHost, client: aiohttp.ClientSession) -> None:
    """One batch may be asked after once a minute; another batch is another matter."""
    variants = SymplifyVariants(min_poll_s=60)
    async with SymplifyEmulator(
        clock=clock, files=files, customer=SymplifyCustomer(GOOD), variants=variants
    ) as symplify:
        caller = Caller(client, symplify)
        first, second = await caller.create(), await caller.create()
        await caller.status(first)
        await caller.status(second)
        clock.at += 59.5
        status, headers, text = await caller.ask("GET", f"/{first}")
        assert (status, json.loads(text)) == (429, {"error": "Too many requests"})
        assert headers["Retry-After"] == "1"
        clock.at += 0.5
        await caller.status(first)
        assert [batch.polls for batch in symplify.batches] == [2, 1]


async def test_the_rate_limit(clock: ManualClock, files: FileHost, client: aiohttp.ClientSession) -> None:
    """More requests than the window holds are refused without effect, until the oldest has left it."""
    limit = RequestLimit(most=2, period_s=60)
    async with SymplifyEmulator(clock=clock, files=files, customer=SymplifyCustomer(GOOD), limit=limit) as symplify:
        caller = Caller(client, symplify)
        await caller.create()
        clock.at += 20
        await caller.create()
        status, headers, _ = await caller.ask("POST", "/exports/statistics", ORDER)
        assert (status, headers["Retry-After"], len(symplify.batches)) == (429, "40", 2)
        assert symplify.busiest_window(60) == 3
        clock.at += 40
        await caller.create()
