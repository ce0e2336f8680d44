"""Access at the HTTP listener: tokens, roles, browser sessions, and limits on loopback without tokens."""

import hmac
import json
import re
from collections.abc import Callable

import pytest

from tests.web.protected_app import ADMIN, READ, ProtectedApp, open_app
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.session_store import SessionStore
from tidewaiter.domain.account_scope import Scope
from tidewaiter.services import ConflictError, NotFoundError, RequestError
from tidewaiter.web.access_control import SESSION_COOKIE, SESSION_S, AccessSettings
from tidewaiter.web.callers import CallerToken, Role


@pytest.mark.fault(60)
async def test_roles(app: ProtectedApp) -> None:
    """The reader reads and no more, the admin does both, each under the name of the token."""
    reader, admin = f"Bearer {READ}", f"bearer  {ADMIN}"
    status, _, text = await app.request(Authorization=reader)
    assert (status, json.loads(text)) == (200, ["page", "READ", False])
    assert (await app.request("POST", Authorization=reader))[0] == 403
    assert (await app.request("HEAD", Authorization=reader))[0] == 200
    for method in ("GET", "POST"):
        status, _, text = await app.request(method, Authorization=admin)
        assert (status, json.loads(text)) == (200, ["boss", "ADMIN", False])


@pytest.mark.fault(60)
@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", f"Basic {ADMIN}", ADMIN, "Bearer", "Bearer ", f"Bearer {ADMIN}x", "Bearer \u00e9"]
)
async def test_nobody_gets_in_without_a_token(app: ProtectedApp, given: str | None) -> None:
    """No token, a wrong one, or one that is not sent as a bearer token is 401, and says how to send it."""
    headers = {} if given is None else {"Authorization": given}
    for method in ("GET", "POST", "PUT", "DELETE"):
        for path in ("/thing", "/nothing", "/healthz/x", "/staticx"):
            app.clock.at += 7.0  # so that it is not slowed
            status, sent, text = await app.request(method, path, **headers)
            assert (status, sent["WWW-Authenticate"]) == (401, 'Bearer realm="tidewaiter"')
            assert json.loads(text)["status"] == 401
    assert app.logged("access.refused")[0]["status"] == 401
    assert ADMIN not in app.output.getvalue()


async def test_what_is_open(app: ProtectedApp) -> None:
    """Health and what pages look like are open to read, and so is signing in; nothing of it to write."""
    for path in ("/healthz", "/static/x", "/login"):
        assert (await app.request(path=path))[0] == 200
    assert (await app.request("POST", "/login"))[0] == 200
    assert (await app.request("POST", "/healthz"))[0] == 401


async def test_60_a_limited_token_and_a_route_without_a_rule(app: ProtectedApp) -> None:
    """What a route shows is not known unless it says so: a token of some accounts does not get it."""
    limited = CallerToken.of("quay", Role.ADMIN, READ, Scope(frozenset({"quay"})))
    app.access.reconfigure(AccessSettings([limited, CallerToken.of("boss", Role.ADMIN, ADMIN)]))
    status, _, text = await app.request(Authorization=f"Bearer {READ}")
    assert (status, "limited to some accounts" in text) == (403, True)
    assert (await app.request(Authorization=f"Bearer {ADMIN}"))[0] == 200


async def test_a_browser_is_sent_to_sign_in(app: ProtectedApp) -> None:
    """A browser without a token is sent to the login page, and back afterwards; but not for changes."""
    status, sent, _ = await app.request(path="/thing?a=1&b=2", Accept="text/html,*/*")
    assert (status, sent["Location"]) == (303, "/login?next=/thing?a%3D1%26b%3D2")
    assert (await app.request("POST", Accept="text/html"))[0] == 401


async def test_a_session(app: ProtectedApp) -> None:
    """A browser that has shown its token is known by its cookie, in its role, until the session is over."""
    cookie: str | None = None
    for token, name, role in ((READ, "page", "READ"), (ADMIN, "boss", "ADMIN")):
        cookie = app.access.sign_in(token)
        assert cookie is not None
        assert token not in cookie
        status, _, text = await app.request(Cookie=f"{SESSION_COOKIE}={cookie}")
        assert (status, json.loads(text)) == (200, [name, role, True])
    assert app.access.sign_in("wrong") is None
    assert app.access.sign_in("") is None
    app.clock.at += SESSION_S + 2
    assert (await app.request(Cookie=f"{SESSION_COOKIE}={cookie}"))[0] == 401


def _later(cookie: str) -> str:
    name, until, rest = cookie.split(".", 2)
    return f"{name}.{int(until) + 1}.{rest}"


@pytest.mark.parametrize(
    "tamper",
    [
        _later,
        lambda cookie: cookie.replace("page.", "boss."),
        lambda cookie: cookie[:-1],
        lambda cookie: cookie[:-1] + ("A" if cookie[-1] != "A" else "B"),
        lambda cookie: cookie.replace(".", ".9", 1),
        lambda cookie: cookie[:5] + "99999999999.",
        lambda cookie: cookie[:5] + ".x",
        lambda cookie: cookie[:5] + "9" * 5000 + ".x",
        lambda cookie: cookie[:0] + "..",
        lambda cookie: cookie[:5] + "\u0663.x",
    ],
)
async def test_a_session_cannot_be_made_up(app: ProtectedApp, tamper: Callable[[str], str]) -> None:
    """A cookie whose name, end or signature was changed is nobody's."""
    cookie = app.access.sign_in(READ)
    assert cookie is not None
    assert (await app.request(Cookie=f"{SESSION_COOKIE}={tamper(cookie)}"))[0] == 401


async def test_a_wrong_token_is_not_helped_by_a_cookie(app: ProtectedApp) -> None:
    """Who sends a token is judged by it alone."""
    cookie = f"{SESSION_COOKIE}={app.access.sign_in(ADMIN)}"
    assert (await app.request(Cookie=cookie, Authorization="Bearer wrong"))[0] == 401


async def test_a_proxy_has_its_own_way(app: ProtectedApp) -> None:
    """What a browser sends for the proxy before the listener does not hide its session."""
    cookie = f"{SESSION_COOKIE}={app.access.sign_in(ADMIN)}"
    assert (await app.request(Cookie=cookie, Authorization="Basic dXNlcjpwYXNz"))[0] == 200


async def test_a_session_ends_with_its_token(app: ProtectedApp) -> None:
    """Another secret under the same name makes the sessions of the old one void."""
    cookie = f"{SESSION_COOKIE}={app.access.sign_in(ADMIN)}"
    app.access.reconfigure(AccessSettings([CallerToken.of("boss", Role.ADMIN, ADMIN[::-1])]))
    assert (await app.request(Cookie=cookie))[0] == 401


async def test_signing_out_ends_the_session_in_every_process(database_url: str) -> None:
    """A cookie that somebody kept opens nothing after the sign-out, in another process either; other sessions go on."""
    async with open_app(database_url, with_tokens=True) as app, open_app(database_url, with_tokens=True) as second:
        cookie, other = app.access.sign_in(ADMIN), app.access.sign_in(ADMIN)
        assert cookie is not None
        for one in (app, second):
            assert (await one.request(Cookie=f"{SESSION_COOKIE}={cookie}"))[0] == 200
        await app.access.sign_out(cookie)
        await second.access.sign_out(cookie)
        for one in (app, second):
            assert (await one.request(Cookie=f"{SESSION_COOKIE}={cookie}"))[0] == 401
            assert (await one.request(Cookie=f"{SESSION_COOKIE}={other}"))[0] == 200
        assert [one["caller"] for one in app.logged("browser.signed_out")] == ["boss"]


async def test_only_real_sessions_are_noted_as_ended(app: ProtectedApp) -> None:
    """Nobody without a session fills the table; what has ended by itself is forgotten."""
    cookie = app.access.sign_in(ADMIN)
    assert cookie is not None
    for made_up in ("", "boss.99999999999.id.signature", cookie[:-2], "x" * 5000):
        await app.access.sign_out(made_up)
    store = SessionStore(app.database)
    assert await store.delete_expired(1e12) == 0
    await app.access.sign_out(cookie)
    assert await store.delete_expired(app.clock.now()) == 0
    assert await store.delete_expired(app.clock.now() + SESSION_S + 1) == 1


async def test_without_the_database_a_session_opens_nothing() -> None:
    """Nobody can tell whether a session was ended, so it is 503; a token in the header goes on, and so does /login."""
    async with open_app("postgresql://nobody@127.0.0.1:9/nowhere", with_tokens=True) as app:
        cookie = app.access.sign_in(ADMIN)
        assert cookie is not None
        status, sent, _ = await app.request(Cookie=f"{SESSION_COOKIE}={cookie}", Accept="text/html")
        assert (status, sent["Retry-After"]) == (503, "5")
        assert (await app.request(path="/login", Cookie=f"{SESSION_COOKIE}={cookie}"))[0] == 200
        assert (await app.request(Authorization=f"Bearer {ADMIN}"))[0] == 200
        with pytest.raises(StoreUnavailableError):
            await app.access.sign_out(cookie)


async def test_an_expired_token_opens_nothing(app: ProtectedApp) -> None:
    """From its time on a token is refused with its reason, in the log too; its sessions have ended with it."""
    until = app.clock.now() + 60.0
    app.access.reconfigure(AccessSettings([CallerToken.of("boss", Role.ADMIN, ADMIN, expires_at=until)]))
    cookie = f"{SESSION_COOKIE}={app.access.sign_in(ADMIN)}"
    for headers in ({"Authorization": f"Bearer {ADMIN}"}, {"Cookie": cookie}):
        app.clock.at = until - 2.0
        assert (await app.request(**headers))[0] == 200
        app.clock.at = until
        status, sent, text = await app.request(**headers)
        assert (status, sent["WWW-Authenticate"]) == (401, 'Bearer realm="tidewaiter"')
        assert json.loads(text)["detail"].startswith("the token boss has expired at 2")
    assert app.access.sign_in(ADMIN) is None
    reasons = [str(one["reason"]) for one in app.logged("access.refused")]
    assert any("boss has expired at" in one for one in reasons)


async def test_two_tokens_overlap_under_one_name(app: ProtectedApp) -> None:
    """While a token is replaced both are good, and so are the sessions of both; then the old one's end."""
    old, new = CallerToken.of("boss", Role.ADMIN, ADMIN), CallerToken.of("boss", Role.ADMIN, ADMIN[::-1])
    app.access.reconfigure(AccessSettings([old, new]))
    first, second = app.access.sign_in(ADMIN), app.access.sign_in(ADMIN[::-1])
    for one in (ADMIN, ADMIN[::-1]):
        assert (await app.request(Authorization=f"Bearer {one}"))[0] == 200
    for cookie in (first, second):
        assert (await app.request(Cookie=f"{SESSION_COOKIE}={cookie}"))[0] == 200
    app.access.reconfigure(AccessSettings([new]))
    assert (await app.request(Authorization=f"Bearer {ADMIN}"))[0] == 401
    assert (await app.request(Cookie=f"{SESSION_COOKIE}={first}"))[0] == 401
    assert (await app.request(Cookie=f"{SESSION_COOKIE}={second}"))[0] == 200


@pytest.mark.fault(60)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[nonsense"}, 403),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_no_other_site_changes_anything(loopback: ProtectedApp, headers: dict[str, str], status: int) -> None:
    """What another site makes a browser send is refused where it would change something; reading is the browser's."""
    assert (await loopback.request("POST", **headers))[0] == status
    assert (await loopback.request("GET", **headers))[0] == 200


async def test_the_own_origin_is_no_other_site(loopback: ProtectedApp) -> None:
    """A page of ours may send its forms."""
    assert (await loopback.request("POST", Origin=loopback.base))[0] == 200


async def test_without_tokens_only_the_own_name_is_answered(loopback: ProtectedApp, app: ProtectedApp) -> None:
    """A name that was made to point at loopback opens nothing where there are no tokens."""
    assert (await loopback.request(Host="evil.example"))[0] == 421
    assert (await loopback.request(Host="Tide.example:99"))[0] == 200
    status, _, text = await loopback.request()
    assert (status, json.loads(text)) == (200, ["loopback", "ADMIN", False])
    assert (await app.request(Host="evil.example", Authorization=f"Bearer {READ}"))[0] == 200


@pytest.mark.parametrize("host", ["a:b:c", "127.0.0.1:99999", "127.0.0.1:-1"])
async def test_a_host_that_is_none(loopback: ProtectedApp, host: str) -> None:
    """What is no name of a host is a fault of the request, and none of ours."""
    assert (await loopback.request(Host=host))[0] == 400
    assert not loopback.logged("http.failed")


async def test_what_admins_do_is_in_the_log(app: ProtectedApp) -> None:
    """Each thing that somebody changes, or tries to, is a line with the name, the action and how it ended."""
    await app.request("POST", Authorization=f"Bearer {ADMIN}")
    await app.request("DELETE", Authorization=f"Bearer {ADMIN}")
    await app.request("GET", Authorization=f"Bearer {ADMIN}")
    lines = [(one["caller"], one["action"], one["status"], one["remote"]) for one in app.logged("admin.acted")]
    assert lines == [("boss", "POST /thing", 200, "127.0.0.1"), ("boss", "DELETE /thing", 405, "127.0.0.1")]


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotFoundError("n"), 404), (ConflictError("c"), 409), (RequestError("r"), 422), (ZeroDivisionError(), 500)],
)
async def test_how_it_ended_is_in_the_log(app: ProtectedApp, error: Exception, status: int) -> None:
    """The line has the status that the caller was told, for every error of the floors below."""
    app.errors.append(error)
    answered, _, _ = await app.request("POST", "/fail", Authorization=f"Bearer {ADMIN}")
    assert answered == status
    assert [one["status"] for one in app.logged("admin.acted")] == [status]


async def test_who_signs_in_is_in_the_log(app: ProtectedApp) -> None:
    """Signing in is a line with the name of the token, and a token that is none is a refusal; nobody has acted."""
    await app.request("POST", "/login")
    app.access.sign_in(ADMIN, "10.0.0.7")
    app.access.sign_in(ADMIN + "x", "10.0.0.8")
    assert [(one["caller"], one["remote"]) for one in app.logged("browser.signed_in")] == [("boss", "10.0.0.7")]
    assert [(one["status"], one["remote"]) for one in app.logged("access.refused")] == [(401, "10.0.0.8")]
    assert not app.logged("admin.acted")
    assert ADMIN not in app.output.getvalue()


async def test_tokens_are_compared_in_constant_time(app: ProtectedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every token is compared, by its digest and with the comparison that tells nothing by its time."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def listening(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr("tidewaiter.web.access_control.hmac.compare_digest", listening)
    assert (await app.request(Authorization=f"Bearer {READ}"))[0] == 200
    assert len(compared) == 2
    assert all(len(one) == len(other) == 32 for one, other in compared)


async def test_every_answer_keeps_to_itself(app: ProtectedApp) -> None:
    """No answer may be framed, sniffed, cached or indexed, errors included, and none says what serves it in detail."""
    for headers in ({}, {"Authorization": f"Bearer {READ}"}):
        _, sent, _ = await app.request(**headers)
        assert sent["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in sent["Content-Security-Policy"]
        assert sent["Cache-Control"] == "no-store"
        assert sent["Cross-Origin-Resource-Policy"] == "same-origin"
        assert re.fullmatch("[a-z]+", sent["Server"])
