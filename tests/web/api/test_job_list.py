"""Lists of jobs: filters, the search, and pages."""

from urllib.parse import quote

import pytest

from tests.support.api_server import ApiServer
from tidewaiter.domain import outcome as o
from tidewaiter.domain.manifest import Artifact


async def _numbers(site: ApiServer, query: str = "") -> list[int]:
    reply = await site.get(f"/v1/jobs{query}")
    assert reply.status == 200, reply.body
    return [job["id"] for job in reply.json["jobs"]]


async def test_filters(any_site: ApiServer) -> None:
    """Every filter leaves what fits it, the newest first, and they work together."""
    site = any_site
    one = await site.submitted(unique_key="a-1")
    two = await site.submitted(account="pier", unique_key="a-2")
    three = await site.submitted(operation="listing", params={})
    await site.step(two["id"], o.Intended("intent"), o.Accepted("handle/7"))
    numbers = [three["id"], two["id"], one["id"]]
    assert await _numbers(site) == numbers
    assert await _numbers(site, "?account=pier") == [two["id"]]
    assert await _numbers(site, "?account=quay") == [three["id"], one["id"]]
    assert await _numbers(site, "?operation=listing") == [three["id"]]
    assert await _numbers(site, "?account=quay&operation=report&state=queued") == [one["id"]]
    assert await _numbers(site, "?state=polling") == [two["id"]]
    assert await _numbers(site, "?state=polling&state=queued") == numbers
    assert await _numbers(site, "?unique_key=a-1") == [one["id"]]
    assert await _numbers(site, "?unique_key=a-") == []
    before, after = quote(two["created_at"]), quote("2020-01-01T00:00:00+02:00")
    assert two["id"] not in await _numbers(site, f"?created_before={before}")
    assert await _numbers(site, f"?created_after={after}") == numbers
    assert await _numbers(site, f"?created_before={after}") == []
    assert await _numbers(site, "?account=nobody") == []


async def test_search(any_site: ApiServer) -> None:
    """One text finds a job by its number or handle, and jobs by the beginning of their key or operation."""
    site = any_site
    one = await site.submitted(unique_key="Daily-ä-1")
    two = await site.submitted(unique_key="Daily-ä-2")
    three = await site.submitted(operation="listing", params={})
    await site.step(one["id"], o.Intended("intent"), o.Accepted("handle/7"))
    assert await _numbers(site, f"?q={one['id']}") == [one["id"]]
    assert await _numbers(site, "?q=handle/7") == [one["id"]]
    assert await _numbers(site, "?q=handle") == []
    assert await _numbers(site, f"?q={quote('Daily-ä')}") == [two["id"], one["id"]]
    assert await _numbers(site, f"?q={quote('Daily-ä-2')}") == [two["id"]]
    assert await _numbers(site, "?q=daily") == []
    assert await _numbers(site, "?q=list") == [three["id"]]
    assert await _numbers(site, "?q=Daily&state=queued") == [two["id"]]
    assert await _numbers(site, f"?q={quote('%')}") == []
    assert await _numbers(site, "?q=" + "9" * 60) == []


async def test_search_by_parameter_and_file(any_site: ApiServer) -> None:
    """A parameter as name=value and the name of a landed file find their jobs, in whole words only."""
    site = any_site
    one = await site.submitted(params={"period": "LAST_DAY"})
    two = await site.submitted(params={"period": "LAST_WEEK"})
    landed = Artifact(0, "report.csv", "", "k", 1, "", "text/csv", 0.0)
    await site.step(two["id"], o.Intended("intent"), o.Accepted("handle/7"), o.Ready(), o.Stored((landed,)))
    assert await _numbers(site, f"?q={quote('period=LAST_DAY')}") == [one["id"]]
    assert await _numbers(site, f"?q={quote('period=LAST')}") == []
    assert await _numbers(site, "?q=report.csv") == [two["id"]]
    assert await _numbers(site, "?q=report.csv&state=failed") == []


async def test_search_by_reason(any_site: ApiServer) -> None:
    """A part of a reason finds unhandled failures, in any case, but no handled one; a number stays a job's number."""
    site = any_site
    failed = [(await site.submitted())["id"] for _ in range(2)]
    for number in failed:
        await site.step(number, o.Intended("i"), o.Refused("HTTP 422: Segment 100% of spring is missing"))
    assert await _numbers(site, "?q=segment") == failed[::-1]
    assert await _numbers(site, f"?q={quote('100% of')}") == failed[::-1]
    assert await _numbers(site, f"?q={quote('1__% of')}") == []
    assert await _numbers(site, "?q=422") == []
    assert await _numbers(site, "?q=segment&account=pier") == []
    await site.post(f"/v1/jobs/{failed[0]}/acknowledge")
    assert await _numbers(site, "?q=segment") == [failed[1]]


async def test_a_cause_finds_its_failures(any_site: ApiServer) -> None:
    """Failures with one cause are a list, also without any other filter."""
    site = any_site
    failed = [(await site.submitted())["id"] for _ in range(3)]
    for number in failed[:2]:
        await site.step(number, o.Intended("i"), o.Refused(f"report {number} is missing"))
    await site.step(failed[2], o.Intended("i"), o.Refused("no"))
    cause = (await site.get(f"/v1/jobs/{failed[0]}")).json["cause"]
    assert await _numbers(site, f"?cause={quote(cause)}") == [failed[1], failed[0]]
    assert await _numbers(site, f"?cause={quote(cause)}&state=expired") == []


async def test_pages(site: ApiServer) -> None:
    """Pages follow one another by Link and by ``next``; the last has neither, and jobs made meanwhile shift nothing."""
    made = [(await site.submitted())["id"] for _ in range(5)]
    reply = await site.get("/v1/jobs?limit=2&account=quay")
    seen = [job["id"] for job in reply.json["jobs"]]
    await site.submitted()
    while reply.json["next"] is not None:
        assert reply.headers["Link"] == f'<{reply.json["next"]}>; rel="next"'
        reply = await site.get(reply.json["next"])
        seen += [job["id"] for job in reply.json["jobs"]]
    assert seen == sorted(made, reverse=True)
    assert "Link" not in reply.headers


async def test_a_cursor_is_for_its_filters(site: ApiServer) -> None:
    """A cursor that was tampered with, cut, made up, or made for other filters or another list is refused."""
    for _ in range(3):
        await site.submitted()
    cursor = (await site.get("/v1/jobs?limit=1&state=queued")).json["next"].rsplit("=", 1)[1]
    assert (await site.get(f"/v1/jobs?limit=2&state=queued&cursor={cursor}")).status == 200
    for query in (
        f"limit=1&cursor={cursor}",
        f"state=polling&cursor={cursor}",
        f"state=queued&cursor={cursor[:-1]}",
        f"state=queued&cursor=B{cursor[1:]}",
        "cursor=3",
        "cursor=%2F%2F%2F%3D",
        "cursor=" + "A" * 24,
        "cursor=%D9%A3",
    ):
        problem = (await site.get(f"/v1/jobs?{query}")).problem(400)
        assert [one["parameter"] for one in problem["errors"]] == ["cursor"]
    plain = (await site.get("/v1/jobs?limit=1")).json["next"].rsplit("=", 1)[1]
    (await site.get(f"/v1/notifications?cursor={plain}")).problem(400)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("limit=1&limit=2", "limit"),
        ("state=sleeping", "state"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-11-21T14:00:00", "created_after"),
        ("created_before=0001-01-01T00:00:00%2B23:59", "created_before"),
        ("created_before=2026-02-30T00:00:00Z", "created_before"),
        ("account=", "account"),
        ("q=%00", "q"),
        ("colour=red", "colour"),
    ],
)
async def test_faults_of_the_query(site: ApiServer, query: str, parameter: str) -> None:
    """What is wrong with a query is told by the parameter's name."""
    problem = (await site.get(f"/v1/jobs?{query}")).problem(400)
    assert [one["parameter"] for one in problem["errors"]] == [parameter]
