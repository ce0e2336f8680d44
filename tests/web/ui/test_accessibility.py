"""Every page passes axe-core: contrast, names, landmarks, heads of tables; on a screen, a phone, and in the dark.

The pages are those to which links lead, so a new page is checked without a change here.
"""

import re
from collections import Counter
from typing import Any, Final

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from tests.web.ui.browser_page import looking
from tests.web.ui.chromium import INSTALL_S
from tests.web.ui.sample_data import fill, submit
from tests.web.ui.ui_server import UiServer
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.domain.job import State

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(INSTALL_S),
    pytest.mark.slow,
]

LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1440, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1440, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}
_LINKS: Final = "[...document.querySelectorAll('a[href]:not([download])')].map((link) => link.href)"
# What differs between the looks: the dark pages are the light ones in other colours.
RULES: Final[dict[str, dict[str, Any]]] = {
    "light": {},
    "dark": {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}},
    "phone": {},
}
# Otherwise axe-core describes each node that passes, which takes longer than to find the others.
_ONLY_FAULTS: Final = {"resultTypes": ["violations"]}
_ALIKE: Final = {"light": 2, "dark": 1, "phone": 1}


async def _faults(page: Page, site: UiServer, look: str, start: list[str]) -> tuple[set[str], list[str]]:
    """The kinds of pages that links lead to, and what axe-core finds on one or two of each kind."""
    seen: Counter[str] = Counter()
    faults: list[str] = []
    waiting = [*start]
    known = set(waiting)
    axe = Axe()
    while waiting:
        path = waiting.pop(0)
        kind = re.sub(r"\d+", "N", path.partition("?")[0]) + ("?" if "?" in path else "")
        if path not in start and seen[kind] >= _ALIKE[look]:
            continue
        reply = await page.request.get(path)
        if "text/html" not in reply.headers.get("content-type", ""):
            continue
        seen[kind] += 1
        await page.goto(path)
        violations = (await axe.run(page, options={**_ONLY_FAULTS, **RULES[look]})).response["violations"]
        faults += [f"{path}: {one['id']}: {node['html'][:160]}" for one in violations for node in one["nodes"]]
        links = [link.partition("#")[0].removeprefix(site.origin) for link in await page.evaluate(_LINKS)]
        fresh = {link for link in links if link.startswith("/")} - known
        known |= fresh
        waiting += sorted(fresh)
    return set(seen), faults


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_passes_axe(browser: Browser, busy: UiServer, look: str) -> None:
    """With jobs in every state, a paused account and failures."""
    sample = busy.sample
    await sample.failed("shop", "profiles", "HTTP 422: the segment 'spring-2025' is not in this account")
    await sample.parked("loyalty", "statistics")
    await sample.refuse("social", "HTTP 401: the API key was revoked on 2025-06-14")
    await submit(sample, await fill(sample, "opens"), 3)
    held = await fill(sample, "held")
    await BackfillStore(sample.jobs).pause(held.name, "ada", "their maintenance", sample.clock.at)
    some = [job for state in State for job in await sample.jobs.find(states=[state], limit=1)]
    async with looking(browser, busy, **LOOKS[look]) as page:
        kinds, faults = await _faults(page, busy, look, ["/", *(f"/jobs/{job.id}" for job in some)])
    assert kinds >= {"/", "/jobs", "/jobs/N", "/accounts", "/accounts/social", "/schedules", "/batches"}
    assert kinds >= {"/batches/opens", "/batches/held", "/backfills/new", "/backfills/new?"}
    assert not faults, "\n".join(sorted(set(faults)))


@pytest.mark.parametrize("look", LOOKS)
async def test_the_empty_pages_pass_axe(browser: Browser, page_server: UiServer, look: str) -> None:
    """Before the first job."""
    async with looking(browser, page_server, **LOOKS[look]) as page:
        kinds, faults = await _faults(page, page_server, look, ["/"])
    assert kinds >= {"/", "/jobs", "/accounts", "/schedules"}
    assert not faults, "\n".join(sorted(set(faults)))
