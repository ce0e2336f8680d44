"""The page in a real browser: display, actions and live updates; with and without scripts."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.web.ui.browser_page import looking
from tests.web.ui.chromium import INSTALL_S
from tests.web.ui.hostile_text import EVIL
from tests.web.ui.ui_server import ADMIN, READER, UiServer
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(INSTALL_S)]

FORM = "/backfills/new?account=shop&operation=segments"
NEWER = ("/jobs/new", "/jobs/new?account=shop&operation=segments", "/notifications", "/trends", "/batches", FORM)
PHONE = {"width": 360, "height": 740}
_SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"

_FAULTS = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const named = (e) => (e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent).trim();
  const pressed = all("a,button,input:not([type=hidden]),select,summary");
  const ids = all("[id]").map((e) => e.id);
  const levels = all("h1,h2,h3").map((e) => Number(e.tagName[1]));
  const pointed = all("[aria-labelledby]").flatMap((e) => e.getAttribute("aria-labelledby").split(" "));
  return [
    ...pressed.filter((e) => !named(e)).map((e) => e.outerHTML),
    ...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => "twice: " + id),
    ...levels.filter((level, at) => level - (levels[at - 1] ?? 0) > 1).map((level) => "skipped to h" + level),
    ...all("table").filter((t) => !t.querySelector("thead th[scope]")).map(() => "a table without heads"),
    ...pointed.filter((id) => !document.getElementById(id)),
  ];
}"""


@pytest.mark.slow
async def test_the_overview_is_drawn(browser: Browser, busy: UiServer) -> None:
    """Numbers lead to lists, charts have names, lanes have budgets; one heading, landmarks, a title, a language."""
    async with looking(browser, busy) as page:
        await page.goto("/")
        await expect(page).to_have_title("Overview · Tidewaiter")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("under way")
        for role in ("banner", "main", "navigation", "contentinfo"):
            await expect(page.get_by_role(role)).to_have_count(1)
        await expect(page.get_by_role("img", name="Jobs that ended, by minute")).to_be_visible()
        await expect(page.get_by_role("img", name="How long landing took, by minute")).to_be_visible()
        await expect(page.get_by_role("table").first.get_by_role("row")).to_have_count(5)
        assert await page.evaluate("document.documentElement.lang") == "en"
        columns = await page.locator(".chart rect").evaluate_all(
            "all => all.filter(r => r.getBoundingClientRect().height > 1).length"
        )
        assert columns > 20, "bars have a height on the screen"
        await page.get_by_role("link", name="polling").click()
        await expect(page).to_have_url(f"{busy.origin}/jobs?state=polling")
        await expect(page.locator("tbody tr")).to_have_count(50)


@pytest.mark.slow
async def test_filters_and_pages_work_by_hand(browser: Browser, busy: UiServer) -> None:
    """A person chooses an account, goes to older jobs, and looks for one by its number."""
    async with looking(browser, busy) as page:
        await page.goto("/jobs")
        await page.get_by_role("link", name="Older").click()
        await expect(page.get_by_role("link", name="Newest")).to_be_visible()
        await page.get_by_label("Account").select_option("shop")
        await page.get_by_role("button", name="Show").click()
        await expect(page).to_have_url(f"{busy.origin}/jobs?q=&account=shop&operation=")
        for cell in await page.locator("td.op").all_inner_texts():
            assert cell.startswith("shop")
        await page.goto("/jobs")
        await page.get_by_label("Search").fill("7")
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="7", exact=True).click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Job 7")


@pytest.mark.slow
async def test_a_long_history_is_a_timeline(browser: Browser, page_server: UiServer) -> None:
    """Durations between what happened, folded where it says much the same; files with sizes and checksums."""
    job = await page_server.sample.troubled("newsletter", "statistics", 14)
    async with looking(browser, page_server) as page:
        await page.goto(f"/jobs/{job.id}")
        line = page.locator(".timeline")
        await expect(line).to_contain_text("+43\u00a0s")
        await expect(line.get_by_text("(try 5)")).to_be_hidden()
        await line.get_by_text("more entries like these").click()
        await expect(line.get_by_text("(try 5)")).to_be_visible()
        files = page.locator(".files li")
        await expect(files).to_have_count(3)
        await expect(files.first.locator("code")).to_have_text(
            (await page_server.sample.jobs.artifacts(job.id))[0].sha256
        )
        assert await files.first.get_by_role("link").get_attribute("href") == f"/v1/jobs/{job.id}/artifacts/0"


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_an_admin_steers(browser: Browser, page_server: UiServer, scripts: bool) -> None:
    """Cancel, ask now, retry, adopt, pause and resume: each asks first, each says what was done, and it is done."""
    sample = page_server.sample
    waiting, ended = await sample.polling("shop", "profiles", None, 600.0), await sample.landed("shop", "profiles")
    lost, found = await sample.parked("loyalty", "statistics"), await sample.parked("loyalty", "statistics")
    async with looking(browser, page_server, java_script_enabled=scripts) as page:
        await page.goto(f"/jobs/{waiting.id}")
        await page.get_by_role("button", name="Poll now").click()
        await expect(page.get_by_text("The provider is polled as soon as")).to_be_visible()
        await expect(page.get_by_role("button", name="Cancel the job")).to_be_hidden()
        await page.get_by_text("Cancel…").click()
        await page.get_by_role("button", name="Cancel the job").click()
        await expect(page.get_by_text("The cancel request is stored")).to_be_visible()
        stored = await sample.jobs.get(waiting.id)
        assert stored is not None
        assert stored.cancel_requested
        await expect(page.get_by_text("A cancel request is stored.")).to_be_visible()
        await expect(page.get_by_text("Cancel…")).to_have_count(0)

        await page.goto(f"/jobs/{ended.id}")
        await page.get_by_text("Retry…").click()
        await page.get_by_role("button", name="Retry the job").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text(f"Job {found.id + 1}")
        await expect(page.get_by_role("link", name=f"job {ended.id}")).to_be_visible()

        await page.goto(f"/jobs/{lost.id}")
        await page.get_by_text("Submit again…").click()
        await page.get_by_role("button", name="Submit again").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("queued")

        await page.goto(f"/jobs/{found.id}")
        await page.get_by_text("Adopt…").click()
        await page.get_by_label("Handle of the remote job").fill("exp-found")
        await page.get_by_role("button", name="Adopt the remote job").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("polling")
        await expect(page.locator(".facts code").first).to_have_text("exp-found")

        await page.goto("/accounts/social")
        await page.get_by_text("Pause…").click()
        await page.get_by_label("Reason, for others").fill("their maintenance")
        await page.get_by_role("button", name="Pause the account").click()
        await expect(page.get_by_text("The account is paused: no request is sent")).to_be_visible()
        assert (await sample.accounts.paused())["social"].reason == "their maintenance"
        await page.get_by_text("Resume…").click()
        await page.get_by_role("button", name="Resume the account").click()
        await expect(page.get_by_text("The account is resumed")).to_be_visible()
        assert not await sample.accounts.paused()

        await page.goto("/schedules")
        await page.get_by_text("Run…").first.click()
        await page.get_by_role("button", name="Run it now").locator("visible=true").click()
        await expect(page.get_by_text("The schedule was run now")).to_be_visible()


@pytest.mark.slow
async def test_a_form_is_reached_and_left_by_keyboard(browser: Browser, page_server: UiServer) -> None:
    """Tab comes to the button, Enter opens the question, Escape closes it and gives the focus back."""
    job = await page_server.sample.polling("shop", "profiles", None, 600.0)
    async with looking(browser, page_server) as page:
        await page.goto(f"/jobs/{job.id}")
        await page.keyboard.press("Tab")
        await expect(page.get_by_text("To the content")).to_be_focused()
        for _ in range(20):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.textContent") == "Cancel…":
                break
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", "the focus is seen"
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Cancel the job")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Cancel the job")).to_be_hidden()
        await expect(page.get_by_text("Cancel…")).to_be_focused()


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_signing_in_and_out(browser: Browser, guarded: UiServer, scripts: bool) -> None:
    """A wrong token is told, a right one leads on, the session ends when it is ended; no script can read it."""
    async with looking(browser, guarded, java_script_enabled=scripts) as page:
        await page.goto("/accounts")
        await expect(page.get_by_role("navigation")).to_have_count(0)
        await page.get_by_label("Token").fill(ADMIN)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page).to_have_url(f"{guarded.origin}/accounts")
        (cookie,) = await page.context.cookies()
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_text("You are signed out.")).to_be_visible()
        await page.goto("/jobs")
        await expect(page).to_have_url(f"{guarded.origin}/login?next=/jobs")


@pytest.mark.slow
async def test_a_reader_signs_out_and_sees_no_button(browser: Browser, guarded: UiServer) -> None:
    """The role read may look and leave."""
    job = await guarded.sample.parked("shop", "profiles")
    async with looking(browser, guarded) as page:
        await page.goto(f"/jobs/{job.id}")
        await page.get_by_label("Token").fill(READER)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("parked")
        await expect(page.locator("main form, main button")).to_have_count(0)
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.slow
async def test_the_page_follows_without_being_loaded_again(browser: Browser, page_server: UiServer) -> None:
    """A job that goes on is seen to; what was opened stays open, and the document is the same one."""
    job = await page_server.sample.troubled("newsletter", "statistics", 14)
    other = await page_server.sample.polling("shop", "profiles", "10 %", 600.0)
    async with looking(browser, page_server) as page:
        await page.goto(f"/jobs/{other.id}")
        await page.evaluate("window.isTheSame = true")
        await expect(page.get_by_role("button", name="Keep this page up to date")).to_have_text("Live")
        await page_server.sample.learn(other, o.Refused("there is no such segment"), after_s=5.0)
        await expect(page.get_by_role("heading", level=1)).to_contain_text("failed")
        assert await page.evaluate("window.isTheSame")
        await page.goto("/jobs")
        await page.evaluate("window.isTheSame = true")
        link = page.get_by_role("link", name=str(job.id), exact=True)
        await link.focus()
        await page_server.sample.polling("social", "statistics", "5 %", 600.0)
        await expect(page.locator("tbody tr")).to_have_count(3)
        await expect(link).to_be_focused()
        assert await page.evaluate("window.isTheSame")


@pytest.mark.slow
async def test_what_is_open_stays_open_while_the_page_lives(browser: Browser, page_server: UiServer) -> None:
    """An unfolded part of a history is not folded by an update."""
    job = await page_server.sample.polling("newsletter", "statistics", None, 600.0)
    for turn in range(12):
        job = await page_server.sample.learn(job, o.Retry(f"HTTP 502 (try {turn})"), after_s=20.0)
    async with looking(browser, page_server) as page:
        await page.goto(f"/jobs/{job.id}")
        await page.get_by_text("more entries like these").click()
        await expect(page.get_by_text("(try 5)")).to_be_visible()
        await page_server.sample.learn(job, o.Retry("HTTP 504 (try 12)"), after_s=20.0)
        await expect(page.locator(".timeline").get_by_text("(try 12)")).to_be_visible()
        await expect(page.get_by_text("(try 5)")).to_be_visible()


@pytest.mark.slow
async def test_a_silent_daemon_is_shown(browser: Browser, page_server: UiServer) -> None:
    """When it does not answer, a quiet banner says so, and goes when it answers again."""
    async with looking(browser, page_server) as page:
        await page.goto("/")
        await page.evaluate(
            "() => { const f = fetch; window.fetch = (...all) => window.isDown ? Promise.reject(1) : f(...all); }"
        )
        await page.evaluate("window.isDown = true")
        await expect(page.get_by_text("Tidewaiter has not responded since")).to_be_visible(timeout=30_000)
        assert re.search(r"responded since \S+ UTC; this page", await page.locator("#lost").inner_text())
        live = page.get_by_role("button", name="Keep this page up to date")
        await expect(live).to_have_text("No reply")
        await page.evaluate("window.isDown = false")
        await expect(page.get_by_text("Tidewaiter has not responded since")).to_be_hidden(timeout=30_000)
        await expect(live).to_have_text("Live")


@pytest.mark.slow
async def test_hostile_text_breaks_nothing(browser: Browser, page_server: UiServer) -> None:
    """No alert, nothing against the policy, no page that must be moved sideways, on a phone least of all."""
    sample = page_server.sample
    job = await sample.polling("shop", "profiles", EVIL, 600.0, params={"segment": EVIL, EVIL: EVIL}, unique_key=EVIL)
    job = await sample.learn(job, o.Ready((), EVIL), o.FetchStarted())
    files = sample._files(job, 2)
    evil = [
        o.Stored(
            tuple(
                type(file)(file.number, EVIL[:90] + str(file.number), EVIL, EVIL, 1, "ab" * 32, EVIL, file.landed_at)
                for file in files
            )
        )
    ]
    job = await sample.learn(job, *evil)
    await sample.failed("loyalty", "statistics", EVIL)
    await sample.accounts.pause("shop", EVIL)
    await sample.throttle("social", 3, 60.0, EVIL)
    for viewport in (PHONE, {"width": 1280, "height": 800}):
        async with looking(browser, page_server, viewport=viewport) as page:
            for path in ("/", "/jobs", f"/jobs/{job.id}", f"/jobs/{job.id + 1}", "/accounts", "/accounts/shop"):
                await page.goto(path)
                assert not await page.evaluate(_SIDEWAYS), (path, viewport)
                assert await page.evaluate("document.images.length") == 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390, 768])
async def test_a_phone_needs_no_sideways(browser: Browser, busy: UiServer, width: int) -> None:
    """Every page fits a narrow screen, and what is pressed is large enough for a thumb."""
    long = await busy.sample.troubled("newsletter", "statistics", 14)
    async with looking(browser, busy, viewport={"width": width, "height": 800}, has_touch=True) as page:
        for path in ("/", "/jobs", f"/jobs/{long.id}", "/accounts", "/accounts/shop", "/schedules", *NEWER, "/nothing"):
            reply = await page.goto(path) if path != "/nothing" else None
            assert reply is None or reply.ok
            assert not await page.evaluate(_SIDEWAYS), path
            small = await page.locator("button:visible, summary.button:visible, nav[aria-label=Pages] a").evaluate_all(
                "all => all.map(e => [e.textContent, e.getBoundingClientRect().height]).filter(([, h]) => h < 24)"
            )
            assert not small, path


@pytest.mark.slow
async def test_questions_fit_a_phone(browser: Browser, page_server: UiServer) -> None:
    """Whatever a button asks is seen whole on a narrow screen."""
    parked = await page_server.sample.parked("shop", "profiles")
    async with looking(browser, page_server, viewport=PHONE) as page:
        for path in (f"/jobs/{parked.id}", "/accounts/shop", "/schedules"):
            await page.goto(path)
            buttons = page.locator(".ask > summary")
            assert await buttons.count() > 0
            for place in range(await buttons.count()):
                await buttons.nth(place).click()
                box = await page.locator(".ask[open] form").bounding_box()
                assert box is not None
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= PHONE["width"]
                assert not await page.evaluate(_SIDEWAYS), path


@pytest.mark.slow
async def test_both_schemes_are_worn(browser: Browser, page_server: UiServer) -> None:
    """Dark where the system is dark; the switch goes before that, and is remembered without a cookie."""
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    async with looking(browser, page_server, color_scheme="dark") as page:
        await page.goto("/")
        assert await page.evaluate(ground) == "rgb(18, 21, 24)"
        switch = page.get_by_role("button", name="Colours")
        await switch.click()
        await expect(switch).to_have_text("Colours: light")
        assert await page.evaluate(ground) == "rgb(250, 249, 247)"
        await page.goto("/jobs")
        assert await page.evaluate(ground) == "rgb(250, 249, 247)"
        assert await page.context.cookies() == []


@pytest.mark.slow
async def test_everything_has_a_name(browser: Browser, busy: UiServer) -> None:
    """Whatever can be pressed or filled in is named, ids are unique, headings skip no level, tables have heads."""
    parked = await busy.sample.parked("shop", "profiles")
    async with looking(browser, busy) as page:
        for path in ("/", "/jobs", f"/jobs/{parked.id}", "/accounts", "/accounts/shop", "/schedules", *NEWER):
            await page.goto(path)
            faults = await page.evaluate(_FAULTS)
            assert faults == [], path


@pytest.mark.slow
async def test_a_page_can_be_printed(browser: Browser, busy: UiServer) -> None:
    """On paper there is no navigation and no button."""
    async with looking(browser, busy) as page:
        await page.goto("/")
        await page.emulate_media(media="print")
        await expect(page.get_by_role("navigation")).to_be_hidden()
        await expect(page.locator(".headline")).to_be_visible()
        assert (await busy.sample.jobs.counts())[State.POLLING] > 0
