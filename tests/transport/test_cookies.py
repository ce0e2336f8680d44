"""Cookies: kept within one redirect chain and one login, and sent only to the origin that set them."""

import pytest
from multidict import CIMultiDict

from tests.support.byte_servers import ReceivedRequest, answering, reply, serving
from tests.transport.clients import account, to
from tidewaiter.clock import SystemClock
from tidewaiter.domain.http_values import Credentials, WireRequest
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.cookies import Cookies

HERE = "https://api.example.com/v1/jobs/7"
FREE = Credentials({"Authorization": "Bearer s3cret"})


def after(*fields: str, url: str = HERE) -> Cookies:
    """What is held after a reply with these Set-Cookie fields."""
    cookies = Cookies(SystemClock())
    cookies.take(url, CIMultiDict([("Set-Cookie", field) for field in fields]))
    return cookies


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("a=1", "a=1"),
        ('a="1 2, x=y"; HttpOnly; SameSite=Lax', 'a="1 2, x=y"'),
        ("a=", "a="),
        ("a=1; Path=/v1; Secure; Max-Age=60", "a=1"),
        ("a=1; Domain=example.com", "a=1"),
        ("a=1; Expires=Wed, 21 Oct 2099 07:28:00 GMT", "a=1"),
        ("a=1; Expires=nonsense", "a=1"),
        ("a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=1"),
        ("a=1; Max-Age=0", None),
        ("a=1; Max-Age=-1", None),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("a=1; Path=/other", None),
        ("a=1; Path=/v", None),
        ("a", None),
        ("=1", None),
        ("a b=1", None),
        ("a=\x01", None),
        ("a=" + "x" * 5000, None),
    ],
)
def test_what_a_field_sets(field: str, sent: str | None) -> None:
    """RFC 6265, section 5: what is held of a Set-Cookie, and sent to the path it was meant for."""
    assert after(field).header_for(HERE) == sent


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example.com/v1/jobs/7",
        "https://example.com/v1/jobs/7",
        "https://api.example.com:8443/v1/jobs/7",
        "http://api.example.com/v1/jobs/7",
    ],
)
def test_no_other_origin_sees_it(url: str) -> None:
    """Domain widens nothing, and scheme and port count."""
    assert after("a=1; Domain=example.com; Path=/").header_for(url) is None


def test_several_and_their_ends() -> None:
    """Each field is one cookie; longer paths come first; a later one replaces or ends the one before."""
    cookies = after("a=1; Path=/", "b=2", "c=3; Path=/")
    assert cookies.header_for(HERE) == "b=2; a=1; c=3"
    cookies.take(HERE, CIMultiDict([("Set-Cookie", "a=9; Path=/"), ("Set-Cookie", "c=; Path=/; Max-Age=0")]))
    assert cookies.header_for(HERE) == "b=2; a=9"


def test_secure_is_not_sent_over_http() -> None:
    """However it was set."""
    assert after("a=1; Secure", url="http://x.example/").header_for("http://x.example/") is None


def test_there_is_an_end_to_them() -> None:
    """The oldest go first; a server cannot fill the memory, nor make a request too long to be sent."""
    sent = after(*(f"n{number}=1" for number in range(500))).header_for(HERE)
    assert sent is not None
    assert sent.split("; ") == [f"n{number}=1" for number in range(450, 500)]
    assert after(*(f"n{number}={'x' * 4000}" for number in range(50))).header_for(HERE) is None


async def test_a_chain_keeps_them_and_the_next_does_not(wire: AiohttpWire) -> None:
    """A load balancer that sets one and redirects to itself lets us in; the next exchange begins without."""

    async def answer(asked: ReceivedRequest, writer: object) -> None:
        sent = reply(200, b"in") if "lb=7" in asked.headers.get("cookie", "") else None
        sent = sent or reply(302, b"", f"Location: {asked.target}", "Set-Cookie: lb=7; Path=/", "Set-Cookie: x=1")
        await answering(sent)(asked, writer)  # type: ignore[arg-type]

    async with serving(answer) as server:
        client = account(wire, server, credentials=FREE)
        for _ in range(2):
            assert (await client.exchange(WireRequest("GET", f"{server.origin}/file"))).body == b"in"
        async with client.stream(WireRequest("GET", f"{server.origin}/file"), send_auth=False) as streamed:
            assert await streamed.read(10) == (b"in", False)
    assert [asked.headers.get("cookie") for asked in server.asked] == [None, "lb=7; x=1"] * 3


async def test_another_origin_never_sees_them(wire: AiohttpWire) -> None:
    """Neither the provider's at a file's host, nor the other way round.

    The host gets its own back. The provider does not: its cookie may be a session, and the host chose the address.
    """
    async with serving(answering(reply())) as home, serving(answering(reply())) as away:
        home.answer = answering(
            reply(302, b"", f"Location: {away.origin}/a", "Set-Cookie: home=1; Path=/"), reply(200, b"end")
        )
        away.answer = answering(
            reply(302, b"", "Location: /b", "Set-Cookie: away=1; Path=/"), to(f"{home.origin}/back")
        )
        await account(wire, home, credentials=FREE).exchange(WireRequest("GET", f"{home.origin}/"))
    assert [asked.headers.get("cookie") for asked in home.asked] == [None, None]
    assert [asked.headers.get("cookie") for asked in away.asked] == [None, "away=1"]


async def test_a_login_keeps_them_until_the_next(wire: AiohttpWire) -> None:
    """What the login set goes with every signed request; a later reply may replace it, and add nothing."""
    async with serving(answering(reply())) as server:
        client = account(wire, server, credentials=FREE)
        server.answer = answering(reply(200, b"token", "Set-Cookie: session=1; Path=/"))
        await client.sign_in(WireRequest("POST", f"{server.origin}/login", {}, b"x"))
        client.use(FREE)
        server.answer = answering(
            reply(200, b"", "Set-Cookie: session=2; Path=/", "Set-Cookie: other=1; Path=/"), reply()
        )
        for headers in ({}, {"Cookie": "mine=1"}):
            await client.exchange(WireRequest("GET", f"{server.origin}/a", headers))
        async with client.stream(WireRequest("GET", f"{server.origin}/file"), send_auth=False):
            pass
        await client.sign_in(WireRequest("POST", f"{server.origin}/login", {}, b"x"))
        client.use(FREE)
        await client.exchange(WireRequest("GET", f"{server.origin}/a"))
    sent = [asked.headers.get("cookie") for asked in server.asked]
    assert sent == [None, "session=1", "mine=1; session=2", None, None, None]
