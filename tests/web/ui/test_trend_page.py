"""The page of trends: charts whose values are told, and the same as tables."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.support.stored_jobs import NOW
from tests.web.ui.browser_page import looking
from tests.web.ui.ui_server import UiServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY = 86_400.0


async def fill(server: UiServer) -> None:
    """Two jobs landed and one failed today, one landed the day before."""
    server.sample.clock.at = NOW - DAY
    await server.sample.landed("shop", "profiles")
    server.sample.clock.at = NOW - 60.0
    await server.sample.landed("shop", "profiles")
    await server.sample.landed("newsletter", "statistics")
    await server.sample.failed("shop", "profiles", "no")
    server.sample.clock.at = NOW


async def test_each_period_is_told(page_server: UiServer) -> None:
    """The charts and the tables have the same numbers; filters narrow both."""
    await fill(page_server)
    _, text = await page_server.get("/trends")
    assert "3\u00a0jobs landed" in text
    assert "<title>Sun 2025-06-15: 2 landed, 1 failed</title>" in text
    assert "<title>Sat 2025-06-14: 1 landed</title>" in text
    assert "<title>Fri 2025-06-13: nothing ended</title>" in text
    assert len(re.findall(r'<g data-value="', text)) == 4 * 30
    legend = text.partition('<p class="legend">')[2].partition("</p>")[0]
    assert re.findall(r'</svg>(\w+)</span> <span class="num">(\d+)', legend) == [("succeeded", "3"), ("failed", "1")]
    _, text = await page_server.get("/trends?step=hour&account=shop&operation=profiles")
    assert "<title>2025-06-15 15:00: 1 landed, 1 failed</title>" in text
    assert 'data-key="trend-shop-profiles"' in text
    assert 'data-key="trend-newsletter-statistics"' not in text
    _, text = await page_server.get("/trends?step=week")
    assert "<title>week of 2025-06-09: 3 landed, 1 failed</title>" in text


async def test_trends_without_jobs(page_server: UiServer) -> None:
    """Nothing has ended, and the page says so; an unknown length of periods is refused."""
    status, text = await page_server.get("/trends")
    assert status == 200
    assert "Nothing has ended in this time." in text
    assert (await page_server.get("/trends?step=year"))[0] == 400


@pytest.mark.slow
async def test_values_are_read_by_pointer_and_by_keyboard(browser: Browser, page_server: UiServer) -> None:
    """What is hovered, or reached by arrow keys, stands below the chart; a phone is not moved sideways."""
    await fill(page_server)
    async with looking(browser, page_server, viewport={"width": 390, "height": 800}) as page:
        await page.goto("/trends")
        chart = page.locator("section", has=page.get_by_role("heading", name="Ended jobs"))
        await chart.get_by_role("img").focus()
        await expect(chart.locator(".reading")).to_have_text("Sun 2025-06-15: 2 landed, 1 failed")
        await page.keyboard.press("ArrowLeft")
        await expect(chart.locator(".reading")).to_have_text("Sat 2025-06-14: 1 landed")
        await page.keyboard.press("Home")
        await expect(chart.locator(".reading")).to_contain_text("nothing ended")
        await chart.locator(".hit").last.hover()
        await expect(chart.locator(".reading")).to_have_text("Sun 2025-06-15: 2 landed, 1 failed")
        assert not await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
