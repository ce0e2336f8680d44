"""The pages of batches: the list, one batch with its jobs, and the decisions about a backfill."""

import re

import aiohttp
import pytest
from playwright.async_api import Browser, expect
from sqlalchemy import insert

from tests.support.stored_jobs import NOW
from tests.web.ui.browser_page import looking
from tests.web.ui.sample_data import fill, submit
from tests.web.ui.ui_server import ADMIN, READER, UiServer
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.database.tables import notifications
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State
from tidewaiter.domain.job_context import JobContext

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENDED = (o.Intended("intent"), o.Accepted("exp-1"), o.Refused("no"))


def row_of(text: str, name: str) -> str:
    """The HTML of one batch in the list, without the no-break spaces."""
    return next(part for part in text.replace("\u00a0", " ").split('data-key="batch-') if part.startswith(f'{name}"'))


async def test_the_list_says_how_far_each_batch_is(page_server: UiServer) -> None:
    """The newest first; a backfill with its windows, its expected end, and who paused it."""
    sample = page_server.sample
    _, empty = await page_server.get("/batches")
    assert "There are no batches yet." in empty
    failed = await sample.learn(await sample.add("shop", "profiles", context=JobContext(batch="night")), *ENDED)
    assert failed.state is State.FAILED
    sample.clock.at = NOW + 60
    await submit(sample, await fill(sample, "opens"), 3, reused=1)
    sample.clock.at = NOW + 120
    paused = await fill(sample, "held")
    assert await BackfillStore(sample.jobs).pause(paused.name, "ada", "their maintenance", sample.clock.at)
    _, text = await page_server.get("/batches")
    assert re.findall(r'data-key="batch-([^"]+)"', text) == ["held", "opens", "night"]
    assert "ended" in row_of(text, "night")
    assert "1 failed" in row_of(text, "night")
    opens = row_of(text, "opens")
    assert '<span class="num">3</span> of 10 windows done' in opens
    assert 'next <span class="num">2026-01-05</span>' in opens
    assert "expected" in opens
    assert "1 open" in opens
    assert 'aria-label="1 queued, 2 succeeded"' in opens
    # Four of ten windows: one has its job, two have landed, and one had landed before; the rest of the bar is empty.
    (end,) = {float(x) + float(wide) for x, wide in re.findall(r'x="([\d.]+)" width="([\d.]+)"', opens)[-1:]}
    assert end == 400.0
    held = row_of(text, "held")
    assert "Paused by <bdi>ada</bdi>" in held
    assert "<bdi>their maintenance</bdi>" in held


async def test_the_list_has_pages(page_server: UiServer) -> None:
    """Older batches are a link away."""
    for number in range(21):
        page_server.sample.clock.at = NOW + number
        await page_server.sample.add("shop", "profiles", context=JobContext(batch=f"b-{number}"))
    _, text = await page_server.get("/batches")
    assert text.count('data-key="batch-') == 20
    assert 'href="/batches?before=b-1"' in text
    _, older = await page_server.get("/batches?before=b-1")
    assert re.findall(r'data-key="batch-([^"]+)"', older) == ["b-0"]


async def test_parked_jobs_need_a_person(page_server: UiServer) -> None:
    """A batch says how many, with a link to them; a backfill says that its other windows go on."""
    job = await page_server.sample.add("shop", "profiles", context=JobContext(batch="night"))
    await page_server.sample.learn(job, o.Intended("i"), o.Unknown("lost"), o.Undecidable("lost"))
    _, text = await page_server.get("/batches/night")
    assert '<a href="/jobs?batch=night&amp;state=parked">1 parked needs you</a>' in text.replace("\u00a0", " ")
    assert "windows go on" not in text


async def test_one_batch(page_server: UiServer) -> None:
    """Its counts lead to its jobs in that state; cancelling all goes through the review; a job leads to its batch."""
    sample = page_server.sample
    job = await sample.add("shop", "profiles", context=JobContext(batch="night"))
    await sample.learn(await sample.add("shop", "profiles", context=JobContext(batch="night")), *ENDED)
    _, text = await page_server.get("/batches/night")
    for state in ("queued", "failed"):
        assert f'href="/jobs?batch=night&amp;state={state}"' in text
    assert 'href="/jobs/review?action=cancel&amp;batch=night"' in text
    assert 'href="/jobs/review?action=retry&amp;batch=night"' in text
    assert f'href="/jobs/{job.id}"' in text
    assert "no endpoint is notified when it ends" in text
    assert 'href="/batches/night"' in (await page_server.get(f"/jobs/{job.id}"))[1]
    assert (await page_server.get("/batches/none"))[0] == 404
    await sample.learn(job, o.CancelAsked())
    _, text = await page_server.get("/batches/night")
    assert "none about its end is stored" in text
    assert "action=cancel" not in text
    row = {
        "endpoint": "hook", "message_id": "m", "job_id": job.id, "account": "shop", "state": "cancelled", "at": NOW,
        "status": "dead", "attempts": 10, "last_error": "HTTP 410", "body": "{}", "batch": "night",
    }  # fmt: skip
    async with sample.database.writing() as connection:
        await connection.execute(insert(notifications), [row, {**row, "endpoint": "other", "batch": "day"}])
    _, text = await page_server.get("/batches/night")
    assert "was not notified: <bdi>HTTP 410</bdi>" in text
    assert "other" not in re.findall(r"endpoint=(\w+)", text)
    assert 'href="/batches/night"' in (await page_server.get("/notifications?status=dead"))[1]


async def test_a_person_decides_about_a_backfill(page_server: UiServer) -> None:
    """Pause with a reason, resume, and cancel with its jobs; what is not possible any more is refused."""
    sample = page_server.sample
    await submit(sample, await fill(sample, "opens"), 2)
    address = f"{page_server.origin}/batches/opens"
    async with aiohttp.ClientSession(headers={"Accept": "text/html"}) as session:
        async with session.post(f"{address}/pause", data={"reason": "their maintenance"}) as reply:
            text = await reply.text()
        assert "The backfill is paused" in text
        assert "<bdi>their maintenance</bdi>" in text
        assert "not while it is paused" in text
        assert 'action="/batches/opens/pause"' not in text
        async with session.post(f"{address}/resume") as reply:
            assert 'action="/batches/opens/pause"' in await reply.text()
        async with session.post(f"{address}/cancel", data={"reason": "wrong year"}) as reply:
            text = await reply.text()
        assert "cancelled" in text
        assert 'action="/batches/opens/cancel"' not in text
        async with session.post(f"{address}/pause") as reply:
            assert reply.status == 409
        async with session.post(f"{page_server.origin}/batches/none/cancel") as reply:
            assert reply.status == 404
    (live,) = await sample.jobs.find(states=[State.QUEUED])
    assert live.cancel_requested
    assert "wrong year" in (await page_server.get(f"/jobs/{live.id}"))[1]


async def test_a_reader_gets_no_buttons(guarded: UiServer) -> None:
    """Only admins decide, and a form of another site is refused."""
    await submit(guarded.sample, await fill(guarded.sample, "opens"), 2)
    _, text = await guarded.get("/batches/opens", Authorization=f"Bearer {READER}")
    assert "<form" not in text.partition("<main")[2]
    assert "/jobs/review" not in text
    async with aiohttp.ClientSession() as session:
        for token, headers, status in ((READER, {}, 403), (ADMIN, {"Origin": "https://other.example"}, 403)):
            sent = {"Authorization": f"Bearer {token}", **headers}
            async with session.post(f"{guarded.origin}/batches/opens/pause", headers=sent) as reply:
                assert reply.status == status
    stored = await BackfillStore(guarded.sample.jobs).get("opens")
    assert stored is not None
    assert stored.paused_at is None


@pytest.mark.slow
async def test_a_backfill_is_paused_by_hand(browser: Browser, page_server: UiServer) -> None:
    """From the navigation to the list, the batch, and its pause."""
    await submit(page_server.sample, await fill(page_server.sample, "opens"), 3)
    async with looking(browser, page_server) as page:
        await page.goto("/")
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Batches").click()
        await page.get_by_role("link", name="opens").click()
        await expect(page.get_by_role("img", name="1 queued, 2 succeeded")).to_be_visible()
        await page.get_by_text("Pause…").click()
        await page.get_by_label("Reason, for others").first.fill("maintenance")
        await page.get_by_role("button", name="Pause the backfill").click()
        await expect(page.get_by_role("status").filter(has_text="The backfill is paused")).to_be_visible()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("paused")
