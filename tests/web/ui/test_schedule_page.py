"""The page of the schedules: recent runs, next ticks, a pause, and a run by hand with other values."""

import re

import aiohttp
import pytest
from playwright.async_api import Browser, expect

from tests.support.stored_jobs import NOW
from tests.web.ui.browser_page import looking
from tests.web.ui.ui_server import UiServer
from tidewaiter.database.schedule_store import ScheduleStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job_context import JobContext

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = 86_400.0


def row_of(text: str, name: str) -> str:
    """The HTML of one schedule."""
    return next(part for part in text.split('<tr data-key="schedule-') if part.startswith(f'{name}"'))


async def test_runs_are_a_strip_of_states(page_server: UiServer) -> None:
    """The oldest comes first; a run by hand is marked, and is not the last tick."""
    sample = page_server.sample
    context = JobContext(schedule="daily-opens", scheduled_for=NOW - DAY)
    landed = await sample.add("newsletter", "statistics", context=context)
    failed = await sample.learn(landed, o.Intended("intent"), o.Accepted("exp-1"), o.Refused("no"))
    by_hand = await sample.add(
        "newsletter", "statistics", context=JobContext(schedule="daily-opens", requested_by="ada")
    )
    await sample.add("shop", "profiles", context=JobContext(schedule="weekly-profiles", scheduled_for=NOW))
    _, text = await page_server.get("/schedules")
    daily = row_of(text, "daily-opens")
    assert re.findall(r'<a href="/jobs/(\d+)" class="(s-[^"]+)"', daily) == [
        (str(failed.id), "s-failed"),
        (str(by_hand.id), "s-queued by-hand"),
    ]
    assert "run by ada" in daily
    assert f'href="/jobs/{failed.id}">job {failed.id}</a>' in daily, "the last tick"
    assert "CEST</span>" in daily, "ticks in the zone of the schedule"


async def test_a_pause_holds_one_schedule(page_server: UiServer) -> None:
    """Who paused it and why; a person who resumes it is told what its policy does with what has passed."""
    store = ScheduleStore(page_server.sample.database)
    await store.save_tick("daily-opens", NOW - 3 * DAY, None)
    async with aiohttp.ClientSession(headers={"Accept": "text/html"}) as session:
        path = f"{page_server.origin}/schedules/daily-opens"
        async with session.post(f"{path}/pause", data={"reason": "repairs"}) as reply:
            text = await reply.text()
        daily = row_of(text, "daily-opens")
        assert "not while it is paused" in daily
        assert "<bdi>repairs</bdi>" in daily
        assert "In the pause passed 3 ticks; the job of the last one is submitted." in daily.replace("\u00a0", " ")
        assert "paused" not in row_of(text, "weekly-profiles")
        async with session.post(f"{path}/resume") as reply:
            assert "The schedule is resumed." in await reply.text()
        assert (await store.progress())["daily-opens"].pause is None
        async with session.post(f"{page_server.origin}/schedules/none/pause") as reply:
            assert reply.status == 404


async def test_a_run_has_the_dates_of_a_day(page_server: UiServer) -> None:
    """An empty date is today; what is no date is refused; other parameters are given in the form for exports."""
    async with aiohttp.ClientSession(headers={"Accept": "text/html"}) as session:
        run = f"{page_server.origin}/schedules/daily-opens/run"
        async with session.post(run, data={"as_of": "2026-01-31"}) as reply:
            assert reply.status == 200
        async with session.post(run, data={"as_of": "soon"}) as reply:
            assert reply.status == 422
        async with session.get(f"{page_server.origin}/jobs/new?schedule=daily-opens") as reply:
            text = await reply.text()
        form = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', text))
        assert form["p.period"] == "2025-06-14"
        async with session.post(f"{page_server.origin}/jobs/new", data={**form, "p.export_type": "SENT"}) as reply:
            assert reply.status == 200
        async with session.post(
            f"{page_server.origin}/jobs/new", data={**form, "schedule": "weekly-profiles"}
        ) as reply:
            assert reply.status == 409
    first, second = [await page_server.sample.jobs.get(number) for number in (1, 2)]
    assert first is not None
    assert second is not None
    assert first.params == {"export_type": "OPENS", "period": "2026-01-30"}
    assert second.params == {"export_type": "SENT", "period": "2025-06-14"}
    assert first.context.schedule == second.context.schedule == "daily-opens"
    assert second.context.scheduled_for is None


@pytest.mark.slow
async def test_a_schedule_is_paused_by_hand(browser: Browser, page_server: UiServer) -> None:
    """On a phone, without moving sideways."""
    async with looking(browser, page_server, viewport={"width": 360, "height": 740}) as page:
        await page.goto("/schedules")
        await page.get_by_text("Pause…").first.click()
        await page.get_by_label("Reason, for others").locator("visible=true").fill("repairs")
        await page.get_by_role("button", name="Pause it").locator("visible=true").click()
        await expect(page.get_by_text("The schedule is paused")).to_be_visible()
        await page.get_by_text("Resume…").click()
        assert not await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        await page.get_by_role("button", name="Resume it").click()
        await expect(page.get_by_text("The schedule is resumed.")).to_be_visible()
