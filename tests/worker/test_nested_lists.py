"""Files whose links are in lists: paged, nested, and with or without a remote job; by a real daemon."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, Running, answering, config_for, daemon_for, open_provider, serving
from tests.support.spec_samples import job_with
from tests.support.stored_jobs import NOW
from tests.worker.executor_setup import open_executor
from tidewaiter.database.engine import Database
from tidewaiter.domain.job import State
from tidewaiter.domain.outcome import Retry

OWN_HEAD = """
name = "demo"
title = "Demo"
base_url = "${account.server}"
[account]
server = { type = "url", help = "the server" }
password = { help = "the password", secret = true }
[operations.report]
title = "Report"
"""
STANDING = """
[operations.report.params]
app = { help = "the app" }

[operations.report.results]
rules = [{ status = 409, then = "pending" }]

[[operations.report.results.lists]]
url = "/apps/${params.app}/reports"
items = "data"
next_url = "links.next"
values = { report = "id", name = "attributes.name" }

[[operations.report.results.lists]]
url = "/reports/${item.report}/instances"
query = { page = "${page.number}" }
items = "data"
size = 2
values = { instance = "id" }

[[operations.report.results.lists]]
url = "/instances/${item.instance}/segments"
items = "data"

[operations.report.results.files]
url = "href"
label = "name"
values = { part = "part" }
download = { headers = { X-Report = "${item.name}", X-Part = "${item.part}" } }
"""


def _page(*ids: str, after: str | None = None) -> dict[str, object]:
    data = [{"id": one, "attributes": {"name": f"n-{one}"}} for one in ids]
    return {"data": data, "links": {} if after is None else {"next": after}}


def _instances(ids: Mapping[str, list[str]]) -> dict[str, Answer]:
    async def answer(request: web.Request) -> web.StreamResponse:
        every, start = ids[request.path.split("/")[2]], 2 * (int(request.query["page"]) - 1)
        return web.json_response(_page(*every[start : start + 2]))

    return {f"GET /reports/{report}/instances": answer for report in ids}


def _segments(*names: str) -> Answer:
    return answering({"data": [{"href": f"/files/{name}", "name": name, "part": 1} for name in names]})


async def _file(request: web.Request) -> web.StreamResponse:
    told = request.headers.get("X-Report"), request.headers.get("X-Part")
    return web.Response(text=f"{request.path.rpartition('/')[2]} {told[0]} {told[1]}")


def _answers() -> dict[str, Answer]:
    """Two pages of reports; one of them has three instances, one has none; four files in all."""

    async def reports(request: web.Request) -> web.StreamResponse:
        first = "page" not in request.query
        return web.json_response(_page("r1", "r2", after="/apps/a%2F1/reports?page=2") if first else _page("r3"))

    return {
        "GET /apps/a/1/reports": reports,
        **_instances({"r1": ["i1", "i2", "i3"], "r2": [], "r3": ["i4"]}),
        "GET /instances/i1/segments": _segments("a.csv", "b.csv"),
        "GET /instances/i2/segments": _segments(),
        "GET /instances/i3/segments": _segments("c.csv"),
        "GET /instances/i4/segments": _segments("d.csv"),
        **{f"GET /files/{one}.csv": _file for one in "abcd"},
    }


async def _files(running: Running, job_id: int) -> dict[str, str]:
    return {one.label: (running.root / one.key).read_text() for one in await running.jobs.artifacts(job_id)}


WHOLE = {"a.csv": "a.csv n-r1 1", "b.csv": "b.csv n-r1 1", "c.csv": "c.csv n-r1 1", "d.csv": "d.csv n-r3 1"}


async def test_three_lists_lead_to_the_files(tmp_path: Path, sqlite_url: str) -> None:
    """Nothing is submitted; values of every level reach the file's request; an empty list is no fault."""
    async with serving(tmp_path, sqlite_url, STANDING, _answers()) as (shop, running):
        job = await running.run(app="a/1")
        assert (job.state, job.reason) == (State.SUCCEEDED, None)
        assert await _files(running, job.id) == WHOLE
        assert (job.submits, job.polls, job.fetches) == (0, 0, 1)
        manifest = await running.manifest(job)
    assert [one["label"] for one in manifest["artifacts"]] == sorted(WHOLE)  # type: ignore[attr-defined]  # JSON
    lists = [asked.removeprefix("GET ") for asked in shop.asked if "files" not in asked]
    assert lists == [
        "/apps/a%2F1/reports",
        "/reports/r1/instances?page=1", "/instances/i1/segments", "/instances/i2/segments",
        "/reports/r1/instances?page=2", "/instances/i3/segments",
        "/reports/r2/instances?page=1",
        "/apps/a%2F1/reports?page=2",
        "/reports/r3/instances?page=1", "/instances/i4/segments",
    ]  # fmt: skip


async def test_lists_without_any_file_are_a_success(tmp_path: Path, sqlite_url: str) -> None:
    """The manifest lists nothing."""
    answers: dict[str, Answer] = {"GET /apps/a/reports": answering(_page())}
    async with serving(tmp_path, sqlite_url, STANDING, answers) as (_, running):
        job = await running.run(app="a")
        assert job.state is State.SUCCEEDED
        assert (await running.manifest(job))["artifacts"] == []


async def test_a_file_that_is_listed_twice_lands_once(tmp_path: Path, sqlite_url: str) -> None:
    """An item that moves to the next page while the list is read comes again, and is the same link."""
    answers = _answers() | {"GET /instances/i4/segments": _segments("a.csv")}
    answers["GET /reports/r3/instances"] = answering(_page("i4"))
    spec = STANDING.replace('X-Report = "${item.name}", ', "")
    async with serving(tmp_path, sqlite_url, spec, answers) as (shop, running):
        job = await running.run(app="a/1")
        assert sorted(await _files(running, job.id)) == ["a.csv", "b.csv", "c.csv"]
    assert shop.times("GET /files/a.csv") == 1


@pytest.mark.slow
async def test_the_rules_of_the_results_hold_for_lists(tmp_path: Path, sqlite_url: str) -> None:
    """A list that is not there yet is waited for, without charge."""
    replies = iter([409, 409])

    async def late(_: web.Request) -> web.StreamResponse:
        status = next(replies, 200)
        return web.json_response(_page("i4"), status=status, headers={"Retry-After": "0"})

    answers = _answers() | {"GET /reports/r3/instances": late}
    async with serving(tmp_path, sqlite_url, STANDING, answers) as (_, running):
        job = await running.run(app="a/1")
        assert (job.state, job.failures) == (State.SUCCEEDED, 0)
        assert await _files(running, job.id) == WHOLE


INSTANCES, SEGMENTS = "GET /reports/r1/instances", "GET /instances/i1/segments"
LIES = [
    (
        INSTANCES,
        {"data": [{"id": None}]},
        "an item of list 2 of 3 lacks instance, which the address of the next list needs",
    ),
    (
        INSTANCES,
        {"data": [{"id": ".."}]},
        "the request for the next list cannot be built from an item of list 2 of 3: '..'",
    ),
    (SEGMENTS, {"data": [{"name": "x"}]}, "a file is listed with a URL that cannot be used, it is no text"),
    (SEGMENTS, {"data": [{"href": "ftp://x"}]}, "a file is listed with a URL that cannot be used"),
]


@pytest.mark.parametrize(("path", "reply", "reason"), LIES)
async def test_a_list_that_lies_lands_nothing(
    path: str, reply: object, reason: str, tmp_path: Path, database: Database
) -> None:
    """The reason names the place, the step is tried again later, and no file is skipped."""
    job = replace(job_with(None, {"app": "a/1"}), state=State.FETCHING, ready_at=NOW, deadline_at=NOW + 3600)
    async with (
        open_provider(_answers() | {path: answering(reply)}) as shop,
        open_executor(database, tmp_path, job, spec=OWN_HEAD + STANDING, server=shop.url) as setup,
    ):
        outcome = await setup.take()
    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith(reason)
    assert not setup.step.artifacts
    assert shop.times("GET /files") == 0


CIRCLE = _page("r1", after="/apps/a%2F1/reports")
HUGE = {"data": [{"href": f"/files/{number}"} for number in range(2001)]}
MANY = {"data": [{"id": f"i{number}"} for number in range(3000)]}


@pytest.mark.parametrize(
    ("path", "reply", "reason"),
    [
        ("GET /apps/a/1/reports", CIRCLE, "the list goes in circles"),
        (
            "GET /reports/r1/instances",
            MANY,
            "the provider lists more than 2000 files: raise accounts.shop.bounds.most_files",
        ),
        (
            "GET /instances/i1/segments",
            {"data": [{"href": f"/files/{number}"} for number in range(2001)]},
            "the provider lists more than 2000 files: raise accounts.shop.bounds.most_files",
        ),
    ],
)
async def test_a_list_without_end_is_refused(
    path: str, reply: object, reason: str, tmp_path: Path, sqlite_url: str
) -> None:
    """The bounds hold over all levels."""
    answers = _answers() | {path: answering(reply)}
    account = "bounds = { most_files = 2000 }"
    async with serving(tmp_path, sqlite_url, STANDING, answers, account) as (_, running):
        job = await running.run(app="a/1")
        assert job.state is State.FAILED
        assert reason in (job.reason or "")
        assert not await running.jobs.artifacts(job.id)


async def test_another_origin_gets_no_credentials(tmp_path: Path, sqlite_url: str) -> None:
    """A list whose next page is elsewhere is followed, without the account's token."""
    seen: list[str | None] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization"))
        return web.json_response(_page())

    async with open_provider({"GET /more": elsewhere}) as other:
        answers = _answers() | {"GET /apps/a/1/reports": answering(_page("r3", after=f"{other.url}/more"))}
        spec = STANDING + '[auth]\ntype = "bearer"\ntoken = "canary-token"\n'
        async with serving(tmp_path, sqlite_url, spec, answers) as (_, running):
            job = await running.run(app="a/1")
            assert (job.state, sorted(await _files(running, job.id))) == (State.SUCCEEDED, ["d.csv"])
    assert seen == [None]


@pytest.mark.slow
async def test_a_listing_that_was_interrupted_begins_again(tmp_path: Path, sqlite_url: str) -> None:
    """The daemon stops while it asks for a list, and another while a file comes; landed files stay."""
    waiting, answers = asyncio.Event(), _answers()
    stuck = {"GET /instances/i4/segments", "GET /files/c.csv"}

    def until_killed(path: str, answer: Answer) -> Answer:
        async def hang(request: web.Request) -> web.StreamResponse:
            if path in stuck:
                stuck.discard(path)
                waiting.set()
                await asyncio.sleep(60)
            return await answer(request)

        return hang

    async with open_provider({path: until_killed(path, answer) for path, answer in answers.items()}) as shop:
        config = config_for(tmp_path, STANDING, shop.url, sqlite_url)
        config = config.model_copy(update={"worker": config.worker.model_copy(update={"drain_s": 0.1})})
        async with daemon_for(config) as running:
            job = await running.submit(app="a/1")
            await waiting.wait()
        waiting.clear()
        async with daemon_for(config):
            await waiting.wait()
        async with daemon_for(config) as running:
            job = await running.until(job.id)
            assert job.state is State.SUCCEEDED
            assert await _files(running, job.id) == WHOLE
            assert (await running.manifest(job))["artifacts"]
    assert shop.times("GET /files/a.csv") == 1
    assert shop.times("GET /apps") == 6


async def test_a_remote_job_has_lists(tmp_path: Path, sqlite_url: str) -> None:
    """After the poll, a reply without items is one item: a link for each part of a result."""
    spec = """
[operations.report.submit]
url = "/statements"
handle = "id"
[operations.report.poll]
url = "/statements/${handle}"
rules = [{ json = "chunks", then = "ready" }]
[[operations.report.results.lists]]
url = "/statements/${handle}"
items = "chunks"
values = { chunk = "index" }
[[operations.report.results.lists]]
method = "POST"
url = "/statements/${handle}/link"
json = { chunk = "${item.chunk}" }
[operations.report.results.files]
each = "links"
url = "url"
"""

    async def link(request: web.Request) -> web.StreamResponse:
        chunk = (await request.json())["chunk"]
        return web.json_response({"links": [{"url": f"/files/{chunk}.csv"}]})

    answers = {
        "POST /statements": answering({"id": "s1"}),
        "GET /statements/s1": answering({"chunks": [{"index": 0}, {"index": 1}]}),
        "POST /statements/s1/link": link,
        "GET /files/0.csv": answering(b"zero"),
        "GET /files/1.csv": answering(b"one"),
    }
    async with serving(tmp_path, sqlite_url, spec, answers) as (_, running):
        job = await running.run()
        assert job.state is State.SUCCEEDED
        assert await _files(running, job.id) == {"0.csv": "zero", "1.csv": "one"}
