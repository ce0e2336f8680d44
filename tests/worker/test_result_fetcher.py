"""Several files: effects on the account and the host apply at once, and files are kept by identity."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import (
    Answer,
    Running,
    answering,
    config_for,
    daemon_for,
    in_turn,
    open_provider,
    serving,
)
from tests.worker.file_lists import LISTED, lists, reason_to_wait
from tidewaiter.config import load
from tidewaiter.domain.job import State

TWO_WAYS = """
[operations.report.params]
way = { help = "how the files are found", enum = ["asked", "listed"] }

[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ then = "ready" }]

[[operations.report.results]]
when = { params.way = "asked" }
ASKS

[[operations.report.results]]
when = { params.way = "listed" }
send_auth = false
files = [{ each = "files", label = "name" }]
"""


async def reset(request: web.Request) -> web.StreamResponse:
    """The connection is closed without a reply."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def folder(running: Running) -> dict[str, bytes]:
    """The files of the one job, by name."""
    (manifest,) = running.root.glob("shop/report/*/*/*/*/manifest.json")
    return {path.name: path.read_bytes() for path in manifest.parent.iterdir() if path != manifest}


async def contents(running: Running, job_id: int) -> list[bytes]:
    """The job's files in the order of their numbers, which are those of the list; manifest, rows and folder agree."""
    artifacts = await running.jobs.artifacts(job_id)
    assert [one.number for one in artifacts] == list(range(len(artifacts)))
    (path,) = running.root.glob(f"shop/report/*/*/*/{job_id}/manifest.json")
    job = await running.jobs.get(job_id)
    assert job is not None
    listed = (await running.manifest(job))["artifacts"]
    assert isinstance(listed, list)
    assert [(one["number"], one["key"], one["name"]) for one in listed] == [
        (one.number, one.key, one.name) for one in artifacts
    ]
    assert all("identity" not in one for one in listed)
    assert {one.name for one in artifacts} == {each.name for each in path.parent.iterdir()} - {path.name}
    return [(running.root / one.key).read_bytes() for one in artifacts]


@pytest.mark.slow
async def test_the_gravest_outcome_counts(tmp_path: Path, sqlite_url: str) -> None:
    """A reset of the first file and a 429 on the second throttle the account; the job is charged nothing."""
    busy = answering(b"", status=429, headers={"Retry-After": "1"})
    answers = lists([("/a", "a"), ("/b", "b")]) | {
        "GET /a": in_turn(reset, answering(b"A")),
        "GET /b": in_turn(busy, answering(b"B")),
    }
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (_, running):
        job = await running.run()
        assert await contents(running, job.id) == [b"A", b"B"]
        assert "429" in str((await running.logged("account.paused"))[0]["reason"])
        outcomes = await running.outcomes(job.id)
    assert (job.state, job.fetches) == (State.SUCCEEDED, 1)
    assert "Throttled" in outcomes
    assert "Retry" not in outcomes


@pytest.mark.slow
async def test_a_closed_account_is_asked_for_nothing_more_in_the_step(tmp_path: Path, sqlite_url: str) -> None:
    """Files of other hosts land meanwhile."""
    async with open_provider({"GET /c": answering(b"C")}) as host:
        busy = answering(b"", status=429, headers={"Retry-After": "1"})
        answers = lists([("/a", "a"), ("/b", "b"), (f"{host.url}/c", "c")]) | {
            "GET /a": in_turn(busy, answering(b"A")),
            "GET /b": answering(b"B"),
        }
        async with serving(tmp_path, sqlite_url, LISTED, answers) as (shop, running):
            job = await running.submit()
            await running.logged("account.paused")
            first = await running.logged("file.landed")
            assert str(first[0]["key"]).endswith("c")
            assert shop.times("GET /b") == 0
            job = await running.until(job.id)
            assert await contents(running, job.id) == [b"A", b"B", b"C"]
    assert job.fetches == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "asks",
    [
        'url = "/slow"',
        'resolve = { url = "/slow", link = "url" }',
        'pages = { url = "/slow", query = { from = "${page.next}" }, items = "items", next = "next" }',
    ],
)
async def test_what_waits_for_a_closed_account_leaves_its_slot(tmp_path: Path, sqlite_url: str, asks: str) -> None:
    """Whatever a download has to ask its provider for: with one slot, a download from another host goes on."""
    polled, polls = asyncio.Event(), 0

    async def poll(_: web.Request) -> web.StreamResponse:
        nonlocal polls
        polls += 1
        if polls == 2:
            polled.set()
        return web.json_response({"files": [{"url": f"{host.url}/c", "name": "c"}]})

    async def busy(_: web.Request) -> web.StreamResponse:
        await polled.wait()
        return web.Response(status=429, headers={"Retry-After": "600"})

    async with (
        open_provider({"GET /c": in_turn(reset, answering(b"C"))}) as host,
        open_provider({"POST /jobs": answering({"id": 1}, {"id": 2}), "GET /slow": busy}) as shop,
    ):
        shop.answers |= {"GET /jobs/1": poll, "GET /jobs/2": poll}
        config_for(tmp_path, TWO_WAYS.replace("ASKS", asks), shop.url, sqlite_url)
        file = tmp_path / "tidewaiter.toml"
        file.write_text(file.read_text().replace("[worker]", "[worker]\ndownloads = 1"))
        async with daemon_for(load(file, {})) as running:
            asking = await running.submit(way="asked")
            other = await running.submit(way="listed")
            await running.logged("account.paused")
            other = await running.until(other.id)
            assert await contents(running, other.id) == [b"C"]
            assert "the account is closed for" in await reason_to_wait(running, asking.id)
            asking = await running.until(asking.id, State.FETCHING)
            assert (asking.failures, shop.times("GET /slow")) == (0, 1)


@pytest.mark.slow
async def test_another_host_delays_only_its_own_downloads(tmp_path: Path, sqlite_url: str) -> None:
    """Neither the account nor the job pays for it, the other file lands at once, and the reason says until when."""
    busy = answering(b"", status=503, headers={"Retry-After": "2"})
    async with open_provider({"GET /a": in_turn(busy, answering(b"A")), "GET /c": answering(b"C")}) as host:
        answers = lists([(f"{host.url}/a", "a"), ("/b", "b"), (f"{host.url}/c", "c")]) | {"GET /b": answering(b"B")}
        answers |= {"POST /jobs": answering({"id": 1}, {"id": 2}), "GET /jobs/2": answers["GET /jobs/1"]}
        async with serving(tmp_path, sqlite_url, LISTED, answers) as (shop, running):
            job = await running.submit()
            await running.logged("file.landed")
            reason = await reason_to_wait(running, job.id)
            assert host.asked == ["GET /a"]
            assert "closed for downloads until 20" in reason
            assert "503" in reason
            other = await running.submit()
            job, other = await running.until(job.id), await running.until(other.id)
            assert await contents(running, job.id) == [b"A", b"B", b"C"]
            assert await contents(running, other.id) == [b"A", b"B", b"C"]
            assert running.events("account.paused") == []
    assert (job.fetches, other.fetches) == (1, 1)
    assert (host.times("GET /a"), shop.times("GET /b")) == (3, 2)


@pytest.mark.slow
async def test_a_closed_host_is_not_asked_after_a_redirect_either(tmp_path: Path, sqlite_url: str) -> None:
    """The provider's own link leads to it; the provider itself is asked, for only it knows where a link leads."""
    busy = answering(b"", status=429, headers={"Retry-After": "1"})
    async with open_provider({"GET /a": in_turn(busy, answering(b"A")), "GET /b": answering(b"B")}) as host:

        async def lead(request: web.Request) -> web.StreamResponse:
            raise web.HTTPFound(f"{host.url}{request.path}")

        answers = lists([("/a", "a"), ("/b", "b")]) | {"GET /a": lead, "GET /b": lead}
        async with serving(tmp_path, sqlite_url, LISTED, answers) as (_, running):
            job = await running.submit()
            await reason_to_wait(running, job.id)
            assert host.asked == ["GET /a"]
            job = await running.until(job.id)
            assert await contents(running, job.id) == [b"A", b"B"]
            assert running.events("account.paused") == []
    assert job.fetches == 1


@pytest.mark.fault(42)
@pytest.mark.slow
async def test_another_file_is_progress(tmp_path: Path, sqlite_url: str) -> None:
    """A download in which one more file landed is not counted as a failed one."""
    answers = lists([("/a", "a"), ("/b", "b")]) | {
        "GET /a": answering(b"A"),
        "GET /b": in_turn(reset, answering(b"B")),
    }
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (shop, running):
        job = await running.run()
        assert await contents(running, job.id) == [b"A", b"B"]
        assert "Retry" in await running.outcomes(job.id)
    assert (job.fetches, shop.times("GET /a"), shop.times("GET /b")) == (1, 1, 2)


@pytest.mark.fault(42)
@pytest.mark.slow
async def test_the_others_are_kept_and_the_manifest_waits(tmp_path: Path, sqlite_url: str) -> None:
    """One of three files fails: the others are in the folder at once, and no manifest is, until that one landed too."""
    seen: list[list[str]] = []

    async def fail(request: web.Request) -> web.StreamResponse:
        seen.append(sorted(path.name for path in (tmp_path / "landed").glob("shop/report/*/*/*/*/*")))
        return await reset(request)

    answers = lists([("/a", "a"), ("/b", "b"), ("/c", "c")]) | {
        "GET /a": answering(b"A"),
        "GET /b": in_turn(reset, fail, answering(b"B")),
        "GET /c": answering(b"C"),
    }
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (shop, running):
        job = await running.run()
        assert seen == [["001-a", "003-c"]]
        assert await contents(running, job.id) == [b"A", b"B", b"C"]
    assert (shop.times("GET /a"), shop.times("GET /c")) == (1, 1)


@pytest.mark.fault(69)
@pytest.mark.slow
async def test_42_the_manifest_waits_for_every_file(tmp_path: Path, sqlite_url: str) -> None:
    """One of two files fails at first: whenever a file is asked for, nothing says that all are there."""
    seen: list[Path] = []

    def looking(answer: Answer) -> Answer:
        async def looked(request: web.Request) -> web.StreamResponse:
            seen.extend((tmp_path / "landed").glob("**/manifest.json"))
            return await answer(request)

        return looked

    answers = lists([("/a", "a"), ("/b", "b")]) | {
        "GET /a": looking(answering(b"A")),
        "GET /b": looking(in_turn(reset, answering(b"B"))),
    }
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (shop, running):
        job = await running.run()
        assert await contents(running, job.id) == [b"A", b"B"]
    assert shop.times("GET /b") == 2
    assert seen == []


@pytest.mark.slow
async def test_files_are_kept_wherever_they_stand(tmp_path: Path, sqlite_url: str) -> None:
    """Two files of one label, signed anew and in another order at the second poll: each lands, and each once."""
    answers = lists(
        [("/a?X-Amz-Signature=1", "Patient"), ("/b?X-Amz-Signature=1", "Patient")],
        [("/b?X-Amz-Signature=2", "Patient"), ("/a?X-Amz-Signature=2", "Patient")],
    ) | {"GET /a": answering(b"A"), "GET /b": in_turn(answering(b"", status=403), answering(b"B"))}
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (shop, running):
        job = await running.run()
        assert await contents(running, job.id) == [b"B", b"A"]
        assert "LinksExpired" in await running.outcomes(job.id)
    assert job.state is State.SUCCEEDED
    assert (shop.times("GET /a"), shop.times("GET /b")) == (1, 2)


@pytest.mark.slow
async def test_files_of_no_list_leave_the_folder(tmp_path: Path, sqlite_url: str) -> None:
    """Those that were recorded, and those of a visit that died before its record."""
    answers = lists(
        [("/a", "old"), ("/b", "b")],
        [("/c", "new"), ("/b", "b"), ("/d", "d")],
        between=lambda: plant(tmp_path / "landed"),
    ) | {
        "GET /a": answering(b"A"),
        "GET /b": in_turn(answering(b"", status=403), answering(b"B")),
        "GET /c": answering(b"C"),
        "GET /d": answering(b"D"),
    }
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (_, running):
        job = await running.run()
        assert await contents(running, job.id) == [b"C", b"B", b"D"]
        assert sorted(folder(running).values()) == [b"B", b"C", b"D"]


def plant(root: Path) -> None:
    """What a visit leaves that is killed before its outcome is recorded: a file, and the manifest of its list."""
    (path,) = root.glob("shop/report/*/*/*/*/001-old")
    (path.parent / "009-lost").write_bytes(b"lost")
    (path.parent / "manifest.json").write_bytes(b"{}")


@pytest.mark.slow
async def test_two_files_that_are_alike_both_land(tmp_path: Path, sqlite_url: str) -> None:
    """One is kept from the first visit, and stands for one of the two only."""
    twice = [("/a", "a"), ("/a", "a"), ("/b", "b")]
    answers = lists(twice, [*twice, ("/a", "a")]) | {
        "GET /a": answering(b"A"),
        "GET /b": in_turn(answering(b"", status=403), answering(b"B")),
    }
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (shop, running):
        job = await running.run()
        assert await contents(running, job.id) == [b"A", b"A", b"B", b"A"]
    assert shop.times("GET /a") == 3


@pytest.mark.slow
async def test_what_an_older_version_recorded_lands_again(tmp_path: Path, sqlite_url: str) -> None:
    """Nobody can tell which file it was."""

    def forget() -> None:
        with closing(sqlite3.connect(tmp_path / "tidewaiter.db", timeout=10)) as connection:
            assert connection.execute("UPDATE artifacts SET identity = NULL").rowcount == 1
            connection.commit()

    answers = lists([("/a", "a"), ("/b", "b")], [("/a", "a"), ("/b", "b")], between=forget) | {
        "GET /a": answering(b"A", b"AA"),
        "GET /b": in_turn(answering(b"", status=403), answering(b"B")),
    }
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (_, running):
        job = await running.run()
        assert await contents(running, job.id) == [b"AA", b"B"]


@pytest.mark.slow
async def test_a_file_that_is_no_longer_what_it_was_lands_again(tmp_path: Path, sqlite_url: str) -> None:
    """Before the manifest vouches for it, its checksum is compared, not only its size."""

    def spoil() -> None:
        (path,) = (tmp_path / "landed").glob("shop/report/*/*/*/*/001-a")
        path.write_bytes(b"X")

    answers = lists([("/a", "a"), ("/b", "b")], between=spoil) | {
        "GET /a": answering(b"A"),
        "GET /b": in_turn(answering(b"", status=403), answering(b"B")),
    }
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (shop, running):
        job = await running.run()
        assert await contents(running, job.id) == [b"A", b"B"]
    assert shop.times("GET /a") == 2


async def test_headers_of_the_results_go_with_every_download(tmp_path: Path, sqlite_url: str) -> None:
    """To another origin only those that say nothing of the account."""
    seen: dict[str, tuple[str | None, str | None]] = {}

    async def answer(request: web.Request) -> web.StreamResponse:
        seen[request.path] = request.headers.get("Accept"), request.headers.get("X-Job")
        return web.Response(body=b"{}")

    spec = LISTED.replace(
        "send_auth = false", 'send_auth = false\nheaders = { Accept = "application/json", X-Job = "${handle}" }'
    )
    async with open_provider({"GET /b": answer}) as host:
        answers = lists([("/a", "a"), (f"{host.url}/b", "b")]) | {"GET /a": answer}
        async with serving(tmp_path, sqlite_url, spec, answers) as (_, running):
            job = await running.run()
    assert job.state is State.SUCCEEDED
    assert seen == {"/a": ("application/json", "1"), "/b": ("application/json", None)}
