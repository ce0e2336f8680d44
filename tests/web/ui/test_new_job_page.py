"""The form that asks for an export: its fields, its values, and what it refuses."""

import re

import aiohttp
import pytest
from playwright.async_api import Browser, expect

from tests.web.ui.browser_page import looking
from tests.web.ui.html_parts import field_of
from tests.web.ui.ui_server import READER, SUBMITTER, UiServer
from tidewaiter.domain.job_context import JobContext

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORM = "/jobs/new?account=shop&operation=segments"
FILLED = {
    "account": "shop",
    "operation": "segments",
    "p.kind": "LOST",
    "p.since": "2026-01-31",
    "p.limit": "12",
    "p.hashed": "false",
    "p.fields": "name\r\nemail\r\n",
    "p.rule": '{"field": "city", "values": ["Roma"]}',
    "p.region": "",
    "unique_key": "june",
    "labels": "team=growth\r\nticket = OPS-7",
}


async def test_a_field_fits_its_parameter(page_server: UiServer) -> None:
    """Choices are a list, dates have a calendar, lists have lines, and a nested value has its schema."""
    status, text = await page_server.get(FORM)
    assert status == 200
    assert re.search(r'<select [^>]*name="p.kind"[^>]* required', field_of(text, "p.kind"))
    assert '<option value="ACTIVE">' in field_of(text, "p.kind")
    assert 'type="date" name="p.since"' in field_of(text, "p.since")
    assert 'type="number" name="p.limit"' in field_of(text, "p.limit")
    assert '<option value="true">' in field_of(text, "p.hashed")
    assert "Not given means <bdi>true</bdi>" in field_of(text, "p.hashed")
    assert "One in a line." in field_of(text, "p.fields")
    assert "Only where <bdi>kind is ACTIVE</bdi>" in field_of(text, "p.region")
    assert "of the profile" in field_of(text, "p.rule"), "the schema"


async def test_a_filled_form_makes_a_job(page_server: UiServer) -> None:
    """Values get their types; the key and the labels are those of the job; the same key makes no second job."""
    async with aiohttp.ClientSession() as session:
        for notice in ("submitted", "known"):
            async with session.post(f"{page_server.origin}/jobs/new", data=FILLED, allow_redirects=False) as reply:
                assert (reply.status, reply.headers["Location"]) == (303, f"/jobs/1?done={notice}")
    job = await page_server.sample.jobs.get(1)
    assert job is not None
    assert job.params == {
        "kind": "LOST",
        "since": "2026-01-31",
        "limit": 12,
        "hashed": False,
        "fields": ["name", "email"],
        "rule": {"field": "city", "values": ["Roma"]},
    }
    assert job.unique_key == "june"
    assert dict(job.context.labels) == {"team": "growth", "ticket": "OPS-7"}


async def test_a_fault_stands_at_its_field(page_server: UiServer) -> None:
    """A refused form keeps what was typed, and stores nothing."""
    odd = {
        "p.kind": "SOME",
        "p.limit": "many",
        "p.rule": '{"field": "city", "value": 1}',
        "p.region": "\u202eRoma",
    }
    async with aiohttp.ClientSession(headers={"Accept": "text/html"}) as session:
        async with session.post(f"{page_server.origin}/jobs/new", data={**FILLED, **odd}) as reply:
            assert reply.status == 422
            assert "holds invisible characters" in field_of(await reply.text(), "p.region")
        async with session.post(f"{page_server.origin}/jobs/new", data={**FILLED, **odd, "p.region": ""}) as reply:
            assert reply.status == 422
            text = await reply.text()
        async with session.post(f"{page_server.origin}/jobs/new", data={**FILLED, "labels": "=x"}) as reply:
            assert "is no name of a label" in await reply.text()
    assert "&#39;SOME&#39; is not permitted" in field_of(text, "p.kind")
    assert 'value="SOME"' in field_of(text, "p.kind")
    assert "must be a whole number" in field_of(text, "p.limit")
    assert "rule.value: unknown field" in field_of(text, "p.rule")
    assert 'aria-invalid="true"' not in field_of(text, "p.since")
    assert await page_server.sample.jobs.get(1) is None


async def test_the_last_values_are_there(page_server: UiServer) -> None:
    """Those of the operation's newest job, or of the job that is named."""
    params = {"kind": "LOST", "fields": ["name", "email"], "rule": {"field": "città"}}
    first = await page_server.sample.add("shop", "segments", params=params, context=JobContext(labels={"a": "b"}))
    await page_server.sample.add("shop", "segments", params={"kind": "ACTIVE", "since": "2026-02-01"})
    _, text = await page_server.get(FORM)
    assert '<option value="ACTIVE" selected>' in field_of(text, "p.kind")
    assert 'value="2026-02-01"' in field_of(text, "p.since")
    _, text = await page_server.get(f"/jobs/new?from={first.id}")
    assert '<option value="LOST" selected>' in field_of(text, "p.kind")
    assert "name\nemail</textarea>" in field_of(text, "p.fields")
    assert "città" in field_of(text, "p.rule")
    assert "a=b</textarea>" in field_of(text, "labels")
    assert f'href="/jobs/new?from={first.id}"' in (await page_server.get(f"/jobs/{first.id}"))[1]


async def test_odd_addresses_of_the_form(page_server: UiServer) -> None:
    """Accounts lead to operations; what does not exist is said to be so."""
    _, text = await page_server.get("/jobs/new")
    assert 'href="/jobs/new?account=shop"' in text
    _, text = await page_server.get("/jobs/new?account=shop")
    assert 'href="/jobs/new?account=shop&amp;operation=segments"' in text
    for query in ("account=nobody", "account=shop&operation=x", "account=nobody&operation=x", "from=9", "from=x"):
        assert (await page_server.get(f"/jobs/new?{query}"))[0] == 404, query


async def test_the_form_is_for_those_who_may_submit(guarded: UiServer) -> None:
    """A reader sees no link and gets no form; another site can send none."""
    for token, status in ((READER, 403), (SUBMITTER, 200)):
        headers = {"Accept": "text/html", "Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            for path in ("/jobs/new", FORM):
                async with session.get(guarded.origin + path) as reply:
                    assert reply.status == status, path
            for path in ("/", "/jobs"):
                async with session.get(guarded.origin + path) as reply:
                    assert ('href="/jobs/new"' in await reply.text()) == (status == 200), path
            async with session.post(f"{guarded.origin}/jobs/new", data=FILLED) as reply:
                assert reply.status == status
    foreign = {"Origin": "https://evil.example", "Authorization": f"Bearer {SUBMITTER}"}
    async with (
        aiohttp.ClientSession(headers=foreign) as session,
        session.post(f"{guarded.origin}/jobs/new", data={**FILLED, "unique_key": "other"}) as reply,
    ):
        assert reply.status == 403


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_an_export_is_asked_for_by_hand(browser: Browser, page_server: UiServer, scripts: bool) -> None:
    """From the empty page to the job, on a phone, without moving sideways."""
    viewport = {"width": 360, "height": 740}
    async with looking(browser, page_server, java_script_enabled=scripts, viewport=viewport) as page:
        await page.goto("/")
        await page.get_by_role("link", name="New export").click()
        await page.get_by_role("link", name="shop").click()
        await page.get_by_role("link", name="Segments of the audience").click()
        await page.get_by_label("kind").select_option("LOST")
        await page.get_by_label("since").fill("2026-01-31")
        if scripts:
            assert not await page.evaluate(
                "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            )
        await page.get_by_label("rule").fill('{"field": "city", "values": []}')
        await page.get_by_role("button", name="Submit").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Job 1")
        await expect(page.get_by_text("The export is requested.")).to_be_visible()
