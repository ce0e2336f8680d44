"""The signed client against a real server: one login for many, renewed ahead of time and once on refusal."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import BaseTestServer, TestServer

from tests.support.stored_jobs import StandingClock
from tests.worker.client_setup import ClientSetup, address_of
from tests.worker.login_api import LOGIN, Api
from tidewaiter.clock import SystemClock
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.wire import AccountPausedError, TlsError
from tidewaiter.worker.authenticated_client import SignInError


@pytest.fixture
async def api() -> Api:
    """What the server does."""
    return Api()


@pytest.fixture
async def server(api: Api) -> AsyncIterator[BaseTestServer]:
    """The API on the loopback interface."""
    async with TestServer(api.application(), host="127.0.0.1") as running:
        yield running


@pytest.fixture
def clock() -> StandingClock:
    """A clock that the test moves."""
    return StandingClock()


@pytest.fixture
async def desk(server: BaseTestServer, clock: StandingClock) -> AsyncIterator[ClientSetup]:
    """A client without a token yet."""
    async with AiohttpWire() as wire:
        made = ClientSetup(wire, address_of(server), clock)
        yield made
        made.log.close()


# --- one login for all ------------------------------------------------------------------------------------------------


async def test_one_login_for_fifty(desk: ClientSetup, api: Api) -> None:
    """Fifty requests that find no token share one login."""
    api.let_in.clear()
    asking = [asyncio.ensure_future(desk.ask()) for _ in range(50)]
    await api.asked_in.wait()
    api.let_in.set()
    replies = await asyncio.gather(*asking)
    assert [reply.status for reply in replies] == [200] * 50
    assert api.logins == 1
    assert api.forms == ["user=export&password=canary-password"]


async def test_one_refused_login_for_fifty(desk: ClientSetup, api: Api) -> None:
    """A refused password is sent once, not by every request that waits."""
    api.login_status = 403
    api.let_in.clear()
    asking = [asyncio.ensure_future(desk.failure()) for _ in range(50)]
    await api.asked_in.wait()
    api.let_in.set()
    reason = "the login failed: HTTP 403: who are you"
    assert await asyncio.gather(*asking) == [o.Unauthorized(reason)] * 50
    assert api.asked == [("login", None)]


async def test_fifty_refusals_cost_one_renewal(desk: ClientSetup, api: Api) -> None:
    """Requests that were under way together when the token was revoked share the login that follows."""
    await desk.ask()
    api.revoke()
    replies = await asyncio.gather(*(desk.ask() for _ in range(50)))
    assert [reply.status for reply in replies] == [200] * 50
    assert api.logins == 2


async def test_an_interrupted_login_is_taken_up_by_the_next(desk: ClientSetup, api: Api) -> None:
    """When the step that signs in is stopped, another one does it."""
    api.let_in.clear()
    first = asyncio.ensure_future(desk.ask())
    await api.asked_in.wait()
    second = asyncio.ensure_future(desk.ask())
    await asyncio.sleep(0)
    first.cancel()
    api.let_in.set()
    assert (await second).status == 200
    assert api.logins == 2


async def test_26_a_pause_turns_logins_away(desk: ClientSetup, api: Api) -> None:
    """A paused account does not sign in, whoever waits for it; that is no failure of the provider."""
    desk.budget.pause("the key was refused")
    asking = [asyncio.ensure_future(desk.client.exchange(desk.data)) for _ in range(5)]
    failed = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(error) for error in failed} == {AccountPausedError}
    assert api.asked == []
    assert desk.budget.breaker == "closed"
    desk.budget.resume()
    assert (await desk.client.exchange(desk.data)).status == 200


async def test_22_a_login_without_a_safe_connection(server: BaseTestServer, api: Api, clock: StandingClock) -> None:
    """The password does not go out in the clear, and whoever looks can tell the failure from a refusal."""
    async with AiohttpWire() as wire:
        safe = ClientSetup(wire, str(server.make_url("")).rstrip("/").replace("http:", "https:"), clock)
        with pytest.raises(SignInError) as caught:
            await safe.client.exchange(safe.data)
        safe.log.close()
    assert isinstance(caught.value.outcome, o.Unauthorized)
    assert isinstance(caught.value.__cause__, TlsError)
    assert api.asked == []


# --- ahead of time ----------------------------------------------------------------------------------------------------


async def test_renewed_ahead_of_time(desk: ClientSetup, api: Api, clock: StandingClock) -> None:
    """A token is renewed a minute before it ends, before anybody refuses it."""
    await desk.ask()
    clock.at += 3539.0
    assert (await desk.ask()).status == 200
    assert api.logins == 1
    clock.at += 2.0
    assert (await desk.ask()).status == 200
    assert [what for what, _ in api.asked] == ["login", "GET", "GET", "login", "GET"]


async def test_a_renewal_that_fails_ahead_of_time_is_put_off(desk: ClientSetup, api: Api, clock: StandingClock) -> None:
    """While the token lasts, a login that fails in passing stops nobody, and is not tried with every request."""
    await desk.ask()
    clock.at += 3541.0
    api.login_status = 502
    assert [(await desk.ask()).status for _ in range(5)] == [200] * 5
    assert api.logins == 2
    clock.at += 30.0
    assert (await desk.ask()).status == 200
    assert api.logins == 3
    clock.at += 30.0
    assert isinstance(await desk.failure(), o.Retry)


async def test_a_renewal_that_is_throttled_ahead_of_time_closes_the_account(
    desk: ClientSetup, api: Api, clock: StandingClock
) -> None:
    """What the provider asks for is done, though there is a token to go on with; not for longer than that lasts."""
    await desk.ask()
    clock.at += 3541.0
    api.login_status, api.login_headers = 429, {"Retry-After": "900"}
    asking = asyncio.ensure_future(desk.ask())
    async with asyncio.timeout(20):
        while not desk.budget.closed_until:  # noqa: ASYNC110  # a budget tells nobody that it closes
            await asyncio.sleep(0)
    assert desk.budget.closed_until == clock.at + 59.0
    asking.cancel()


async def test_a_renewal_that_is_refused_ahead_of_time_is_told_at_once(
    desk: ClientSetup, api: Api, clock: StandingClock
) -> None:
    """A password that was changed is a person's business, however long the old token would have lasted."""
    await desk.ask()
    clock.at += 3541.0
    api.login_status = 401
    assert isinstance(await desk.failure(), o.Unauthorized)


# --- a token that is refused ------------------------------------------------------------------------------------------


async def test_a_refused_token_is_renewed_once_and_the_submit_repeated(desk: ClientSetup, api: Api) -> None:
    """A submit that was refused for its token is sent again with the next, and is taken once."""
    await desk.ask()
    api.revoke()
    told: list[bool] = []
    reply = await desk.client.exchange(desk.submit, None, told.append)
    assert reply.status == 200
    assert api.taken == 1
    assert [what for what, _ in api.asked] == ["login", "GET", "POST", "login", "POST"]
    assert told == [True, False, True]


async def test_a_new_token_that_is_refused_is_the_accounts_trouble(desk: ClientSetup, api: Api) -> None:
    """After one renewal and one repetition it is over: no loop of logins."""
    api.refuses_all = True
    told: list[bool] = []
    with pytest.raises(SignInError) as caught:
        await desk.client.exchange(desk.submit, None, told.append)
    assert caught.value.outcome == o.Unauthorized(
        "a new token was refused as well: HTTP 401: renew canary-token-2, please"
    )
    assert (api.logins, api.taken) == (2, 0)
    assert told == [True, False, True, False]


async def test_nothing_leaves_that_must_not(desk: ClientSetup, api: Api) -> None:
    """Whoever asks last whether a submit may go is heard after the login, and its word counts."""

    class NotNowError(Exception):
        pass

    def refuse(_sent: bool) -> None:
        raise NotNowError

    with pytest.raises(NotNowError):
        await desk.client.exchange(desk.submit, None, refuse)
    assert [what for what, _ in api.asked] == ["login"]


async def test_a_stream_renews_as_well(desk: ClientSetup, api: Api) -> None:
    """A download that is refused for its token begins again with the next."""
    await desk.ask()
    api.revoke()
    async with desk.client.stream(desk.data, send_auth=True) as reply:
        body = b"".join([chunk async for chunk in reply.chunks()])
    assert json.loads(body) == {"ok": True}
    assert api.logins == 2


async def test_a_stream_whose_new_token_is_refused(desk: ClientSetup, api: Api) -> None:
    """The same end as for any other request, whatever the status is by which the API says so."""
    api.refuses_all = True
    with pytest.raises(SignInError):
        async with desk.client.stream(desk.data, send_auth=True):
            pass
    assert api.logins == 2


async def test_a_stream_that_fails_otherwise_keeps_its_body(desk: ClientSetup, api: Api) -> None:
    """What was read to look for a refused token can still be read by whoever asked for it."""
    missing = WireRequest("GET", desk.data.url.replace("data", "nothing"))
    async with desk.client.stream(missing, send_auth=True) as reply:
        body = b"".join([chunk async for chunk in reply.chunks()])
    assert (reply.status, reply.phrase, body) == (404, "Not Found", b"404: Not Found")


# --- where it goes ----------------------------------------------------------------------------------------------------


async def test_a_login_elsewhere(server: BaseTestServer, api: Api, clock: StandingClock) -> None:
    """A login on another host gets nothing but its own form; the token goes to the API alone, redirects included."""
    elsewhere = Api()
    login = LOGIN.replace('"/login"', '"${account.login_server}/v1/login"')
    async with TestServer(elsewhere.application(), host="127.0.0.1") as other, AiohttpWire() as wire:
        desk = ClientSetup(wire, address_of(server), clock, login=login, login_server=address_of(other))
        api.good = lambda given: given == "Bearer canary-token-1"
        assert (await desk.ask()).status == 200
        file_url = str(other.make_url("/v1/open"))
        assert (await desk.ask(WireRequest("GET", f"{address_of(server)}/v1/away?to={file_url}"))).body == b"a file"
        async with desk.client.stream(WireRequest("GET", file_url), send_auth=True) as file:
            await file.read(10)
        desk.log.close()
    assert api.logins == 0
    assert elsewhere.asked == [("login", None), ("GET", None), ("GET", None)]
    assert "canary" not in "".join(map(str, elsewhere.headers))


async def test_a_login_that_is_redirected_goes_nowhere(desk: ClientSetup, api: Api) -> None:
    """The password goes to the address of the login and is not carried on."""
    api.login_status, api.login_headers = 307, {"Location": "/v1/elsewhere"}
    assert await desk.failure() == o.Retry("the login failed: HTTP 307")
    assert [what for what, _ in api.asked] == ["login"]


async def test_a_file_elsewhere_needs_no_login(server: BaseTestServer, api: Api, clock: StandingClock) -> None:
    """A file host gets no token, so none is asked for, and an account that cannot sign in can still be served there."""
    api.login_status = 403
    host = Api()
    async with TestServer(host.application(), host="127.0.0.1") as other, AiohttpWire() as wire:
        desk = ClientSetup(wire, address_of(server), clock)
        async with desk.client.stream(WireRequest("GET", str(other.make_url("/v1/open"))), send_auth=True) as file:
            assert file.status == 200
        desk.log.close()
    assert api.asked == []


# --- the budget -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [Limits(spacing_s=0.02), Limits(requests=3, period_s=0.2)])
async def test_limits_and_logins_do_not_wait_for_each_other(server: BaseTestServer, api: Api, limits: Limits) -> None:
    """Those that wait for a login do not hold the place that it needs: at the start, and when a token is refused."""
    async with AiohttpWire() as wire:
        desk = ClientSetup(wire, address_of(server), SystemClock(), limits)
        permits = [await desk.budget.admit()]
        first = desk.client.exchange(desk.data, permits[0])
        async with asyncio.timeout(20):
            replies = await asyncio.gather(first, *(desk.ask() for _ in range(5)))
            api.revoke()
            replies += await asyncio.gather(*(desk.ask() for _ in range(5)))
        assert [reply.status for reply in replies] == [200] * 11
        assert api.logins == 2
        desk.log.close()


async def test_a_login_is_a_request_of_the_account(server: BaseTestServer, clock: StandingClock) -> None:
    """It stands in the window, and so does what follows it; a permit that was given back does not."""
    async with AiohttpWire() as wire:
        desk = ClientSetup(wire, address_of(server), SystemClock(), Limits(requests=100, period_s=3600.0))
        await asyncio.gather(*(desk.ask() for _ in range(10)))
        assert len(desk.budget.snapshot()) == 11
        desk.log.close()


async def test_a_login_that_finds_the_provider_back_lets_the_request_follow(
    desk: ClientSetup, api: Api, clock: StandingClock
) -> None:
    """The breaker's probe may be a login: when it succeeds, the request behind it need not wait for another probe."""
    for _ in range(5):
        desk.budget.failed("down")
    clock.at += 60.0
    before = desk.budget.breaker
    assert (await desk.ask()).status == 200
    assert (before, desk.budget.breaker) == ("half-open", "closed")


async def test_a_server_fault_is_no_refusal(desk: ClientSetup, api: Api) -> None:
    """A login that fails for the moment is tried again later, and pauses nobody at once."""
    api.login_status = 502
    for _ in range(5):
        assert isinstance(await desk.failure(), o.Retry)
    assert desk.budget.breaker == "open"


# --- what nobody may see ----------------------------------------------------------------------------------------------


async def test_no_token_in_the_log(desk: ClientSetup, clock: StandingClock) -> None:
    """The log tells that the account has signed in, and takes both the token and the one before out of any line."""
    await desk.ask()
    clock.at += 3600.0
    await desk.ask()
    desk.log.emit("account.paused", lane=1, account="shop", reason="canary-token-1 canary-token-2", until_s=1.0)
    said = desk.output.getvalue()
    assert said.count('"session.renewed"') == 2
    assert "canary" not in said


async def test_only_two_tokens_are_remembered(desk: ClientSetup, clock: StandingClock) -> None:
    """A year of tokens does not slow the log down, and no secret of the configuration is forgotten with them."""
    for _ in range(3):
        await desk.ask()
        clock.at += 3600.0
    clean = desk.log.redactor.clean
    assert clean("canary-token-1") == "canary-token-1"
    assert clean("canary-token-2 canary-token-3 canary-password") == "[redacted] [redacted] [redacted]"


async def test_no_token_in_an_error(desk: ClientSetup, api: Api) -> None:
    """A login whose reply holds the token where nobody looks for it is not quoted."""
    api.token_name = "accessKey"
    failure = await desk.failure()
    assert failure == o.Unauthorized("the login failed: HTTP 200, without a token")


async def test_a_passing_secret_of_one_lane_outlives_that_of_another(desk: ClientSetup) -> None:
    """Shards of an account may be given the same token: the log knows it as long as one of them has it."""
    desk.log.add_temporary_secrets("session 7", ["canary-shared"])
    desk.log.add_temporary_secrets("session 8", ["canary-shared"])
    desk.log.add_temporary_secrets("session 7", ["canary-next"])
    assert desk.log.redactor.clean("canary-shared") == "[redacted]"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_probe_that_meets_a_spent_token(
    desk: ClientSetup, api: Api, clock: StandingClock, stream: bool
) -> None:
    """The probe of a half-open breaker is refused for its token: the login that has to follow does not wait for it."""
    await desk.ask()
    for _ in range(5):
        desk.budget.failed("down")
    clock.at += 60.0
    api.revoke()
    async with asyncio.timeout(10):
        if stream:
            async with desk.client.stream(desk.data, send_auth=True) as reply:
                assert reply.status == 200
        else:
            assert (await desk.ask()).status == 200
    assert (api.logins, desk.budget.breaker) == (2, "closed")


async def test_a_probe_whose_login_is_not_understood(desk: ClientSetup, api: Api, clock: StandingClock) -> None:
    """The next one may try at once."""
    for _ in range(5):
        desk.budget.failed("down")
    clock.at += 60.0
    api.login_status = 204
    async with asyncio.timeout(10):
        await desk.failure()
        await desk.failure()
    assert api.logins == 2
