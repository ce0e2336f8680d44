"""The page of an account: its settings without secrets, its limits, its schedules, and what ends a pause."""

import re
from dataclasses import replace

import pytest

from tests.support.stored_jobs import NOW
from tests.web.ui.ui_server import UiServer
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.job import State
from tidewaiter.domain.job_context import JobContext
from tidewaiter.services.wait_reasons import LaneCondition, LaneReport, limit_opens_at, wait_reason

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_account_shows_how_it_is_configured(page_server: UiServer) -> None:
    """Settings, and that a secret is set, but not which; the documentation of its provider; its schedules."""
    await page_server.sample.polling("newsletter", "statistics")
    await page_server.sample.add(
        "newsletter", "statistics", context=JobContext(schedule="daily-opens", scheduled_for=NOW)
    )
    _, text = await page_server.get("/accounts/newsletter")
    assert "report at <bdi>https://newsletter.example</bdi>" in text, "without the port that everybody knows"
    assert re.search(r"<bdi>key</bdi></dt><dd><span class=\"dim\">secret, is set", text)
    assert "canary" not in text
    assert '<a href="https://report.example/api" rel="noreferrer external">documentation' in text
    assert 'data-key="schedule-daily-opens"' in text
    assert 'data-key="schedule-weekly-profiles"' not in text
    assert re.search(r'<dt>Remote jobs</dt><dd><span class="num">1</span> of <span class="num">5</span>', text)


async def test_a_used_up_limit_is_a_wait(page_server: UiServer) -> None:
    """The lane says when its limit permits the next request, and a due job says so, whatever its state."""
    await page_server.sample.throttle("newsletter", 60)
    job = await page_server.sample.add("newsletter", "statistics")
    page_server.sample.clock.at += 1.0
    for path in ("/accounts/newsletter", "/accounts"):
        assert "limit used up, next request" in (await page_server.get(path))[1], path
    assert "The request limit of the account is used up." in (await page_server.get(f"/jobs/{job.id}"))[1]
    fetching = await page_server.sample.learn(await page_server.sample.polling("newsletter", "statistics"), o.Ready())
    assert fetching.state is State.FETCHING
    page_server.sample.clock.at += 1.0
    _, text = await page_server.get(f"/jobs/{fetching.id}")
    assert re.search(r"<h1>.*</svg>waiting</span> <span class=\"dim small\">fetching</span></h1>", text)
    for path in ("/jobs", "/accounts/newsletter"):
        row = (await page_server.get(path))[1].partition(f'data-key="job-{job.id}"')[2].partition("</tr>")[0]
        assert "</svg>queued</span>" in row, path
        assert ">limit, <time" in row, path
    report = LaneReport(LaneCondition.OPEN, until=NOW + 60.0)
    for state in (State.FETCHING, State.QUEUED):
        wait = wait_reason(replace(job, state=state, due_at=NOW), report, NOW + 1.0)
        assert wait is not None
        assert (wait.until, wait.blocked) == (NOW + 60.0, True)


async def test_what_a_failing_provider_holds_is_not_due(page_server: UiServer) -> None:
    """A due job waits while the breaker of its lane is open, or its provider has throttled it; it is not called due."""
    sample = page_server.sample
    fails = await sample.add("newsletter", "statistics")
    slows = await sample.polling("shop", "profiles", None, -5.0)
    later = await sample.polling("shop", "profiles", None, 600.0)
    await sample.throttle("newsletter", 5, reason="No connection; next test request at 12:00:00 UTC")
    sample.clock.at += 10.0
    await sample.throttle("shop", 5, 90.0, "HTTP 429: Too Many Requests")
    _, text = await page_server.get("/jobs")
    rows = {
        job.id: text.partition(f'data-key="job-{job.id}"')[2].partition("</tr>")[0] for job in (fails, slows, later)
    }
    assert 'title="No connection; next test request at 12:00:00 UTC">provider failing</span>' in rows[fails.id]
    assert ">throttled, <time" in rows[slows.id]
    assert "</svg>waiting</span> <span" in rows[slows.id]
    assert "</svg>polling</span>" in rows[later.id], "it would do nothing now anyway"
    assert ">due<" not in text
    _, page = await page_server.get(f"/jobs/{slows.id}")
    assert "</svg>waiting</span> <span" in page.partition("</h1>")[0]
    _, page = await page_server.get(f"/jobs/{fails.id}")
    assert "next test request at 12:00:00 UTC.</bdi>" in page, "what follows is another sentence"


async def test_when_a_limit_opens() -> None:
    """One period after the oldest of the requests that fill it."""
    limits = Limits(requests=2, period_s=60.0)
    assert limit_opens_at([NOW - 70.0, NOW - 50.0], limits, NOW) is None
    assert limit_opens_at([NOW - 10.0, NOW - 50.0], limits, NOW) == NOW + 10.0
    assert limit_opens_at([NOW - 10.0, NOW - 30.0, NOW - 50.0], limits, NOW) == NOW + 30.0
    assert limit_opens_at([NOW - 10.0] * 9, Limits(), NOW) is None


async def test_a_pause_says_what_ends_it(page_server: UiServer) -> None:
    """The remedy fits the cause; nothing of the account is called due meanwhile."""
    await page_server.sample.polling("shop", "profiles", None, -5.0)
    await page_server.sample.polling("loyalty", "profiles", None, -5.0)
    await page_server.sample.refuse("shop", "HTTP 401: the key was revoked")
    await page_server.sample.accounts.pause("loyalty", "their maintenance")
    _, text = await page_server.get("/accounts/shop")
    assert "Correct the key in the configuration, then send SIGHUP" in text
    assert ">due<" not in text
    assert "account paused" in text
    assert "Resume the account when its cause is gone." in (await page_server.get("/accounts/loyalty"))[1]
    _, overview = await page_server.get("/")
    assert "Correct the key in the configuration, then send SIGHUP" in overview
    assert "Resume the account when its cause is gone." in overview


async def test_a_job_of_a_paused_account_says_why_once(page_server: UiServer) -> None:
    """The reason of the pause is not repeated as the job's own, and a link leads to what fixes it."""
    job = await page_server.sample.polling("shop", "profiles", None, -5.0)
    await page_server.sample.learn(job, o.Unauthorized("HTTP 401: the key was revoked"))
    await page_server.sample.refuse("shop", "HTTP 401: the key was revoked")
    _, text = await page_server.get(f"/jobs/{job.id}")
    before = text[: text.index("Time in each state")]
    assert before.count("HTTP 401: the key was revoked") == 1
    assert '<a href="/accounts/shop">What fixes it</a>' in before
