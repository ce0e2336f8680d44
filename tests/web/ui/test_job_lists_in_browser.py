"""Lists of jobs in a real browser: many rows at once, keys, cards on a phone, room on a wide screen."""

import pytest
from playwright.async_api import Browser, expect

from tests.web.ui.browser_page import looking
from tests.web.ui.chromium import INSTALL_S
from tests.web.ui.ui_server import UiServer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(INSTALL_S), pytest.mark.slow]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_many_jobs_are_chosen_and_changed(browser: Browser, page_server: UiServer, scripts: bool) -> None:
    """Rows are selected, the review says what will be done, and then it is done; so are all that match."""
    sample = page_server.sample
    failed = [await sample.failed("shop", "profiles", "no such segment") for _ in range(3)]
    async with looking(browser, page_server, java_script_enabled=scripts) as page:
        await page.goto("/jobs")
        await page.get_by_label(f"Select job {failed[0].id}").check()
        await page.get_by_label(f"Select job {failed[2].id}").check()
        if scripts:
            await expect(page.get_by_text("2 selected:")).to_be_visible()
        await page.get_by_role("button", name="Acknowledge…").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Acknowledge: 2\u00a0jobs")
        await page.get_by_role("button", name="Acknowledge: 2").click()
        await expect(page.get_by_text("jobs were acknowledged.")).to_be_visible()
        handled = [(job.handled_at is not None) for one in failed if (job := await sample.jobs.get(one.id))]
        assert handled == [True, False, True]

        await page.goto("/jobs?unhandled=true")
        await page.get_by_label("all that match").check()
        await page.get_by_role("button", name="Retry…").click()
        await page.get_by_role("button", name="Retry: 1").click()
        await expect(page.get_by_text("1\u00a0job was retried.")).to_be_visible()


async def test_keys(browser: Browser, page_server: UiServer) -> None:
    """A slash finds the search, j and k go through the rows, x selects one, ? explains, and they can be put off."""
    made = [await page_server.sample.polling("shop", "profiles", None, 600.0) for _ in range(3)]
    async with looking(browser, page_server) as page:
        await page.goto("/")
        await page.keyboard.press("/")
        await expect(page).to_have_url(f"{page_server.origin}/jobs")
        await page.keyboard.press("/")
        await expect(page.get_by_label("Search")).to_be_focused()
        await page.keyboard.type("j")
        await expect(page.get_by_label("Search")).to_have_value("j")
        await page.get_by_label("Search").blur()
        for key in ("j", "j", "k"):
            await page.keyboard.press(key)
        await expect(page.get_by_role("link", name=str(made[2].id), exact=True)).to_be_focused()
        await page.keyboard.press("x")
        await expect(page.get_by_label(f"Select job {made[2].id}")).to_be_checked()
        await page.get_by_label("Select all rows of this page").check()
        await expect(page.get_by_text("3 selected:")).to_be_visible()
        await page.get_by_label("Select all rows of this page").uncheck()
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        await page.get_by_label("Use these keys").uncheck()
        await page.get_by_role("button", name="Close").click()
        await page.reload()
        await page.keyboard.press("j")
        await expect(page.locator("main a:focus")).to_have_count(0)


async def test_a_list_fits_every_screen(browser: Browser, busy: UiServer) -> None:
    """Fifty jobs are short cards on a phone, and use the width of a large screen; nothing lies over anything else."""
    async with looking(browser, busy, viewport={"width": 390, "height": 844}) as page:
        await page.goto("/jobs")
        await expect(page.locator(".jobs tbody tr")).to_have_count(50)
        assert await page.evaluate("document.documentElement.scrollHeight") < 5_000
        overlaps = await page.locator(".jobs tbody tr").evaluate_all(
            """rows => rows.filter(row => {
              const [status, next] = [row.querySelector(".st .state"), row.querySelector(".nx")];
              const [a, b] = [status.getBoundingClientRect(), next.getBoundingClientRect()];
              return a.right > b.left && a.bottom > b.top && b.bottom > a.top;
            }).length"""
        )
        assert overlaps == 0
    for width, shown in (
        (1100, "export_type=OPENS period=LAST_DAY"),
        (1440, "export_type=UNSUBSCRIBES period=LAST_DAY"),
    ):
        async with looking(browser, busy, viewport={"width": width, "height": 900}) as page:
            await page.goto("/jobs")
            assert await page.locator(".jobs .det .remote").count()  # the list has details, too
            one_line = page.locator(".jobs .params").filter(has_text=shown).first
            assert await one_line.evaluate("text => text.clientHeight") < 30
    async with looking(browser, busy, viewport={"width": 2200, "height": 1000}) as page:
        await page.goto("/jobs")
        wide = await page.locator(".jobs").evaluate("table => table.getBoundingClientRect().width")
        assert wide > 1_700
        assert await page.locator(".jobs tbody tr").first.evaluate("row => row.getBoundingClientRect().height") < 32


@pytest.mark.parametrize("width", [1100, 1440])
async def test_a_usual_reason_is_not_cut(browser: Browser, page_server: UiServer, width: int) -> None:
    """A reason of some ninety characters stands whole beside parameters that leave room."""
    reason = "The connection to http://127.0.0.1:8691 broke before its reply: Connection reset by peer."
    await page_server.sample.failed("shop", "profiles", reason)
    async with looking(browser, page_server, viewport={"width": width, "height": 900}) as page:
        await page.goto("/jobs")
        hidden = "one => [one.scrollWidth - one.clientWidth, one.scrollHeight - one.clientHeight]"
        assert await page.locator(".jobs .det .why").evaluate(hidden) == [0, 0]
