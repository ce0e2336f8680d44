"""The authenticated client on a real server: shared logins, early renewal, one renewal on refusal."""

import asyncio

import pytest
from aiohttp.test_utils import BaseTestServer, TestServer

from tests.support.stored_jobs import StandingClock
from tests.worker.client_setup import ClientSetup, address_of
from tests.worker.login_api import LOGIN, Api
from tidewaiter.clock import SystemClock
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits, OperationPolicy
from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.reply_bodies import ReplyBeginning
from tidewaiter.transport.wire import AccountPausedError, TlsError
from tidewaiter.worker.authenticated_client import SignInError
from tidewaiter.worker.provider_session import ProviderSession

# --- one login for all ------------------------------------------------------------------------------------------------


async def test_one_login_for_fifty(setup: ClientSetup, api: Api) -> None:
    """Fifty requests that find no token share one login."""
    api.may_log_in.clear()
    asking = [asyncio.ensure_future(setup.ask()) for _ in range(50)]
    await api.login_received.wait()
    api.may_log_in.set()
    replies = await asyncio.gather(*asking)
    assert [reply.status for reply in replies] == [200] * 50
    assert api.logins == 1
    assert api.forms == ["user=export&password=canary-password"]


async def test_one_refused_login_for_fifty(setup: ClientSetup, api: Api) -> None:
    """A refused password is sent once, not by every request that waits."""
    api.login_status = 403
    api.may_log_in.clear()
    asking = [asyncio.ensure_future(setup.failure()) for _ in range(50)]
    await api.login_received.wait()
    api.may_log_in.set()
    reason = "the login failed: HTTP 403: who are you"
    assert await asyncio.gather(*asking) == [o.Unauthorized(reason)] * 50
    assert api.asked == [("login", None)]


async def test_fifty_refusals_cost_one_renewal(setup: ClientSetup, api: Api) -> None:
    """Requests that were under way together when the token was revoked share the login that follows."""
    await setup.ask()
    api.revoke()
    replies = await asyncio.gather(*(setup.ask() for _ in range(50)))
    assert [reply.status for reply in replies] == [200] * 50
    assert api.logins == 2


async def test_an_interrupted_login_is_taken_up_by_the_next(setup: ClientSetup, api: Api) -> None:
    """When the step that signs in is stopped, another one does it."""
    api.may_log_in.clear()
    first = asyncio.ensure_future(setup.ask())
    await api.login_received.wait()
    second = asyncio.ensure_future(setup.ask())
    await asyncio.sleep(0)
    first.cancel()
    api.may_log_in.set()
    assert (await second).status == 200
    assert api.logins == 2


@pytest.mark.fault(26)
async def test_a_pause_turns_logins_away(setup: ClientSetup, api: Api) -> None:
    """A paused account does not log in; that is no failure of the provider."""
    setup.budget.pause("the key was refused")
    asking = [asyncio.ensure_future(setup.client.exchange(setup.data)) for _ in range(5)]
    failed = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(error) for error in failed} == {AccountPausedError}
    assert api.asked == []
    assert setup.budget.breaker == "closed"
    setup.budget.resume()
    assert (await setup.client.exchange(setup.data)).status == 200


@pytest.mark.fault(22)
async def test_a_login_without_a_safe_connection(server: BaseTestServer, api: Api, clock: StandingClock) -> None:
    """The password is not sent unencrypted, and the failure differs from a refusal."""
    async with AiohttpWire() as wire:
        safe = ClientSetup(wire, str(server.make_url("")).rstrip("/").replace("http:", "https:"), clock)
        with pytest.raises(SignInError) as caught:
            await safe.client.exchange(safe.data)
        safe.log.close()
    assert isinstance(caught.value.outcome, o.Unauthorized)
    assert isinstance(caught.value.__cause__, TlsError)
    assert api.asked == []


# --- ahead of time ----------------------------------------------------------------------------------------------------


async def test_renewed_ahead_of_time(setup: ClientSetup, api: Api, clock: StandingClock) -> None:
    """A token is renewed a minute before it ends, before anybody refuses it."""
    await setup.ask()
    clock.at += 3539.0
    assert (await setup.ask()).status == 200
    assert api.logins == 1
    clock.at += 2.0
    assert (await setup.ask()).status == 200
    assert [what for what, _ in api.asked] == ["login", "GET", "GET", "login", "GET"]


async def test_a_renewal_that_fails_ahead_of_time_is_put_off(
    setup: ClientSetup, api: Api, clock: StandingClock
) -> None:
    """While the token lasts, a login that fails in passing stops nobody, and is not tried with every request."""
    await setup.ask()
    clock.at += 3541.0
    api.login_status = 502
    assert [(await setup.ask()).status for _ in range(5)] == [200] * 5
    assert api.logins == 2
    clock.at += 30.0
    assert (await setup.ask()).status == 200
    assert api.logins == 3
    clock.at += 30.0
    assert isinstance(await setup.failure(), o.Retry)


async def test_a_renewal_that_is_throttled_ahead_of_time_closes_the_account(
    setup: ClientSetup, api: Api, clock: StandingClock
) -> None:
    """What the provider asks for is done, though there is a token to go on with; not for longer than that lasts."""
    await setup.ask()
    clock.at += 3541.0
    api.login_status, api.login_headers = 429, {"Retry-After": "900"}
    asking = asyncio.ensure_future(setup.ask())
    async with asyncio.timeout(20):
        while not setup.budget.closed_until:  # noqa: ASYNC110  # a budget tells nobody that it closes
            await asyncio.sleep(0)
    assert setup.budget.closed_until == clock.at + 59.0
    asking.cancel()


async def test_a_renewal_that_is_refused_ahead_of_time_counts_at_once(
    setup: ClientSetup, api: Api, clock: StandingClock
) -> None:
    """A password that was changed is a person's business, however long the old token would have lasted."""
    await setup.ask()
    clock.at += 3541.0
    api.login_status = 401
    assert isinstance(await setup.failure(), o.Unauthorized)


# --- where it goes ----------------------------------------------------------------------------------------------------


async def test_a_login_elsewhere(server: BaseTestServer, api: Api, clock: StandingClock) -> None:
    """A login on another host gets nothing but its own form; the token goes to the API alone, redirects included."""
    elsewhere = Api()
    login = LOGIN.replace('"/login"', '"${account.login_server}/v1/login"')
    async with TestServer(elsewhere.application(), host="127.0.0.1") as other, AiohttpWire() as wire:
        setup = ClientSetup(wire, address_of(server), clock, login=login, login_server=address_of(other))
        api.good = lambda given: given == "Bearer canary-token-1"
        assert (await setup.ask()).status == 200
        file_url = str(other.make_url("/v1/open"))
        assert (await setup.ask(WireRequest("GET", f"{address_of(server)}/v1/away?to={file_url}"))).body == b"a file"
        async with setup.client.stream(WireRequest("GET", file_url), send_auth=True) as file:
            await file.read(10)
        setup.log.close()
    assert api.logins == 0
    assert elsewhere.asked == [("login", None), ("GET", None), ("GET", None)]
    assert "canary" not in "".join(map(str, elsewhere.headers))


async def test_a_login_that_is_redirected_goes_nowhere(setup: ClientSetup, api: Api) -> None:
    """The password goes to the address of the login and is not carried on."""
    api.login_status, api.login_headers = 307, {"Location": "/v1/elsewhere"}
    assert await setup.failure() == o.Retry("the login failed: HTTP 307")
    assert [what for what, _ in api.asked] == ["login"]


async def test_a_file_elsewhere_needs_no_login(server: BaseTestServer, api: Api, clock: StandingClock) -> None:
    """A file host gets no token, so none is asked for, and an account that cannot sign in can still be served there."""
    api.login_status = 403
    host = Api()
    async with TestServer(host.application(), host="127.0.0.1") as other, AiohttpWire() as wire:
        setup = ClientSetup(wire, address_of(server), clock)
        async with setup.client.stream(WireRequest("GET", str(other.make_url("/v1/open"))), send_auth=True) as file:
            assert file.status == 200
        setup.log.close()
    assert api.asked == []


# --- the budget -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("limits", [Limits(spacing_s=0.02), Limits(requests=3, period_s=0.2)])
async def test_limits_and_logins_do_not_wait_for_each_other(server: BaseTestServer, api: Api, limits: Limits) -> None:
    """Those that wait for a login do not hold the place that it needs: at the start, and when a token is refused."""
    async with AiohttpWire() as wire:
        setup = ClientSetup(wire, address_of(server), SystemClock(), limits)
        permits = [await setup.budget.admit()]
        first = setup.client.exchange(setup.data, permits[0])
        async with asyncio.timeout(20):
            replies = await asyncio.gather(first, *(setup.ask() for _ in range(5)))
            api.revoke()
            replies += await asyncio.gather(*(setup.ask() for _ in range(5)))
        assert [reply.status for reply in replies] == [200] * 11
        assert api.logins == 2
        setup.log.close()


async def test_a_login_is_a_request_of_the_account(server: BaseTestServer, clock: StandingClock) -> None:
    """It stands in the window, and so does what follows it; a permit that was given back does not."""
    async with AiohttpWire() as wire:
        setup = ClientSetup(wire, address_of(server), SystemClock(), Limits(requests=100, period_s=3600.0))
        await asyncio.gather(*(setup.ask() for _ in range(10)))
        assert len(setup.budget.snapshot()) == 11
        setup.log.close()


@pytest.mark.invariant(8)
async def test_a_request_after_a_submit_takes_a_permit_of_its_own(server: BaseTestServer) -> None:
    """The permit of the submit is spent: what a step sends after it stands in the window, too."""
    async with AiohttpWire() as wire:
        setup = ClientSetup(wire, address_of(server), SystemClock(), Limits(requests=100, period_s=3600.0))
        session = ProviderSession(setup.client, OperationPolicy())
        await session.admitted()
        async with session.submit(setup.submit, may_be_file=False) as beginning:
            assert isinstance(beginning, ReplyBeginning)
        assert isinstance(await session.exchange(setup.data), WireReply)
        assert len(setup.budget.snapshot()) == 3, "login, submit, request"
        setup.log.close()


async def test_a_login_that_finds_the_provider_back_lets_the_request_follow(
    setup: ClientSetup, api: Api, clock: StandingClock
) -> None:
    """The breaker's probe may be a login: when it succeeds, the request behind it need not wait for another probe."""
    for _ in range(5):
        setup.budget.failed("down")
    clock.at += 60.0
    before = setup.budget.breaker
    assert (await setup.ask()).status == 200
    assert (before, setup.budget.breaker) == ("half-open", "closed")


async def test_a_server_fault_is_no_refusal(setup: ClientSetup, api: Api) -> None:
    """A login that fails for the moment is tried again later, and pauses nobody at once."""
    api.login_status = 502
    for _ in range(5):
        assert isinstance(await setup.failure(), o.Retry)
    assert setup.budget.breaker == "open"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_probe_that_meets_a_spent_token(
    setup: ClientSetup, api: Api, clock: StandingClock, stream: bool
) -> None:
    """The probe of a half-open breaker is refused for its token: the login that has to follow does not wait for it."""
    await setup.ask()
    for _ in range(5):
        setup.budget.failed("down")
    clock.at += 60.0
    api.revoke()
    async with asyncio.timeout(10):
        if stream:
            async with setup.client.stream(setup.data, send_auth=True) as reply:
                assert reply.status == 200
        else:
            assert (await setup.ask()).status == 200
    assert (api.logins, setup.budget.breaker) == (2, "closed")


async def test_a_probe_whose_login_is_not_understood(setup: ClientSetup, api: Api, clock: StandingClock) -> None:
    """The next one may try at once."""
    for _ in range(5):
        setup.budget.failed("down")
    clock.at += 60.0
    api.login_status = 204
    async with asyncio.timeout(10):
        await setup.failure()
        await setup.failure()
    assert api.logins == 2
