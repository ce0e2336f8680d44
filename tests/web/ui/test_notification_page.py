"""The page of notifications: what each endpoint has received, what is dead, and sending it again."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, expect
from sqlalchemy import insert

from tests.support.webhook_receiver import SECRET, Receiver, receiver
from tests.web.ui.browser_page import looking
from tests.web.ui.ui_server import ACCOUNTS, UiServer, served
from tidewaiter.clock import SystemClock
from tidewaiter.database.notification_store import NotificationStore
from tidewaiter.database.tables import notifications
from tidewaiter.domain.notification import DeliveryStatus

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def hook() -> AsyncIterator[Receiver]:
    """A receiver that accepts what is signed."""
    async with receiver() as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def notifying(tmp_path: Path, sqlite_url: str, hook: Receiver) -> AsyncIterator[UiServer]:
    """A page whose configuration has an endpoint."""
    (tmp_path / "ops.secret").write_text(SECRET)
    url = f"{hook.url}/secret-path"
    more = (
        f'[notifications.ops]\nurl = "{url}"\nsecret_file = "ops.secret"\nallow_private = true\naccounts = ["shop"]\n'
    )
    async with served(tmp_path, sqlite_url, clock=SystemClock(), more=more) as one:
        await one.sample.open(list(ACCOUNTS))
        yield one


async def add(server: UiServer, *rows: dict[str, Any]) -> None:
    """Store notifications."""
    every = {"message_id": "m", "job_id": 1, "account": "shop", "state": "failed", "at": 1.0, "body": "{}"}
    async with server.sample.database.writing() as connection:
        for row in rows:
            await connection.execute(insert(notifications), [{**every, **row}])


DEAD = {"endpoint": "ops", "status": "dead", "attempts": 10, "last_error": "HTTP 500: <b>no</b>"}


async def test_a_failing_endpoint_is_seen_at_once(notifying: UiServer) -> None:
    """Its row has the last error; while nothing is dead, the page begins with what waits."""
    due_at = notifying.sample.clock.at + 60
    failing = {"endpoint": "ops", "status": "waiting", "due_at": due_at, "attempts": 2, "last_error": "it refused"}
    await add(notifying, failing)
    _, text = await notifying.get("/notifications")
    assert "2\N{NO-BREAK SPACE}attempts failed: <bdi>it refused</bdi>" in text
    assert re.findall(r'data-key="notification-(\d+)"', text) == ["1"]


async def test_dead_notifications_are_sent_again(notifying: UiServer) -> None:
    """One, or all of an endpoint; the overview leads to them."""
    old = {**DEAD, "endpoint": "old-hook"}
    waiting = {"endpoint": "ops", "status": "waiting", "due_at": notifying.sample.clock.at + 60, "attempts": 1}
    delivered = {"endpoint": "ops", "status": "delivered", "ended_at": notifying.sample.clock.at - 60}
    await add(notifying, DEAD, DEAD, DEAD, old, waiting, delivered)
    _, text = await notifying.get("/")
    (address,) = re.findall(r'href="([^"]+)" aria-label="Open: 3[^"]*to ops', text)
    _, text = await notifying.get(address.replace("&amp;", "&"))
    assert re.findall(r'data-key="notification-(\d+)"', text) == ["3", "2", "1"]
    assert "HTTP 500: &lt;b&gt;no&lt;/b&gt;" in text
    numbers = re.findall(r'data-label="(Waiting|Delivered in 24 h|Dead)" class="r num[^"]*">(\d+)', text)
    assert [number for _, number in numbers] == ["0", "0", "1", "1", "1", "3"]
    assert "not configured any more" in text
    async with aiohttp.ClientSession(headers={"Accept": "text/html"}) as session:
        async with session.post(f"{notifying.origin}/notifications/1/retry") as reply:
            assert "a daemon sends them within seconds" in await reply.text()
        store = NotificationStore(notifying.sample.database)
        assert [one.id for one in await store.find(status=DeliveryStatus.DEAD, endpoint="ops")] == [3, 2]
        async with session.post(f"{notifying.origin}/notifications/retry", data={"endpoint": "ops"}) as reply:
            assert reply.status == 200
        assert [one.endpoint for one in await store.find(status=DeliveryStatus.DEAD)] == ["old-hook"]
        async with session.post(f"{notifying.origin}/notifications/99/retry") as reply:
            assert reply.status == 404
            assert 'href="/notifications"' in await reply.text()


async def test_waiting_notifications_are_sent_now(notifying: UiServer) -> None:
    """All of an endpoint, when a person has repaired the receiver; what is due within a minute is left alone."""
    at = SystemClock().now()
    late = {"endpoint": "ops", "status": "waiting", "due_at": at + 6000, "attempts": 4, "last_error": "HTTP 500"}
    await add(notifying, late, {**late, "due_at": at + 30}, late)
    _, text = await notifying.get("/notifications")
    assert "Send 3\N{NO-BREAK SPACE}waiting notifications now" in text
    form = {"endpoint": "ops", "status": "waiting"}
    async with aiohttp.ClientSession(headers={"Accept": "text/html"}) as session:
        async with session.post(f"{notifying.origin}/notifications/retry", data=form) as reply:
            assert "a daemon sends them within seconds" in await reply.text()
        waiting = await NotificationStore(notifying.sample.database).find(status=DeliveryStatus.WAITING)
        assert [one.attempts for one in waiting] == [0, 4, 0]
        async with session.post(f"{notifying.origin}/notifications/retry", data=form) as reply:
            assert reply.status == 404


async def test_a_test_message_is_sent(notifying: UiServer, hook: Receiver) -> None:
    """The answer of the receiver is shown; the path of its address may be a secret, and is not."""
    _, text = await notifying.get("/notifications")
    assert hook.url.removesuffix("/hook") in text
    assert "secret-path" not in text
    async with aiohttp.ClientSession(headers={"Accept": "text/html"}) as session:
        path = f"{notifying.origin}/notifications/test"
        async with session.post(path, data={"endpoint": "ops"}) as reply:
            assert "The endpoint accepted the test message." in await reply.text()
        assert hook.received[0].body["type"] == "tidewaiter.test"

        async def refuse(_: web.Request) -> web.Response:
            return web.Response(status=503)

        hook.answer = refuse
        async with session.post(path, data={"endpoint": "ops"}) as reply:
            assert reply.status == 502
            assert "it replied HTTP 503" in await reply.text()
        async with session.post(path, data={"endpoint": "none"}) as reply:
            assert reply.status == 404


async def test_odd_addresses_of_notifications(page_server: UiServer) -> None:
    """Without an endpoint the page says how to make one; invalid parameters are refused."""
    assert "[notifications.ops]" in (await page_server.get("/notifications"))[1]
    for query in ("status=gone", "before=x"):
        assert (await page_server.get(f"/notifications?{query}"))[0] == 400


@pytest.mark.slow
async def test_the_last_error_of_an_endpoint_is_read_whole(browser: Browser, notifying: UiServer) -> None:
    """It wraps: it pushes no button out of sight, and nothing of it is cut off."""
    error = "No connection to https://hooks.example.org: the name of the host is not known. Try again later."
    waiting = {"endpoint": "ops", "status": "waiting", "due_at": notifying.sample.clock.at + 60, "attempts": 2}
    await add(notifying, {**waiting, "last_error": error})
    for wide in (390, 1000):
        async with looking(browser, notifying, viewport={"width": wide, "height": 800}) as page:
            await page.goto("/notifications")
            for table in (".endpoints", ".notifications"):
                around = page.locator(".scroll", has=page.locator(table))
                assert await around.evaluate("(one) => one.scrollWidth <= one.clientWidth"), (table, wide)
            await expect(page.get_by_text("Test…")).to_be_in_viewport(ratio=1)
            shown = page.locator(".notifications .why")
            assert await shown.evaluate("(one) => one.clientWidth") > 200, wide
            row = page.locator(".notifications tbody tr")
            assert await row.evaluate("(one) => one.clientHeight") < 100, wide
            told = page.locator(".endpoints .late", has_text="2 attempts failed")
            assert await told.evaluate("(one) => getComputedStyle(one).textAlign") in ("left", "start")
