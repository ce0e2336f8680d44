"""Symplify's export, wrong in every way that it can be told."""

import json

import aiohttp
import pytest

from tests.emulators.manual_clock import ManualClock
from tests.emulators.symplify_client import ORDER, Caller
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.symplify import SymplifyEmulator


async def test_a_lost_reply_leaves_a_batch(symplify: SymplifyEmulator, caller: Caller) -> None:
    """The connection breaks after the order was taken: the batch exists, once, though nobody was told its id."""
    symplify.faults.add("create", InjectedFault(FaultKind.RESET_AFTER))
    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.create()
    assert len(symplify.batches) == 1


async def test_a_lost_order_leaves_none(symplify: SymplifyEmulator, caller: Caller) -> None:
    """The connection breaks before the order was read: there is no batch."""
    symplify.faults.add("create", InjectedFault(FaultKind.RESET_BEFORE))
    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.create()
    assert symplify.batches == []


async def test_errors_are_worded_by_the_api(symplify: SymplifyEmulator, caller: Caller) -> None:
    """A told refusal carries ``error``; an outage is a page of HTML."""
    symplify.faults.add("create", InjectedFault(FaultKind.THROTTLE))
    symplify.faults.add("create", InjectedFault(FaultKind.UNAVAILABLE, status=502))
    status, _, text = await caller.ask("POST", "/exports/statistics", ORDER)
    assert (status, json.loads(text)) == (429, {"error": "Too many requests"})
    status, _, text = await caller.ask("POST", "/exports/statistics", ORDER)
    assert (status, "<html>" in text) == (502, True)


async def test_an_unknown_word(symplify: SymplifyEmulator, caller: Caller) -> None:
    """One reply carries a status that no document names, the next one a good one."""
    symplify.faults.add("status", InjectedFault(FaultKind.UNKNOWN_WORD))
    symplify.faults.add("status", InjectedFault(FaultKind.UNKNOWN_WORD, text="SUSPENDED"))
    batch_id = await caller.create()
    assert [await caller.word(batch_id) for _ in range(3)] == ["ARCHIVING", "SUSPENDED", "PENDING"]


async def test_a_batch_that_never_ends(symplify: SymplifyEmulator, caller: Caller, clock: ManualClock) -> None:
    """It comes near its end, its counts stand still, and there is never a result."""
    symplify.faults.add("create", InjectedFault(FaultKind.NEVER_ENDS))
    batch_id = await caller.create()
    for _ in range(3):
        clock.at += 10_000
        reply = await caller.status(batch_id)
        assert (str(reply["status"]).strip(), reply["processed"]) == ("IN_PROGRESS", 9)
    assert (await caller.url(batch_id))[0] == 404


async def test_a_batch_that_is_gone(symplify: SymplifyEmulator, caller: Caller) -> None:
    """Told on the creation it is never found; told on a status reply it is missing just then."""
    symplify.faults.add("create", InjectedFault(FaultKind.GONE))
    gone, good = await caller.create(), await caller.create()
    assert [(await caller.ask("GET", f"/{gone}"))[0] for _ in range(2)] == [404, 404]
    symplify.faults.add("status", InjectedFault(FaultKind.GONE))
    assert [(await caller.ask("GET", f"/{good}"))[0] for _ in range(2)] == [404, 200]


@pytest.mark.parametrize("route", ["url", "result"])
async def test_a_result_that_is_gone(
    symplify: SymplifyEmulator, caller: Caller, clock: ManualClock, route: str
) -> None:
    """The batch says FINISHED, but there is no link to be had."""
    symplify.faults.add(route, InjectedFault(FaultKind.GONE))
    batch_id = await caller.create()
    clock.at += 100
    assert await caller.word(batch_id) == "FINISHED"
    path = {"url": "/result/url", "result": "/result"}[route]
    assert (await caller.ask("GET", f"/{batch_id}{path}", Accept="text/plain"))[0] == 404


async def test_a_flapping_status(symplify: SymplifyEmulator, caller: Caller, clock: ManualClock) -> None:
    """FINISHED, then PENDING with nothing processed, then FINISHED again; the result is there all the while."""
    symplify.faults.add("create", InjectedFault(FaultKind.FLAPPING))
    batch_id = await caller.create()
    clock.at += 100
    assert [await caller.word(batch_id) for _ in range(4)] == ["FINISHED", "PENDING", "FINISHED", "PENDING"]
    assert (await caller.url(batch_id))[0] == 200


async def test_a_batch_that_fails(symplify: SymplifyEmulator, caller: Caller, clock: ManualClock) -> None:
    """Told on the creation, ERROR stands where FINISHED would; told on a status reply, it comes at once."""
    symplify.faults.add("create", InjectedFault(FaultKind.ERROR_STATUS))
    batch_id = await caller.create()
    clock.at += 50
    assert await caller.word(batch_id) == "IN_PROGRESS"
    clock.at += 50
    assert await caller.word(batch_id) == "ERROR"
    assert (await caller.url(batch_id))[0] == 404
    symplify.faults.add("status", InjectedFault(FaultKind.ERROR_STATUS))
    assert await caller.word(await caller.create()) == "ERROR"


@pytest.mark.parametrize("route", ["url", "create"])
async def test_a_link_that_is_born_expired(
    symplify: SymplifyEmulator, caller: Caller, clock: ManualClock, route: str
) -> None:
    """Told on ``url`` one link is out of date and the next one good; told on the creation, all of them are."""
    symplify.faults.add(route, InjectedFault(FaultKind.LINK_EXPIRED))
    batch_id = await caller.create()
    clock.at += 100
    statuses = [(await caller.fetch((await caller.url(batch_id))[1]))[0] for _ in range(2)]
    assert statuses == [403, 200 if route == "url" else 403]
