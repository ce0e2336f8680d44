"""The form that makes a backfill: its fields, its preview, and what it refuses."""

import html
import json
import re

import aiohttp
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect

from tests.support.stored_jobs import NOW
from tests.web.ui.browser_page import looking
from tests.web.ui.html_parts import field_of
from tests.web.ui.ui_server import READER, SUBMITTER, UiServer
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.domain.backfill import BackfillPlan
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.windows import Span
from tidewaiter.providers.spec.provider_spec import OperationSpec
from tidewaiter.web.ui import backfill_form, job_form

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADDRESS = "/backfills/new"
FILLED = {
    "account": "shop",
    "operation": "segments",
    "from": "2026-01-01",
    "to": "2026-01-31",
    "window": "1w",
    "timezone": "Europe/Berlin",
    "at_once": "3",
    "order": "newest",
    "reuse": "true",
    "labels": "dag=fill\r\nteam=growth",
    "p.kind": "LOST",
    "p.since": "${window.from}",
    "p.limit": "12",
    "p.fields": "name\r\nemail\r\n",
    "p.rule": '{"field": "city", "values": ["${window.to}"]}',
}
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


async def sent(site: UiServer, form: dict[str, str]) -> tuple[int, str, str]:
    """The status, the text and the redirect of a form."""
    async with (
        aiohttp.ClientSession(headers={"Accept": "text/html"}) as session,
        session.post(site.origin + ADDRESS, data=form, allow_redirects=False) as reply,
    ):
        return reply.status, (await reply.text()).replace("\u00a0", " "), reply.headers.get("Location", "")


async def test_a_person_chooses_an_operation(page_server: UiServer) -> None:
    """As for an export, and the form for an export leads here."""
    _, text = await page_server.get(ADDRESS)
    assert 'href="/backfills/new?account=shop"' in text
    _, text = await page_server.get(f"{ADDRESS}?account=shop")
    assert 'href="/backfills/new?account=shop&amp;operation=segments"' in text
    assert 'href="/backfills/new"' in (await page_server.get("/batches"))[1]
    _, text = await page_server.get("/jobs/new?account=shop&operation=segments")
    assert 'href="/backfills/new?account=shop&amp;operation=segments"' in text
    for query in ("account=none", "account=shop&operation=none"):
        assert (await page_server.get(f"{ADDRESS}?{query}"))[0] == 404


async def test_the_form_has_the_last_values(page_server: UiServer) -> None:
    """Those of the newest job, with the window in place of its dates; where a template fits, a field takes any text."""
    params = {"kind": "ACTIVE", "since": "2025-06-01", "limit": 7}
    job = await page_server.sample.add("shop", "segments", params=params)
    _, text = await page_server.get(f"{ADDRESS}?account=shop&operation=segments")
    assert f'href="/jobs/{job.id}"' in text
    assert '<option value="ACTIVE" selected>' in field_of(text, "p.kind")
    since, limit = field_of(text, "p.since"), field_of(text, "p.limit")
    assert 'type="text" name="p.since" value="${window.from}"' in since
    assert '<option value="${window.to+1d}">' in since
    assert 'type="text" name="p.limit" value="7"' in limit


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ({"day": "2026-03-17"}, {"day": "${window.from}"}),
        ({"to": "2026-03-18", "from": "2026-03-17"}, {"to": "${window.to}", "from": "${window.from}"}),
        ({"a": "2026-03-17", "b": ["2026-03-18", "2026-03-19"]}, None),
        ({"at": "2026-03-17T10:00:00Z", "id": "x-2026-03-17"}, None),
    ],
)
async def test_dates_in_nested_values_are_those_of_the_window(rule: Json, shown: Json) -> None:
    """Where no parameter is a date; three dates may be anything, and a time is no day."""
    spec = OperationSpec.model_validate(
        {"title": "Any", "params": {"rule": {"type": "object", "help": "any"}}, "submit": {"url": "/", "handle": "id"}}
        | {"poll": {"url": "/", "rules": [{"then": "ready"}]}, "results": {"url": "/"}}
    )
    texts = backfill_form.with_templates(spec, job_form.texts_of(spec, {"rule": rule}))
    assert json.loads(texts["rule"]) == (rule if shown is None else shown)


async def test_a_preview_makes_nothing_and_is_what_is_made(page_server: UiServer) -> None:
    """The first and the last job; then its form makes the backfill, once, however often it is sent."""
    status, text, _ = await sent(page_server, FILLED)
    assert status == 200
    store = BackfillStore(page_server.sample.jobs)
    assert await store.page(5) == []
    preview = text.partition('class="preview"')[2].partition("</section>")[0]
    assert "Preview: 5 windows" in preview
    assert "since=2026-01-29" in preview.partition("Last job")[0], "the newest comes first"
    assert "since=2026-01-01" in preview.partition("Last job")[2]
    form = {name: html.unescape(value) for name, value in _HIDDEN.findall(preview)}
    for notice in ("made", "known"):
        status, _, location = await sent(page_server, form)
        assert (status, location) == (303, f"/batches/{form['name']}?done=backfill-{notice}")
        page_server.sample.clock.at = NOW + 60
    (made,) = await store.page(5)
    labels = {"dag": "fill", "team": "growth"}
    assert made.plan == BackfillPlan(Span("2026-01-01", "2026-01-31", "1w", "Europe/Berlin"), True, 3, True, labels)
    assert made.params["fields"] == ["name", "email"]
    assert made.params["rule"] == FILLED["p.rule"]
    _, text = await page_server.get(f"/batches/{made.name}")
    assert "0</span> of 5\u00a0windows" in text


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"from": "yesterday"}, "from", "is no day"),
        ({"to": "2025-01-01"}, "to", "is before"),
        ({"window": "1"}, "window", "must be a number"),
        ({"timezone": "Mars"}, "timezone", "is no time zone"),
        ({"at_once": "0"}, "at_once", "from 1 to 100"),
        ({"name": "a/b"}, "name", "is no name of a batch"),
        ({"labels": "1x=y"}, "labels", "1x"),
        ({"p.kind": "SOME"}, "p.kind", "SOME"),
        ({"p.since": "\u202e"}, "p.since", "invisible"),
    ],
)
async def test_a_fault_stands_at_its_field(
    page_server: UiServer, changes: dict[str, str], field: str, reason: str
) -> None:
    """A refused form keeps what was typed, and stores nothing, whether it is a preview or not."""
    for step in ("", "make"):
        status, text, _ = await sent(page_server, {**FILLED, **changes, "step": step})
        assert status == 422
        assert reason in field_of(text, field).partition('class="fault"')[2]
        assert 'name="window" value="' in text
    assert await BackfillStore(page_server.sample.jobs).page(5) == []


async def test_windows_must_differ(page_server: UiServer) -> None:
    """Parameters without a template are refused, and the reason stands above the form."""
    fixed = {**FILLED, "p.since": "2026-01-01", "p.rule": ""}
    status, text, _ = await sent(page_server, fixed)
    assert status == 422
    assert "are the same in every window" in text.partition("<form")[0]
    status, text, _ = await sent(page_server, {**FILLED, "p.since": "${window.first}"})
    assert status == 422
    assert "${window.first}" in text.partition("<form")[0]


async def test_a_reader_makes_none(guarded: UiServer) -> None:
    """A submitter does; and a reader sees no way there."""
    _, text = await guarded.get("/batches", Authorization=f"Bearer {READER}")
    assert ADDRESS not in text
    assert (await guarded.get(ADDRESS, Authorization=f"Bearer {READER}"))[0] == 403
    assert (await guarded.get(ADDRESS, Authorization=f"Bearer {SUBMITTER}"))[0] == 200
    for token, status in ((READER, 403), (SUBMITTER, 303)):
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
            form = {**FILLED, "step": "make", "name": "opens"}
            async with session.post(guarded.origin + ADDRESS, data=form, allow_redirects=False) as reply:
                assert reply.status == status
    made = await BackfillStore(guarded.sample.jobs).get("opens")
    assert made is not None
    assert made.batch.created_by == "robot"


@pytest.mark.slow
async def test_a_backfill_is_made_by_hand(browser: Browser, page_server: UiServer) -> None:
    """A person fills the form, looks at the preview, and makes it."""
    async with looking(browser, page_server) as page:
        await page.goto("/batches")
        await page.get_by_role("link", name="New backfill").first.click()
        await page.get_by_role("link", name="shop").click()
        await page.get_by_role("link", name="Segments of the audience").click()
        await page.get_by_label("From").fill("2026-01-01")
        await page.locator("#to").fill("2026-01-07")
        await page.get_by_label("kind").select_option("LOST")
        await expect(page.get_by_label("since")).to_have_value("${window.from}")
        await page.get_by_role("button", name="Preview").click()
        await expect(page.get_by_role("heading", name="Preview: 7")).to_be_visible()
        assert (await Axe().run(page)).response["violations"] == []
        await page.get_by_role("button", name="Make this backfill").click()
        await expect(page.get_by_role("status").filter(has_text="The backfill is made")).to_be_visible()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("shop-segments-")
