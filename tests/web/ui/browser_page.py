"""A page in a browser that says nothing on its console and loads nothing from elsewhere."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page

from tests.web.ui.ui_server import UiServer


@asynccontextmanager
async def looking(browser: Browser, page_server: UiServer, **context: Any) -> AsyncIterator[Page]:
    """A page of a fresh browser profile; nothing may be said on its console, and nothing may leave the listener."""
    profile = await browser.new_context(base_url=page_server.origin, **context)
    page = await profile.new_page()
    text: list[str] = []
    page.on(
        "console",
        lambda message: (
            text.append(f"{message.text} {message.location}") if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: text.append(str(error)))
    page.on("request", lambda one: None if one.url.startswith((page_server.origin, "data:")) else text.append(one.url))
    page.on("dialog", lambda dialog: text.append(f"dialog: {dialog.message}"))
    yield page
    await profile.close()
    assert not text
