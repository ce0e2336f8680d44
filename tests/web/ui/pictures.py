"""Takes the pictures of the page that the documentation shows: ``python -m tests.web.ui.pictures``.

The same scenes come out of the same seed. Pictures are made smaller with pngquant where it is installed; letters are
Inter where it is installed, else whatever this machine calls sans-serif.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, ViewportSize, async_playwright

from tests.support.stored_jobs import NOW
from tests.web.ui.chromium import FLAGS, chromium_path
from tests.web.ui.sample_data import HOUR, an_hour, under_way
from tests.web.ui.ui_server import ACCOUNTS, REQUESTS, UiServer, served
from tidewaiter.database import migrate

ROOT: Final = Path(__file__).parents[3]
MOST_BYTES: Final = 200_000
_SMALLER: Final = "pngquant"
_FRESH_S: Final = 4.0
_FONTS: Final = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<include ignore_missing="yes">/etc/fonts/fonts.conf</include>
<match target="pattern"><test name="family" qual="any"><string>sans-serif</string></test>
<edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
<match target="pattern"><test name="family" qual="any"><string>sans</string></test>
<edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
<match target="pattern"><test name="family" qual="any"><string>system-ui</string></test>
<edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
</fontconfig>"""


@dataclass(frozen=True, slots=True)
class Picture:
    """One snapshot: of which page, how wide, and in which scheme; ``tall`` cuts it off, else it is the whole page."""

    name: str
    path: str
    wide: int = 1200
    tall: int | None = None
    dark: bool = False
    sharp: float = 1.5


async def main(folder: Path, *, every: bool) -> None:
    """Take them all, into that folder."""
    with tempfile.TemporaryDirectory(prefix="tidewaiter-pictures-") as scratch:
        place = Path(scratch)
        fonts = place / "fonts.conf"
        await asyncio.to_thread(fonts.write_text, _FONTS)
        environ: dict[str, str | float | bool] = {**os.environ, "FONTCONFIG_FILE": str(fonts)}
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=chromium_path(), args=list(FLAGS), env=environ)
            url = f"sqlite:///{place / 'pictures.db'}"
            await asyncio.to_thread(migrate.upgrade, url)
            async with served(place, url) as page_server:
                await _take_all(browser, page_server, folder, every=every)
            await browser.close()


async def _take_all(browser: Browser, page_server: UiServer, folder: Path, *, every: bool) -> None:
    sample = page_server.sample
    sample.clock.at = NOW - 31 * HOUR
    await sample.open(list(ACCOUNTS))
    sample.clock.at = NOW
    if every:
        await _take(browser, page_server, folder, [Picture("page-empty", "/", tall=620)])
    sample.clock.at = NOW - 2 * HOUR
    long = await sample.troubled("newsletter", "statistics", 14)
    sample.clock.at = NOW - HOUR
    await an_hour(sample, REQUESTS, 700)
    await under_way(sample, REQUESTS, 140)
    await sample.throttle("newsletter", 38)
    await sample.throttle("shop", 114)
    await sample.throttle("social", 30, 48.0, "HTTP 429: Too Many Requests")
    await sample.throttle("loyalty", 12)
    good = [
        Picture("page-overview", "/"),
        Picture("page-overview-dark", "/", dark=True),
        Picture("page-job", f"/jobs/{long.id}"),
    ]
    await _take(browser, page_server, folder, good)
    if every:
        more = [
            Picture("page-jobs", "/jobs", tall=900),
            Picture("page-jobs-phone", "/jobs", 390, 844, sharp=2),
            Picture("page-job-phone", f"/jobs/{long.id}", 390, sharp=2),
            Picture("page-accounts", "/accounts", tall=620),
            Picture("page-schedules", "/schedules"),
            Picture("page-trends", "/trends"),
            Picture("page-trends-dark", "/trends", dark=True),
            Picture("page-notifications", "/notifications", tall=620),
            Picture("page-new-job", "/jobs/new?account=newsletter&operation=statistics"),
            Picture("page-new-job-phone", "/jobs/new?account=newsletter&operation=statistics", 390, sharp=2),
        ]
        await _take(browser, page_server, folder, more)
    sample.clock.at = NOW - 240.0
    await sample.failed("shop", "profiles", "HTTP 422: the segment 'spring-2025' is not in this account")
    parked = await sample.parked("loyalty", "statistics")
    await sample.parked("loyalty", "statistics")
    await sample.refuse("social", "HTTP 401: the API key was revoked on 2025-06-14")
    sample.clock.at = NOW
    await asyncio.sleep(_FRESH_S)
    bad = [Picture("page-phone", "/", 390, 844, sharp=2)]
    if every:
        bad += [
            Picture("page-failing", "/"),
            Picture("page-failing-dark", "/", dark=True),
            Picture("page-parked", f"/jobs/{parked.id}", tall=760),
            Picture("page-phone-dark", "/", 390, 844, dark=True, sharp=2),
            Picture("page-error", "/jobs/99999", tall=620),
        ]
    await _take(browser, page_server, folder, bad)


async def _take(browser: Browser, page_server: UiServer, folder: Path, pictures: list[Picture]) -> None:
    for one in pictures:
        profile = await browser.new_context(
            viewport=ViewportSize(width=one.wide, height=one.tall or 800),
            color_scheme="dark" if one.dark else "light",
            device_scale_factor=one.sharp,
        )
        page = await profile.new_page()
        await page.goto(page_server.origin + one.path)
        file = folder / f"{one.name}.png"
        await page.screenshot(path=file, full_page=one.tall is None)
        await profile.close()
        await asyncio.to_thread(_make_smaller, file)


def _make_smaller(file: Path) -> None:
    if shutil.which(_SMALLER):
        subprocess.run([_SMALLER, "--force", "--ext", ".png", "--speed", "1", "64", str(file)], check=True)


def too_large(folder: Path) -> str | None:
    """Which pictures in a folder are larger than the documentation permits, and why; ``None`` if none is."""
    found = [f"{one.name} ({one.stat().st_size:,} bytes)" for one in sorted(folder.glob("page-*.png"))
             if one.stat().st_size > MOST_BYTES]  # fmt: skip
    if not found:
        return None
    reason = "" if shutil.which(_SMALLER) else f"; {_SMALLER} is not installed: install it, and take them again"
    return f"larger than {MOST_BYTES:,} bytes{reason}: {', '.join(found)}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--every", action="store_true", help="take the pictures that no document shows, too")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(asked.folder, every=asked.every))
    if (fault := too_large(asked.folder)) is not None:  # all are taken first, so that nothing else is missing
        raise SystemExit(fault)
