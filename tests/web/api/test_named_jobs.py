"""A list of jobs that the caller names, and waiting for all or any of them in one request."""

import asyncio

import pytest

from tests.support.api_server import ApiServer, Reply, new_job
from tidewaiter.domain import outcome as o

WAIT = {"Prefer": "wait=30"}


async def _made(site: ApiServer, count: int) -> list[int]:
    reply = await site.post("/v1/jobs/batch", {"jobs": [new_job()] * count})
    return [one["id"] for one in reply.json["jobs"]]


def _query(numbers: list[int], more: str = "") -> str:
    return "/v1/jobs?" + "&".join(f"id={number}" for number in numbers) + more


def _shown(reply: Reply) -> list[tuple[int, str]]:
    assert reply.status == 200, reply.body
    return [(job["id"], job["state"]) for job in reply.json["jobs"]]


async def test_named_jobs(any_site: ApiServer) -> None:
    """The named jobs come on one page, the newest first; other filters hold; unknown numbers are left out."""
    numbers = await _made(any_site, 70)
    reply = await any_site.get(_query(numbers[5:]))
    assert [job["id"] for job in reply.json["jobs"]] == numbers[:4:-1]
    assert reply.json["next"] is None
    assert _shown(await any_site.get(_query([numbers[3], numbers[3], 999_999]))) == [(numbers[3], "queued")]
    assert _shown(await any_site.get(_query(numbers[:2], "&state=failed"))) == []
    assert _shown(await any_site.get(_query(numbers[:2], "&account=pier"))) == []
    first = await any_site.get(_query(numbers[:3], "&limit=2"))
    rest = await any_site.get(first.json["next"])
    assert [job["id"] for one in (first, rest) for job in one.json["jobs"]] == numbers[2::-1]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        (_query(list(range(1, 102))), "id"),
        ("/v1/jobs?id=x", "id"),
        ("/v1/jobs?id=0", "id"),
        (_query([1], "&until=one"), "until"),
    ],
)
async def test_faults(site: ApiServer, query: str, parameter: str) -> None:
    """Too many numbers, what is no number, and an unknown end are named."""
    assert [one["parameter"] for one in (await site.get(query)).problem(400)["errors"]] == [parameter]


@pytest.mark.slow
@pytest.mark.parametrize("notified", [True, False])
async def test_waiting_for_all(any_site: ApiServer, notified: bool) -> None:
    """The reply comes when the last one has ended, whichever process ended it; parked jobs count as ended."""
    one, two, three = await _made(any_site, 3)
    waiting = asyncio.ensure_future(any_site.get(_query([one, two, three]), headers=WAIT))
    await any_site.step(two, o.Refused("no"), notified=notified)
    await any_site.step(three, o.Intended("i"), o.Unknown("broken"), o.Undecidable("no list"), notified=notified)
    early, _ = await asyncio.wait([waiting], timeout=1.5)
    assert not early
    await any_site.step(one, o.Refused("no"), notified=notified)
    reply = await asyncio.wait_for(waiting, 10)
    assert _shown(reply) == [(three, "parked"), (two, "failed"), (one, "failed")]
    assert reply.headers["Preference-Applied"] == "wait=30"


async def test_waiting_for_any(site: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply comes with the first end, at once if this process commits it, and has all of the jobs as they are."""
    monkeypatch.setattr("tidewaiter.web.api.job_changes._LOOK_S", 60.0)
    one, two = await _made(site, 2)
    waiting = asyncio.ensure_future(site.get(_query([one, two], "&until=any"), headers=WAIT))
    await site.step(two, o.Intended("i"))
    await site.step(two, o.Refused("no"))
    assert _shown(await asyncio.wait_for(waiting, 10)) == [(two, "failed"), (one, "queued")]
    at_once = await asyncio.wait_for(site.get(_query([one, two], "&until=any"), headers=WAIT), 10)
    assert _shown(at_once) == [(two, "failed"), (one, "queued")]


async def test_the_time_is_over(site: ApiServer) -> None:
    """Without an end the jobs are shown as they are; without names nothing is waited for."""
    (one,) = await _made(site, 1)
    reply = await site.get(_query([one]), headers={"Prefer": "wait=0"})
    assert (_shown(reply), reply.headers["Preference-Applied"]) == ([(one, "queued")], "wait=0")
    plain = await asyncio.wait_for(site.get("/v1/jobs", headers=WAIT), 10)
    assert (_shown(plain), "Preference-Applied" in plain.headers) == ([(one, "queued")], False)


@pytest.mark.slow
async def test_too_many_are_waited_for(site: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for many jobs takes as many places; others are told to come later, and who only reads is served."""
    monkeypatch.setattr("tidewaiter.web.api.job_changes.MOST_WATCHED", 3)
    numbers = await _made(site, 3)
    async with asyncio.timeout(20):
        waiting = asyncio.ensure_future(site.get(_query(numbers), headers=WAIT))
        while (refused := await site.get(_query(numbers[:1]), headers={"Prefer": "wait=1"})).status == 200:
            pass  # the first has not come yet
        assert int(refused.headers["Retry-After"]) >= 1
        refused.problem(429)
        assert len(_shown(await site.get(_query(numbers)))) == 3
        for number in numbers:
            await site.step(number, o.Refused("no"))
        await waiting
        assert (await site.get(_query(numbers), headers=WAIT)).status == 200
