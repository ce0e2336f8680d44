"""The page beside a daemon with an emulated provider: a job from its request to its file."""

import asyncio
import hashlib
import io
import json
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.support.ports import free_port
from tests.web.ui.chromium import INSTALL_S
from tidewaiter import bootstrap
from tidewaiter.cli.emulate import account_table
from tidewaiter.clock import SystemClock
from tidewaiter.config import load
from tidewaiter.emulators import catalogue
from tidewaiter.log import configure
from tidewaiter.services import DAEMON

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(INSTALL_S)]


@pytest.mark.slow
async def test_a_job_is_watched_to_its_end(browser: Browser, tmp_path: Path) -> None:
    """Its states come and go without loading the page again, and the file that is fetched is the one that landed."""
    served = catalogue._SYMPLIFY.build(SystemClock(), 0, catalogue.SymplifyOptions(build_s=3.0, rows=40))
    for server in served.servers.values():
        await server.start()
    port, output = free_port(), io.StringIO()
    table = account_table("newsletter", served.account())
    await asyncio.to_thread(
        (tmp_path / "tidewaiter.toml").write_text,
        f'[http]\nlisten = "127.0.0.1:{port}"\n[worker]\ndrain_s = 1\n{table}',
    )
    config = load(tmp_path / "tidewaiter.toml", {})
    log = configure("json", "info", (), stream=output, strict=True)
    stop = asyncio.Event()
    async with bootstrap.open_job_service(config, log) as service:
        running = asyncio.ensure_future(bootstrap.serve(config, log, stop=stop))
        request = served.samples[0]
        job, _ = await service.submit("newsletter", request.operation, request.params, actor=DAEMON)
        profile = await browser.new_context(base_url=f"http://127.0.0.1:{port}", accept_downloads=True)
        page = await profile.new_page()
        for _ in range(200):
            if "daemon.started" in output.getvalue():
                break
            assert not running.done()
            await asyncio.sleep(0.05)
        await page.goto(f"/jobs/{job.id}")
        await page.evaluate("window.isTheSame = true")
        heading = page.get_by_role("heading", level=1)
        await expect(heading).to_contain_text("succeeded", timeout=60_000)
        assert await page.evaluate("window.isTheSame")
        (artifact,) = await service.jobs.artifacts(job.id)
        await expect(page.locator(".files code")).to_have_text(artifact.sha256)
        async with page.expect_download() as downloading:
            await page.locator(".files").get_by_role("link").click()
        landed = Path(await (await downloading.value).path())
        assert hashlib.sha256(await asyncio.to_thread(landed.read_bytes)).hexdigest() == artifact.sha256
        await page.goto("/")
        await expect(page.get_by_role("heading", name="Landed last")).to_be_visible()
        await profile.close()
    stop.set()
    assert await running == 0
    for server in reversed(list(served.servers.values())):
        await server.stop()
    log.close()
    assert not [line for line in output.getvalue().splitlines() if json.loads(line)["event"] == "http.failed"]
