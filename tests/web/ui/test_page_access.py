"""Who sees which page and may send which form: logins, roles, and requests that are refused."""

import aiohttp
import pytest

from tests.web.ui.ui_server import ADMIN, READER, UiServer
from tidewaiter.web.ui.forms import local_path

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_anonymous_browser_is_sent_to_the_login(guarded: UiServer) -> None:
    """Every page leads to the one form, and back to where it was wanted."""
    async with aiohttp.ClientSession(headers={"Accept": "text/html"}) as session:
        async with session.get(f"{guarded.origin}/jobs?state=polling") as reply:
            assert reply.url.path == "/login"
            assert 'value="/jobs?state=polling"' in await reply.text()
        async with session.post(f"{guarded.origin}/login", data={"token": "wrong"}) as reply:
            assert reply.status == 401
            assert "This token is not known." in await reply.text()
            assert not reply.cookies
        form = {"token": ADMIN, "next": "/jobs"}
        async with session.post(f"{guarded.origin}/login", data=form, allow_redirects=False) as reply:
            assert (reply.status, reply.headers["Location"]) == (303, "/jobs")
            cookie = reply.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert "Path=/" in cookie
            assert ADMIN not in cookie


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/jobs?state=polling", "/jobs?state=polling"), ("//evil.example", "/"), ("/\\evil.example", "/"),
        ("https://evil.example", "/"), ("javascript:alert(1)", "/"), ("/jobs\r\nSet-Cookie: a=b", "/"), ("", "/"),
        ("/login?next=/login", "/"), ("/logout", "/"), ("/" + "x" * 4000, "/"), ("/\tjobs", "/"),
    ],
)  # fmt: skip
async def test_signing_in_leads_to_own_pages_only(given: str, path: str) -> None:
    """No link to the form can send anybody elsewhere."""
    assert local_path(given) == path


async def test_readers_see_no_actions_and_may_take_none(guarded: UiServer) -> None:
    """The role read sees everything and no button; a form sent all the same is refused with a page."""
    job = await guarded.sample.polling("shop", "profiles", None, 600.0)
    async with aiohttp.ClientSession(headers={"Accept": "text/html", "Authorization": f"Bearer {READER}"}) as session:
        for path in (f"/jobs/{job.id}", "/accounts/shop", "/schedules"):
            async with session.get(guarded.origin + path) as reply:
                assert '<form method="post" action="/' not in await reply.text(), path
        async with session.post(f"{guarded.origin}/jobs/{job.id}/cancel") as reply:
            assert reply.status == 403
            assert "requires the role admin" in await reply.text()
    assert not (await guarded.sample.jobs.get(job.id)).cancel_requested  # type: ignore[union-attr]  # it is there


async def test_forms_that_cannot_be_are_told_so(page_server: UiServer) -> None:
    """Requests that the service refuses, bodies that are no form, and other sites' requests: a page, and no effect."""
    job = await page_server.sample.landed("shop", "profiles")
    page = {"Accept": "text/html"}
    async with aiohttp.ClientSession(headers=page) as session:
        async with session.post(f"{page_server.origin}/jobs/{job.id}/cancel") as reply:
            assert reply.status == 409
            text = await reply.text()
            assert "has ended already" in text
            assert f'href="/jobs/{job.id}"' in text
        async with session.post(f"{page_server.origin}/jobs/{job.id}/adopt", data={"handle": " "}) as reply:
            assert reply.status == 422
        async with session.post(f"{page_server.origin}/accounts/shop/pause", json={"reason": "x"}) as reply:
            assert reply.status == 415
        odd = {"Content-Type": "application/x-www-form-urlencoded; charset=none-such"}
        async with session.post(f"{page_server.origin}/accounts/shop/pause", data=b"reason=%ff", headers=odd) as reply:
            assert reply.status == 400
        foreign = {"Origin": "https://evil.example"}
        async with session.post(f"{page_server.origin}/accounts/shop/pause", headers=foreign) as reply:
            assert reply.status == 403
        async with session.post(f"{page_server.origin}/schedules/none/run") as reply:
            assert reply.status == 404
        async with session.post(f"{page_server.origin}//evil.example/x") as reply:
            assert reply.status == 404
            assert 'href="//' not in await reply.text()
    assert "shop" not in await page_server.sample.accounts.paused()
    assert "http.failed" not in page_server.output.getvalue()
