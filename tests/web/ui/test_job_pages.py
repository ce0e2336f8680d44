"""The pages of jobs over a real listener: lists, filters, the search, and the page of one job."""

import re

import aiohttp
import pytest

from tests.web.ui.ui_server import UiServer
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State
from tidewaiter.services.parked_decisions import ADOPT, CANCEL, SUBMIT_AGAIN, UNKNOWN_SUBMIT

pytestmark = pytest.mark.asyncio(loop_scope="session")


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


async def test_a_decision_about_a_parked_job_is_one_sentence(page_server: UiServer) -> None:
    """In the history the reason, which is a sentence with a full stop, is followed by who decided."""
    sample = page_server.sample
    job = await sample.add("loyalty", "statistics")
    lost = "The connection broke before its reply."
    job = await sample.learn(job, o.Intended("intent"), o.Unknown(lost), o.Undecidable(lost))
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{page_server.origin}/jobs/{job.id}/cancel", headers={"Origin": page_server.origin}) as reply,
    ):
        text = await reply.text()
    assert "it was parked: The connection broke before its reply; by " in text
