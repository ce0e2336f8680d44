"""Server-sent events over a real connection, and what the feed keeps for whom."""

import asyncio
import json
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from tests.support.api_server import ApiServer
from tidewaiter.domain import outcome as o
from tidewaiter.domain.change_feed import JobChange
from tidewaiter.domain.job import Job, State
from tidewaiter.web.api.job_changes import MOST_BEHIND, MOST_HELD, EventFeed

Event = dict[str, Any]


@asynccontextmanager
async def _listening(site: ApiServer, query: str = "", **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """The stream, once it has begun."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with site.session.get(f"{site.base}/v1/events{query}", headers=named) as reply:
        assert reply.status == 200
        assert reply.content_type == "text/event-stream"
        assert await _block(reply) == {"retry": "3000"}
        yield reply


async def _block(reply: aiohttp.ClientResponse) -> Event:
    """The next block of the stream, by field; its data parsed."""
    async with asyncio.timeout(20):
        text = (await reply.content.readuntil(b"\n\n")).decode()
    fields: Event = dict(line.split(": ", 1) for line in text.strip().splitlines())
    if "data" in fields:
        fields["data"] = json.loads(fields["data"])
    return fields


async def test_every_transition_is_told(site: ApiServer) -> None:
    """A job is followed from its submission to its end, each event with what a reader needs."""
    async with _listening(site) as reply:
        job = await site.submitted()
        await site.step(job["id"], o.Intended("i"), o.Accepted("r-1"), o.Refused("no"))
        told = [await _block(reply) for _ in range(4)]
    assert [one["event"] for one in told] == ["job.submitted", "job.advanced", "job.advanced", "job.failed"]
    assert [one["data"]["state"] for one in told] == ["queued", "submitting", "polling", "failed"]
    last = told[-1]["data"]
    assert (last["job"], last["account"], last["operation"]) == (job["id"], "quay", "report")
    assert (last["state_from"], last["outcome"]) == ("polling", "Refused")
    assert last["at"].endswith("Z")


async def test_filters(site: ApiServer) -> None:
    """Only what fits account, state and job is told."""
    job = await site.submitted()
    async with _listening(site, f"?account=quay&state=polling&state=failed&job={job['id']}") as reply:
        other = await site.submitted()
        await site.submitted(account="pier")
        await site.step(other["id"], o.Refused("no"))
        await site.step(job["id"], o.Intended("i"), o.Accepted("r-1"), o.Refused("no"))
        told = [await _block(reply) for _ in range(2)]
    assert [(one["data"]["job"], one["data"]["state"]) for one in told] == [
        (job["id"], "polling"), (job["id"], "failed"),
    ]  # fmt: skip
    for query in ("?job=x", "?state=asleep", "?colour=red"):
        (await site.get(f"/v1/events{query}")).problem(400)


async def test_a_reader_comes_back(site: ApiServer) -> None:
    """Who names the last event that it saw is told what came since; who names a strange one is told to begin anew."""
    async with _listening(site) as reply:
        await site.submitted()
        first = await _block(reply)
    second = await site.submitted()
    async with _listening(site, Last_Event_ID=first["id"]) as reply:
        assert (await _block(reply))["data"]["job"] == second["id"]
    reset: Event = {}
    for strange in ("00000000-1", "x", first["id"] + "9", "-"):
        async with _listening(site, Last_Event_ID=strange) as reply:
            reset = await _block(reply)
            assert (reset["event"], list(reset["data"])) == ("reset", ["reason"])
    async with _listening(site, Last_Event_ID=reset["id"]) as reply:
        third = await site.submitted()
        assert (await _block(reply))["data"]["job"] == third["id"]


async def test_what_was_missed_is_told_in_pieces(site: ApiServer) -> None:
    """Thousands of events are not made in one go: each piece on the wire has 250 at most, and none is missing."""
    async with _listening(site) as reply:
        await site.submitted()
        first = await _block(reply)
    for number in range(1_000):
        site.tell(_change(number))
    sizes = [0]
    async with _listening(site, Last_Event_ID=first["id"]) as reply, asyncio.timeout(20):
        async for data, is_end in reply.content.iter_chunks():
            sizes[-1] += data.count(b"event: ")
            if sum(sizes) >= 1_000:
                break
            sizes += [0] if is_end else []
    assert sum(sizes) == 1_000
    assert max(sizes) <= 250


def _change(number: int) -> JobChange:
    job = Job(number, 1, "quay", "report", {}, State.QUEUED, 1, None, 0.0, 0.0)
    return JobChange("job.submitted", job, None, "Submitted", 0.0)


async def test_a_slow_reader_is_let_go() -> None:
    """A reader that does not take what comes is marked as behind, holds a bounded number, and others go on."""
    feed = EventFeed("boot")
    slow, quick = feed.join(), feed.join()
    taken = 0
    for number in range(MOST_BEHIND + 5):
        feed.on_change(_change(number))
        taken += len(await quick.next())
    assert (slow.is_behind, quick.is_behind) == (True, False)
    assert taken == MOST_BEHIND + 5
    assert len(await slow.next()) == MOST_BEHIND


def test_what_is_held_is_bounded() -> None:
    """After so many events the first are gone, and who saw the last of those is told that nobody can tell."""
    feed = EventFeed("boot")
    for number in range(MOST_HELD + 10):
        feed.on_change(_change(number))
    assert feed.since("boot-9") is None
    held = feed.since("boot-10")
    assert held is not None
    assert len(held) == MOST_HELD
    assert feed.since(feed.last_id) == []


class _Parameters(dict[str, Any]):
    """Parameters of which can be seen whether anybody still has them."""


def test_what_is_held_does_not_hold_the_jobs() -> None:
    """The feed and a reader that is behind keep what they tell of a change, not the job, however large that is."""
    feed = EventFeed("boot")
    reader = feed.join()
    parameters = _Parameters(filter="x" * 60_000)
    alive = weakref.ref(parameters)
    feed.on_change(replace(_change(1), job=_change(1).job.but(params=parameters)))
    del parameters
    assert alive() is None
    assert feed.since("boot-0") is not None
    feed.leave(reader)


async def test_the_stream_ends_with_the_listener(site: ApiServer) -> None:
    """A reader that is there when the process ends sees the stream's end, not a broken connection."""
    feed = EventFeed("boot")
    reader = feed.join()
    waiting = asyncio.ensure_future(reader.next())
    await asyncio.sleep(0)
    feed.close()
    assert await asyncio.wait_for(waiting, 5) == []
    assert reader.has_ended


@pytest.mark.parametrize("number", [64])
async def test_as_many_readers_as_are_served(site: ApiServer, number: int) -> None:
    """One reader more than are served is refused for a while, and served when another has gone."""
    opened = [await site.session.get(f"{site.base}/v1/events") for _ in range(number)]
    refused = await site.get("/v1/events")
    refused.problem(429)
    assert int(refused.headers["Retry-After"]) > 0
    for one in opened:
        one.close()
