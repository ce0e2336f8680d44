"""What the page of a job says about where the job comes from, and where the links in it lead."""

import html
import re

import pytest
from sqlalchemy import delete

from tests.support.stored_jobs import NOW
from tests.web.ui.ui_server import UiServer
from tidewaiter.database.tables import durations
from tidewaiter.domain import outcome as o
from tidewaiter.domain.duration_sketch import NO_DURATIONS
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job_context import JobContext

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CONTEXT = JobContext(
    requested_by="ada",
    schedule="daily-opens",
    scheduled_for=NOW,
    batch="march+april",
    labels={"team": "crm", "dag": "night/ly"},
    traceparent=TRACE,
)


async def test_a_job_says_what_it_belongs_to(page_server: UiServer) -> None:
    """Schedule and labels lead to the lists that have the job, and the batch to its page; the rest is text."""
    other = await page_server.sample.add("newsletter", "statistics")
    job = await page_server.sample.add("newsletter", "statistics", context=CONTEXT)
    _, text = await page_server.get(f"/jobs/{job.id}")
    facts = text.split('id="h-facts"')[1]
    found = [html.unescape(link) for link in re.findall(r'<a href="(/jobs\?[^"]+)"', facts)]
    assert len(found) == 3
    for link in found:
        _, listed = await page_server.get(link)
        assert f'href="/jobs/{job.id}"' in listed, link
        assert f'href="/jobs/{other.id}"' not in listed, link
    assert 'href="/batches/march%2Bapril"' in facts
    assert "<dt>Tick</dt>" in facts
    assert "<dt>Requested by</dt><dd><bdi>ada</bdi></dd>" in facts
    assert TRACE in facts
    _, text = await page_server.get(f"/jobs/{other.id}")
    assert "<dt>Schedule</dt>" not in text


async def test_schedules_lead_to_their_runs(page_server: UiServer) -> None:
    """The list of schedules, and those of an account."""
    for path in ("/schedules", "/accounts/newsletter"):
        _, text = await page_server.get(path)
        assert 'href="/jobs?schedule=daily-opens"' in text, path


async def test_a_job_says_when_it_is_expected(page_server: UiServer) -> None:
    """While it is polled, and once enough jobs came before it: the words of the command line."""
    sample, sketch = page_server.sample, NO_DURATIONS
    job = await sample.polling("newsletter", "statistics")
    assert "usually ready" not in (await page_server.get(f"/jobs/{job.id}"))[1]
    for _ in range(4):
        sketch = sketch.with_one(86_000.0, 86_400.0)
    row = {"lane": job.lane, "operation": job.operation, "kind": "", "sketch": sketch.to_text(), "updated_at": NOW}
    async with sample.database.writing() as connection:
        await connection.execute(durations.insert().values(row))
    _, text = await page_server.get(f"/jobs/{job.id}")
    async with sample.database.writing() as connection:
        await connection.execute(delete(durations))
    words = r"The remote job is usually ready after 1\u00a0d; expected at [-0-9]+ [:0-9]+ ± \d+\u00a0min\."
    assert re.search(words, text)


async def test_a_job_says_how_many_files_will_come(page_server: UiServer) -> None:
    """As soon as the provider's list has told it; a job that has all its files has no second number."""
    sample = page_server.sample
    job = await sample.polling("newsletter", "statistics")
    links = tuple(Link(f"https://files.example.com/{number}") for number in range(1200))
    await sample.learn(job, o.Ready(links))
    assert "None of 1,200\N{NO-BREAK SPACE}files has landed yet." in (await page_server.get(f"/jobs/{job.id}"))[1]
    landed = await sample.landed("newsletter", "statistics")
    assert " of " not in (await page_server.get(f"/jobs/{landed.id}"))[1].split('id="h-files"')[1].split("</h2>")[0]


async def test_many_files_are_shown_in_parts(page_server: UiServer) -> None:
    """A hundred at a time, with links to the ones before and after; an address that names none shows the first."""
    job = await page_server.sample.landed("newsletter", "statistics", files=230)
    for query, first, last, links in (
        ("", 1, 100, ["101"]),
        ("?files=101", 101, 200, ["1", "201"]),
        ("?files=201", 201, 230, ["101"]),
        ("?files=99999", 201, 230, ["101"]),
        ("?files=x", 1, 100, ["101"]),
    ):
        _, text = await page_server.get(f"/jobs/{job.id}{query}")
        shown = [int(one) for one in re.findall(r"<bdi>(\d{3})-statistics.csv</bdi>", text)]
        assert (shown[0], shown[-1], len(shown)) == (first, last, last - first + 1), query
        assert f"{first} to {last} of 230" in text
        assert re.findall(rf'href="/jobs/{job.id}\?files=(\d+)#h-files"', text) == links
    few = await page_server.sample.landed("newsletter", "statistics", files=3)
    assert "?files=" not in (await page_server.get(f"/jobs/{few.id}"))[1]
