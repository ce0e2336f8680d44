"""Every page over a real listener: its content, what it refuses, and escaping."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.web.ui.hostile_text import EVIL
from tests.web.ui.ui_server import UiServer
from tidewaiter.database.failure_store import FailureStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import NewJob
from tidewaiter.web.health_routes import Phase

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = (
    "/",
    "/jobs",
    "/accounts",
    "/accounts/shop",
    "/schedules",
    "/jobs/new",
    "/notifications",
    "/trends",
    "/batches",
)


@pytest.mark.fault(61)
async def test_every_page_has_its_headers(busy: UiServer) -> None:
    """A policy that lets nothing in from elsewhere, no cache, and a body of a sane size without a style or a script."""
    async with aiohttp.ClientSession(headers={"Accept": "text/html"}) as session:
        for path in (*PAGES, "/jobs/1"):
            async with session.get(busy.origin + path) as reply:
                text = await reply.text()
                assert reply.status == 200, path
                assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
                assert "unsafe" not in reply.headers["Content-Security-Policy"]
                assert reply.headers["Cache-Control"] == "no-store"
                assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
                assert reply.headers["Content-Encoding"] in ("deflate", "gzip"), "and it is sent packed"
            assert len(text) < 80_000, path
            assert " style=" not in text
            assert "<style" not in text
            assert not re.search(r"<script(?! src=\"/static/)", text)
            assert not re.search(r"\son[a-z]+=", text)
            linked = re.sub(r'<a href="https://report.example/api" rel="noreferrer external">', "", text)
            assert not re.search(r"(src|href|action)=\"(https?:)?//", linked), "nothing is loaded from elsewhere"


async def test_an_empty_overview_says_what_to_do_next(page_server: UiServer) -> None:
    """A page without jobs shows the command that asks for the first one."""
    _, text = await page_server.get("/")
    (example,) = re.findall(r"tidewaiter submit loyalty [^<]*", text)
    assert " -p " in example, "it has the parameters that the operation needs"
    assert "Nothing is under way." in text


async def test_the_overview_leads_with_what_needs_a_person(busy: UiServer) -> None:
    """Parked jobs, failures of the last hour and refused accounts come first, each with its reason and a way there."""
    await busy.sample.failed("shop", "profiles", "the segment is not there")
    parked = await busy.sample.parked("loyalty", "statistics")
    await busy.sample.refuse("social", "HTTP 401: the key was revoked")
    _, text = await busy.get("/")
    assert "3\u00a0things need attention" in text
    for written in ("the segment is not there", "HTTP 401: the key was revoked", f'href="/jobs/{parked.id}"'):
        assert written in text
    assert text.index("the segment is not there") < text.index("Under way")


@pytest.mark.parametrize("parked", [False, True])
async def test_the_headline_counts_all_that_is_listed(busy: UiServer, parked: bool) -> None:
    """What ends by itself, or was caused by a person, is counted apart from what needs somebody."""
    await busy.sample.accounts.pause("shop", "their maintenance")
    if parked:
        await busy.sample.parked("loyalty", "statistics")
    _, text = await busy.get("/")
    assert text.count('class="watch"') == 1
    counts = "; 1\u00a0thing needs attention, 1 more to watch." if parked else "; 1\u00a0thing to watch."
    assert counts in text


async def test_a_lane_has_one_number(busy: UiServer) -> None:
    """The number that a job, the log and metrics have is that of the account's page, too."""
    lane = busy.sample.lanes["social"]
    job = await busy.sample.parked("social", "statistics")
    assert lane.id > 1
    _, account = await busy.get("/accounts/social")
    assert re.search(rf'<tr data-key="lane-{lane.id}">\s*<th scope="row">{lane.id}</th>', account)
    _, text = await busy.get(f"/jobs/{job.id}")
    assert f'<dt>Lane</dt><dd class="num">{lane.id}' in text


async def test_failures_stay_until_they_are_handled(busy: UiServer) -> None:
    """Failures of one operation are one line that leads to their list; an acknowledged or retried one leaves it."""
    failed = [await busy.sample.failed("shop", "profiles", "the segment is not there") for _ in range(3)]
    _, text = await busy.get("/")
    assert "3\u00a0jobs of shop / profiles failed or expired" in text
    narrowed = "unhandled=true&amp;account=shop&amp;operation=profiles&amp;cause=the+segment+is+not+there"
    assert f'href="/jobs?{narrowed}"' in text
    for action in ("retry", "acknowledge"):
        assert f'href="/jobs/review?action={action}&amp;{narrowed}"' in text
    _, text = await busy.get("/jobs?unhandled=true&account=shop&operation=profiles")
    assert {int(number) for number in re.findall(r'data-key="job-(\d+)"', text)} == {job.id for job in failed}
    jobs, now = busy.sample.jobs, busy.sample.clock.now()
    assert await FailureStore(jobs.database).acknowledge(failed[0].id, "ada", now)
    new = NewJob("shop", "profiles", failed[1].params, 3600.0, retry_of=failed[1].id)
    again, _ = await jobs.add_again(new, failed[1].lane, now, by="ada")
    _, text = await busy.get("/jobs?unhandled=true")
    assert re.findall(r'data-key="job-(\d+)"', text) == [str(failed[2].id)]
    _, text = await busy.get(f"/jobs/{failed[0].id}")
    assert "acknowledged by <bdi>ada</bdi>" in text
    _, text = await busy.get(f"/jobs/{failed[1].id}")
    assert f'retried as <a href="/jobs/{again.id}">' in text


async def test_each_cause_is_one_line_with_what_to_do(busy: UiServer) -> None:
    """Forty failures of a refused key are one line that leads to the account first, then to a retry of all."""
    for number in range(4):
        await busy.sample.failed("social", "statistics", f"HTTP 401: key {number} is unknown")
    await busy.sample.failed("social", "statistics", "HTTP 503: down")
    await busy.sample.refuse("social", "HTTP 401: the key was revoked")
    _, text = await busy.get("/")
    (line,) = [one for one in text.split("<li class=") if "4\u00a0jobs of social / statistics" in one]
    assert "HTTP 401: key 3 is unknown" in line
    assert "Account social is paused, the provider refused the credentials: HTTP 401: the key was revoked" in line
    assert "Fix the key and reload the configuration" in line
    labels = ["Open account", "Retry all…", "Acknowledge all…"]
    assert re.findall(r'<a class="button small"[^>]*>([^<]*)</a>', line) == labels
    assert 'href="/accounts/social"' in line


async def test_a_standby_and_a_drain_say_so(page_server: UiServer) -> None:
    """The banner tells why nothing moves."""
    page_server.vitals.enter(Phase.STANDBY)
    _, text = await page_server.get("/")
    assert "Standing by." in text
    assert "No daemon serves" not in text


@pytest.mark.fault(61)
async def test_foreign_text_is_escaped(page_server: UiServer) -> None:
    """Markup, control characters and turned text in every field come out escaped, on every page that shows them."""
    job = await page_server.sample.polling(
        "shop", "profiles", EVIL, params={"segment": EVIL, EVIL: {"deep": [EVIL, "\ud800"]}}, unique_key=EVIL
    )
    evil = await page_server.sample.learn(job, o.Refused(EVIL))
    await page_server.sample.accounts.pause("shop", EVIL)
    await page_server.sample.throttle("loyalty", 3, 60.0, EVIL)
    for path in ("/", "/jobs", f"/jobs/{evil.id}", "/accounts", "/accounts/shop"):
        status, text = await page_server.get(path)
        assert status == 200, path
        assert "<script>alert" not in text, path
        assert "<img" not in text, path
        assert "\u202e" not in text, path
        assert "\x1b" not in text, path
        assert "&lt;script&gt;" in text, path


@pytest.mark.parametrize(
    ("path", "status", "written"),
    [
        ("/jobs?state=lost", 400, "must be one of queued"),
        ("/jobs?created_after=yesterday", 400, "must be a time with its offset"),
        ("/jobs?label=dag", 400, "must be name=value"),
        ("/jobs?before=soon", 400, "the number of a job"),
        ("/jobs?before=-1", 400, "the number of a job"),
        ("/jobs?before=99999999999999999999999", 400, "the number of a job"),
        ("/jobs?q=%00", 400, "control characters"),
        ("/jobs?account=%ED%A0%80", 200, "No job matches"),
        ("/jobs?q=" + "x" * 5000, 400, "at most"),
        ("/jobs?account=nobody&operation=nothing", 200, "No job matches"),
        ("/jobs?before=1", 200, "No job matches"),
        ("/jobs/0", 404, "is no job"),
        ("/jobs/999", 404, "there is no job 999"),
        ("/jobs/9999999999999999999", 404, "is no job"),
        ("/jobs/%3Cscript%3E", 404, "is no job"),
        ("/jobs/1%00", 404, "is no job"),
        ("/accounts/nobody", 404, "there is no account"),
        ("/accounts/%F0%9F%92%A9", 404, "there is no account"),
        ("/nothing/at/all", 404, "Not Found"),
        ("/static/page.0000.css", 404, "there is no such file"),
        ("/jobs/1/cancel", 405, "Method Not Allowed"),
    ],
)
async def test_odd_addresses_get_a_page_that_says_so(
    page_server: UiServer, path: str, status: int, written: str
) -> None:
    """Whatever stands in the address: a page with one sentence, never a fault of ours."""
    got, text = await page_server.get(path)
    assert (got, written in text) == (status, True), text[:3000]
    assert "<script>" not in text


async def test_programs_get_problem_documents(page_server: UiServer) -> None:
    """Only a request that accepts HTML gets a page."""
    status, text = await page_server.get("/jobs/999", accept="*/*")
    assert status == 404
    assert text.startswith("{")


@pytest.mark.slow
async def test_a_lost_database_is_shown(busy: UiServer, tmp_path: Path) -> None:
    """What was seen last is shown with the time of it; what needs the database says so, and when to come again."""
    assert (await busy.get("/"))[0] == 200
    await busy.sample.database.close()
    _lose(tmp_path / "tidewaiter.db")
    await _wait_for(lambda: busy.get("/"), "The database cannot be reached.")
    status, text = await busy.get("/jobs/1")
    assert status == 503
    assert "Service Unavailable" in text
    assert "http.failed" not in busy.output.getvalue()


def _lose(file: Path) -> None:
    """Let a folder stand where a database was."""
    for one in file.parent.glob("tidewaiter.db*"):
        one.unlink()
    file.mkdir()


async def _wait_for(look: Callable[[], Awaitable[tuple[int, str]]], words: str) -> None:
    """Look until these words are on the page; the snapshot is good for a while."""
    async with asyncio.timeout(20):
        while True:
            if words in (await look())[1]:
                return
            await asyncio.sleep(0.1)


async def test_static_files_are_kept_for_ever(page_server: UiServer) -> None:
    """Their address changes with their content, and they are open to everybody, packed or not."""
    _, text = await page_server.get("/")
    address = re.search(r'href="(/static/page\.[0-9a-f]{16}\.css)"', text)
    assert address
    async with aiohttp.ClientSession() as session:
        async with session.get(page_server.origin + address[1]) as reply:
            assert "immutable" in reply.headers["Cache-Control"]
            assert reply.content_type == "text/css"
            assert "--paper" in await reply.text()
            tag = reply.headers["ETag"]
        async with session.get(page_server.origin + address[1], headers={"If-None-Match": tag}) as reply:
            assert reply.status == 304
