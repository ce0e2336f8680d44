"""Times are relative, in UTC or local, as the reader chooses; the browser keeps the choice."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.support.stored_jobs import NOW
from tests.web.ui.browser_page import looking
from tests.web.ui.ui_server import UiServer
from tidewaiter.domain import outcome as o

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = 86_400.0


async def test_a_clock_has_its_date_where_the_day_is_not_today(page_server: UiServer) -> None:
    """In the history of a job; every time is marked with what it is."""
    page_server.sample.clock.at = NOW - DAY
    job = await page_server.sample.polling("shop", "profiles")
    page_server.sample.clock.at = NOW
    await page_server.sample.learn(job, o.Refused("no"))
    _, text = await page_server.get(f"/jobs/{job.id}")
    clocks = re.findall(r'data-form="clock">([^<]+)<', text)
    assert clocks[0] == "2025-06-14 15:06"
    assert clocks[-1] == "15:06:40"
    assert text.count("<time ") == len(re.findall(r'<time [^>]*data-form="', text))


@pytest.mark.slow
async def test_a_zone_that_is_utc_is_called_so(browser: Browser, page_server: UiServer) -> None:
    """A reader whose zone is UTC reads "UTC", not an offset of zero hours."""
    async with looking(browser, page_server, timezone_id="UTC") as page:
        await page.goto("/schedules")
        await expect(page.get_by_text("Next in your zone").first).to_have_text(re.compile(r"\d\d:\d\d UTC$"))


@pytest.mark.slow
async def test_a_reader_chooses_the_zone(browser: Browser, page_server: UiServer) -> None:
    """The switch changes all times of the page, an update keeps the choice, and so does another page."""
    page_server.sample.clock.at = NOW - DAY
    await page_server.sample.polling("shop", "profiles", None, 600.0)
    page_server.sample.clock.at = NOW - 65.0
    newest = await page_server.sample.polling("shop", "profiles", None, 600.0)
    page_server.sample.clock.at = NOW
    async with looking(browser, page_server, timezone_id="Asia/Kolkata") as page:
        await page.goto("/jobs")
        created = page.locator("td.cr")
        switch = page.get_by_role("button", name="Times")
        await expect(created.first).to_have_text(re.compile("1\u00a0min ago"))
        await switch.click()
        await expect(switch).to_have_text("Times: UTC")
        await expect(created.first).to_have_text("15:05:35")
        await expect(created.last).to_have_text("2025-06-14 15:06")
        await switch.click()
        await expect(created.first).to_have_text("20:35:35")
        await expect(created.last).to_have_text("2025-06-14 20:36")
        await expect(page.locator("footer time")).to_have_text("20:36:40 UTC+05:30")
        await page_server.sample.polling("shop", "profiles", None, 600.0)
        await expect(page.locator("tbody tr")).to_have_count(3)
        await expect(created.last).to_have_text("2025-06-14 20:36")
        await page.goto(f"/jobs/{newest.id}")
        await expect(page.locator(".facts time").first).to_have_text("2025-06-15 20:35:35 UTC+05:30")
        await switch.click()
        await expect(page.locator(".facts time").first).to_have_text("2025-06-15 15:05:35 UTC")
        await page.goto("/schedules")
        await expect(page.get_by_text("Next in your zone").first).to_contain_text("2025-06-16 06:45 UTC+05:30")
        assert await page.context.cookies() == []
