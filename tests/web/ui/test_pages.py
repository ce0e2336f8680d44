"""Every page over a real listener: its content, what it refuses, and escaping."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.web.ui.hostile_text import EVIL
from tests.web.ui.ui_server import ADMIN, READER, UiServer
from tidewaiter.database.failure_store import FailureStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import NewJob, State
from tidewaiter.services.parked_decisions import ADOPT, CANCEL, SUBMIT_AGAIN, UNKNOWN_SUBMIT
from tidewaiter.web.health_routes import Phase
from tidewaiter.web.ui.forms import local_path

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


async def test_many_jobs_are_reviewed_and_then_changed(busy: UiServer) -> None:
    """The review counts and changes nothing; the form does what was reviewed, and the list says what was done."""
    failed = [await busy.sample.failed("shop", "profiles", "the segment is not there") for _ in range(3)]
    live = await busy.sample.add("shop", "profiles")
    async with aiohttp.ClientSession(busy.origin, headers={"Accept": "text/html"}) as session:
        async with session.get("/jobs/review?action=acknowledge&account=shop&unhandled=true") as reply:
            text = await reply.text()
        assert "<h1>Acknowledge: 3\u00a0jobs</h1>" in text
        assert "Nothing is sent to the provider." in text
        assert re.findall(r'data-key="job-(\d+)"', text) == [str(job.id) for job in reversed(failed)]
        fields = re.findall(r'type="hidden" name="([^"]+)" value="([^"]+)"', text)
        stored = await busy.sample.jobs.get(failed[0].id)
        assert stored is not None
        assert stored.handled_at is None
        async with session.post("/jobs:acknowledge", data=fields, headers={"Origin": busy.origin}) as reply:
            text = await reply.text()
            assert reply.url.path == "/jobs"
        assert "3\u00a0jobs were acknowledged." in text.replace("3 jobs", "3\u00a0jobs")
        assert not re.findall(r'data-key="job-(\d+)"', text)
        chosen = [("job", str(failed[0].id)), ("job", "9999")]
        async with session.post("/jobs:retry", data=chosen, headers={"Origin": busy.origin}) as reply:
            text = await reply.text()
        assert "1 job was retried. 1 job was refused" in text
        async with session.get(f"/jobs/review?action=poll&job={live.id}&q=segment&account=shop") as reply:
            fields = re.findall(r'type="hidden" name="([^"]+)" value="([^"]+)"', await reply.text())
        async with session.post("/jobs:poll", data=fields, headers={"Origin": busy.origin}) as reply:
            assert (reply.url.query["q"], reply.url.query["account"]) == ("segment", "shop"), "back to the same list"
        async with session.post("/jobs:cancel", data={}, headers={"Origin": busy.origin}) as reply:
            assert reply.status == 422, "an empty selection is not every job"
        async with session.get("/jobs/review?action=retry&state=failed&chosen=rows") as reply:
            assert "No job is selected" in await reply.text(), "no row is not every job that matches"
        async with session.get("/jobs/review?action=delete") as reply:
            assert reply.status == 400
        async with session.get("/jobs/review?job=x") as reply:
            assert reply.status == 400


async def test_a_standby_and_a_drain_say_so(page_server: UiServer) -> None:
    """The banner tells why nothing moves."""
    page_server.vitals.enter(Phase.STANDBY)
    _, text = await page_server.get("/")
    assert "Standing by." in text
    assert "No daemon serves" not in text


async def test_lists_are_filtered_and_paged(busy: UiServer) -> None:
    """Filters narrow, pages follow one another without gap or repetition, and a page keeps its filters."""
    seen: list[str] = []
    path = "/jobs?state=succeeded"
    while path:
        _, text = await busy.get(path)
        seen += re.findall(r'data-key="job-(\d+)"', text)
        older = re.search(r'rel="next" href="([^"]+)"', text)
        path = older[1].replace("&amp;", "&") if older else ""
        assert not path or "state=succeeded" in path
    counts = await busy.sample.jobs.counts()
    assert len(seen) == len(set(seen)) == counts[State.SUCCEEDED] > 50
    assert seen == sorted(seen, key=int, reverse=True)
    _, text = await busy.get("/jobs?operation=profiles")
    assert "profiles" in text
    assert not re.search(r'<td class="op">.*statistics', text)


async def test_jobs_are_found_by_what_names_them(page_server: UiServer) -> None:
    """The number, with or without #, the whole handle and the unique key."""
    job = await page_server.sample.polling("shop", "profiles", unique_key="june/full report")
    await page_server.sample.polling("shop", "profiles")
    for text in (str(job.id), f"%23{job.id}", job.handle, "june/full%20report"):
        _, page = await page_server.get(f"/jobs?q={text}")
        assert re.findall(r'data-key="job-(\d+)"', page) == [str(job.id)], text
    _, page = await page_server.get("/jobs?q=nobody")
    assert 'No job matches <bdi class="quote">nobody</bdi>' in page


async def test_the_search_and_each_filter_are_in_the_address(page_server: UiServer) -> None:
    """A reason and a parameter are found; the address keeps the filters without a field, and each can be removed."""
    job = await page_server.sample.failed("shop", "profiles", "the segment is not there")
    await page_server.sample.polling("shop", "profiles")
    _, page = await page_server.get("/jobs?q=segment%20is&unhandled=true&cause=the%20segment%20is%20not%20there")
    assert re.findall(r'data-key="job-(\d+)"', page) == [str(job.id)]
    assert 'name="q" value="segment is"' in page
    assert '<input type="hidden" name="cause" value="the segment is not there">' in page
    assert "Cause: the segment is not there" in page
    assert 'href="/jobs?q=segment+is&amp;unhandled=true" aria-label="Remove this filter: Cause' in page
    _, page = await page_server.get("/jobs?q=period%3DLAST_DAY&state=failed")
    assert re.findall(r'data-key="job-(\d+)"', page) == [str(job.id)]


async def test_a_signed_handle_is_not_shown_whole(page_server: UiServer) -> None:
    """Neither on the page of its job nor in its history; it is found by the whole of it all the same."""
    job = await page_server.sample.add("shop", "profiles")
    handle = "https://me:canary-user@api.example.com/jobs/1?sig=canary-signature"
    job = await page_server.sample.learn(job, o.Intended("intent"), o.Accepted(handle))
    _, text = await page_server.get(f"/jobs/{job.id}")
    assert "https://[redacted]@api.example.com/jobs/1?[redacted]" in text
    assert "canary" not in text
    _, page = await page_server.get(
        "/jobs?q=https%3A%2F%2Fme%3Acanary-user%40api.example.com%2Fjobs%2F1%3Fsig%3Dcanary-signature"
    )
    assert re.findall(r'data-key="job-(\d+)"', page) == [str(job.id)]


async def test_a_job_shows_why_it_waits(page_server: UiServer) -> None:
    """The next poll, a throttle, a pause: whatever holds it up, and until when."""
    job = await page_server.sample.polling("shop", "profiles", "40 %", 600.0)
    assert "Next poll" in (await page_server.get(f"/jobs/{job.id}"))[1]
    await page_server.sample.accounts.pause("shop", "their maintenance")
    page_server.sample.clock.at += 5.0
    parked = await page_server.sample.parked("loyalty", "statistics")
    _, text = await page_server.get(f"/jobs/{parked.id}")
    assert UNKNOWN_SUBMIT in text
    for decision in (ADOPT, SUBMIT_AGAIN, CANCEL):
        assert f"<h3>{decision.name}</h3>" in text
        assert decision.effect in text
        assert decision.risk in text


async def test_a_job_is_downloaded_and_repeated_from_its_page(page_server: UiServer) -> None:
    """Its files as one archive, its history as JSON, and the form with its parameters."""
    job = await page_server.sample.landed("shop", "profiles", files=2)
    _, text = await page_server.get(f"/jobs/{job.id}")
    assert f'href="/v1/jobs/{job.id}/artifacts.zip" download' in text
    assert f'href="/v1/jobs/{job.id}/history" download="job-{job.id}-history.json"' in text
    assert f'href="/jobs/new?from={job.id}"' in text
    waiting = await page_server.sample.add("shop", "profiles")
    _, text = await page_server.get(f"/jobs/{waiting.id}")
    assert "artifacts.zip" not in text


async def test_a_list_says_which_export_each_job_is(page_server: UiServer) -> None:
    """Status, parameters and details have a column each, on every list."""
    job = await page_server.sample.failed("shop", "profiles", "the segment is not there")
    await page_server.sample.landed("shop", "profiles")
    _, text = await page_server.get("/jobs")
    for heading in ("Status", "Parameters", "Details", "Created", "Next poll / end"):
        assert f">{heading}</th>" in text
    row = text[text.index(f'data-key="job-{job.id}"') :].split("</tr>")[0]
    assert re.search(r'<td class="par">.*period=LAST_DAY.*</td>', row)
    assert re.search(r'<td class="det">.*the segment is not there', row)
    _, text = await page_server.get("/")
    assert re.search(r'class="rows landed".*>Parameters</th>.*period=LAST_DAY', text, re.DOTALL)


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


async def test_an_anonymous_browser_is_sent_to_the_login(guarded: UiServer) -> None:
    """Every page leads to the one form, and back to where it was wanted."""
    async with aiohttp.ClientSession(headers={"Accept": "text/html"}) as session:
        async with session.get(f"{guarded.origin}/jobs?state=polling") as reply:
            assert reply.url.path == "/login"
            assert 'value="/jobs?state=polling"' in await reply.text()
        async with session.post(f"{guarded.origin}/login", data={"token": "wrong"}) as reply:
            assert reply.status == 401
            assert "This token is not known." in await reply.text()
            assert not reply.cookies
        form = {"token": ADMIN, "next": "/jobs"}
        async with session.post(f"{guarded.origin}/login", data=form, allow_redirects=False) as reply:
            assert (reply.status, reply.headers["Location"]) == (303, "/jobs")
            cookie = reply.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert "Path=/" in cookie
            assert ADMIN not in cookie


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/jobs?state=polling", "/jobs?state=polling"), ("//evil.example", "/"), ("/\\evil.example", "/"),
        ("https://evil.example", "/"), ("javascript:alert(1)", "/"), ("/jobs\r\nSet-Cookie: a=b", "/"), ("", "/"),
        ("/login?next=/login", "/"), ("/logout", "/"), ("/" + "x" * 4000, "/"), ("/\tjobs", "/"),
    ],
)  # fmt: skip
async def test_signing_in_leads_to_own_pages_only(given: str, path: str) -> None:
    """No link to the form can send anybody elsewhere."""
    assert local_path(given) == path


async def test_readers_see_no_actions_and_may_take_none(guarded: UiServer) -> None:
    """The role read sees everything and no button; a form sent all the same is refused with a page."""
    job = await guarded.sample.polling("shop", "profiles", None, 600.0)
    async with aiohttp.ClientSession(headers={"Accept": "text/html", "Authorization": f"Bearer {READER}"}) as session:
        for path in (f"/jobs/{job.id}", "/accounts/shop", "/schedules"):
            async with session.get(guarded.origin + path) as reply:
                assert '<form method="post" action="/' not in await reply.text(), path
        async with session.post(f"{guarded.origin}/jobs/{job.id}/cancel") as reply:
            assert reply.status == 403
            assert "requires the role admin" in await reply.text()
    assert not (await guarded.sample.jobs.get(job.id)).cancel_requested  # type: ignore[union-attr]  # it is there


async def test_forms_that_cannot_be_are_told_so(page_server: UiServer) -> None:
    """Requests that the service refuses, bodies that are no form, and other sites' requests: a page, and no effect."""
    job = await page_server.sample.landed("shop", "profiles")
    page = {"Accept": "text/html"}
    async with aiohttp.ClientSession(headers=page) as session:
        async with session.post(f"{page_server.origin}/jobs/{job.id}/cancel") as reply:
            assert reply.status == 409
            text = await reply.text()
            assert "has ended already" in text
            assert f'href="/jobs/{job.id}"' in text
        async with session.post(f"{page_server.origin}/jobs/{job.id}/adopt", data={"handle": " "}) as reply:
            assert reply.status == 422
        async with session.post(f"{page_server.origin}/accounts/shop/pause", json={"reason": "x"}) as reply:
            assert reply.status == 415
        odd = {"Content-Type": "application/x-www-form-urlencoded; charset=none-such"}
        async with session.post(f"{page_server.origin}/accounts/shop/pause", data=b"reason=%ff", headers=odd) as reply:
            assert reply.status == 400
        foreign = {"Origin": "https://evil.example"}
        async with session.post(f"{page_server.origin}/accounts/shop/pause", headers=foreign) as reply:
            assert reply.status == 403
        async with session.post(f"{page_server.origin}/schedules/none/run") as reply:
            assert reply.status == 404
        async with session.post(f"{page_server.origin}//evil.example/x") as reply:
            assert reply.status == 404
            assert 'href="//' not in await reply.text()
    assert "shop" not in await page_server.sample.accounts.paused()
    assert "http.failed" not in page_server.output.getvalue()
