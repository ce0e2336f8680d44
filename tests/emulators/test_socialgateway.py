"""Social Gateway's API: the login, what can be read with its token, and everything that can be wrong with either."""

import json
import re
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest

from tests.emulators.manual_clock import ManualClock
from tests.emulators.socialgateway_client import LOGIN, Caller
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.emulated_replies import page_reply
from tidewaiter.emulators.socialgateway import (
    SocialGatewayEmulator,
    SocialGatewayLogin,
    SocialGatewayVariants,
    StatsShape,
)

_NO_TOKEN = (
    "Please include the access_token parameter in your requests. "
    "You can obtain one using the /api/v2/authenticate endpoint"
)
_BAD_TOKEN = "Please renew your access_token"


def _contacts(parameters: Mapping[str, str]) -> object:
    if "list" not in parameters:
        return page_reply(400, "Bad Request")
    return {"parameters": parameters}


@pytest.fixture
async def gateway(clock: ManualClock) -> AsyncIterator[SocialGatewayEmulator]:
    """A running API with a list, a resource that wants a parameter, and one that is hidden."""
    async with SocialGatewayEmulator(
        clock=clock,
        login=SocialGatewayLogin(LOGIN["userName"], LOGIN["apiKey"], LOGIN["password"]),
        resources={"segment/all": [1, 2], "contact/list": _contacts, "billing": {"due": 1}},
        hidden=["billing"],
    ) as running:
        yield running


@pytest.fixture
def caller(client: aiohttp.ClientSession, gateway: SocialGatewayEmulator) -> Caller:
    """Whoever asks that API."""
    return Caller(client, gateway)


async def _varied(gateway: SocialGatewayEmulator, client: aiohttp.ClientSession, **members: object) -> None:
    async with client.patch(f"{gateway.origin}/_control/variants", json=members) as reply:
        assert reply.status == 200


async def test_a_login(gateway: SocialGatewayEmulator, caller: Caller) -> None:
    """A form gets a token of 40 hex digits, its end by the domain's clock, and a header from 1970 about the page."""
    status, headers, text = await caller.login()
    told = json.loads(text)
    assert (status, sorted(told), told["success"]) == (200, ["access_token", "expires", "success"], True)
    assert re.fullmatch("[0-9a-f]{40}", told["access_token"])
    assert told["expires"] == "2014-06-19T12:10:00-0300"  # 14:10 UTC plus an hour, without a colon in the offset
    assert headers["Expires"] == "Thu, 01-Jan-1970 00:00:00 GMT"
    assert headers["Content-Type"] == "application/json;charset=UTF-8"
    assert (gateway.logins, gateway.failed_logins, gateway.count("authenticate")) == (1, 0, 1)


@pytest.mark.parametrize(
    ("minutes", "expires"),
    [(0, "2014-06-19T15:10:00+0000"), (330, "2014-06-19T20:40:00+0530"), (-570, "2014-06-19T05:40:00-0930")],
)
async def test_the_time_zone_of_the_domain(
    gateway: SocialGatewayEmulator, caller: Caller, minutes: int, expires: str
) -> None:
    """Any offset, of half hours too, ahead and behind."""
    await _varied(gateway, caller.client, utc_offset_minutes=minutes)
    assert json.loads((await caller.login())[2])["expires"] == expires


async def test_two_logins_are_two_tokens(gateway: SocialGatewayEmulator, caller: Caller) -> None:
    """Each login gives another token, and the first one stays good."""
    first, second = await caller.token(), await caller.token()
    assert first != second
    for token in (first, second):
        await caller.read("campaign/stats", token)
    assert [session.used for session in gateway.sessions] == [1, 1]


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404])
async def test_a_login_that_fails(gateway: SocialGatewayEmulator, caller: Caller, status: int) -> None:
    """Any wrong field, or a good login that is told to fail: 200 that is a failure, or a status of its own."""
    await _varied(gateway, caller.client, login_failure_status=status)
    for wrong in ({"password": "x"}, {"apiKey": ""}, {"userName": "API"}):
        code, _, text = await caller.login(**wrong)
        assert (code, json.loads(text)["success"]) == (status, False)
        assert json.loads(text)["statusMessage"] == "Invalid user name, api key or password"
    gateway.faults.add("authenticate", InjectedFault(FaultKind.ERROR_STATUS, text="Locked"))
    assert json.loads((await caller.login())[2]) == {"success": False, "statusMessage": "Locked"}
    assert (gateway.logins, gateway.failed_logins) == (0, 4)


async def test_a_login_is_a_form(gateway: SocialGatewayEmulator, caller: Caller) -> None:
    """The same fields as JSON or in the query are not understood, and a GET is no login."""
    url = f"{gateway.base_url}/authenticate"
    async with caller.client.post(url, json=LOGIN) as reply:
        assert (await reply.json())["success"] is False
    async with caller.client.post(url, params=LOGIN) as reply:
        assert (await reply.json())["success"] is False
    assert (await caller.get("authenticate"))[0] == 401
    assert gateway.logins == 0


async def test_me(gateway: SocialGatewayEmulator, caller: Caller) -> None:
    """Without a token it is a success all the same, and tells that nobody is logged in."""
    status, _, text = await caller.get("me")
    assert (status, json.loads(text)) == (
        200,
        {"success": True, "statusMessage": "you are not logged in", "logged_in": False},
    )
    assert await caller.read("me", await caller.token()) == {
        "success": True,
        "statusMessage": "you are logged in as 'api'",
        "logged_in": True,
    }
    assert (await caller.get("me", "0" * 40))[:2] == (401, _BAD_TOKEN)


async def test_campaign_stats(gateway: SocialGatewayEmulator, caller: Caller) -> None:
    """An object, or an array, with dates in the domain's time zone."""
    token = await caller.token()
    told = await caller.read("campaign/stats", token)
    assert (told["date"], len(told["campaigns"])) == ("2014-06-19T11:10:00-0300", 3)
    await _varied(gateway, caller.client, stats_shape=StatsShape.ARRAY)
    assert await caller.read("campaign/stats", token) == told["campaigns"]
    assert gateway.count("stats") == 2


async def test_any_other_resource(gateway: SocialGatewayEmulator, caller: Caller) -> None:
    """A list as it was given, and what a function makes of the parameters, without the token among them."""
    token = await caller.token()
    assert await caller.read("segment/all", token) == [1, 2]
    assert await caller.read("contact/list", token, list="a b", page="2") == {
        "parameters": {"list": "a b", "page": "2"}
    }
    assert (await caller.get("contact/list", token))[0] == 400
    assert (await caller.get("nowhere", token))[0] == 404
    assert gateway.count("resource") == 4


async def test_what_is_forbidden_is_not_there(caller: Caller) -> None:
    """A hidden resource answers exactly as one that does not exist."""
    token = await caller.token()
    assert await caller.get("billing", token) == await caller.get("nowhere", token)
    assert (await caller.get("billing", token))[0] == 404


async def test_head(gateway: SocialGatewayEmulator, caller: Caller) -> None:
    """HEAD tells the headers alone."""
    url = f"{gateway.base_url}/campaign/stats"
    async with caller.client.head(url, params={"access_token": await caller.token()}) as reply:
        assert (reply.status, int(reply.headers["Content-Length"]) > 0, await reply.read()) == (200, True, b"")


async def test_actions(gateway: SocialGatewayEmulator, caller: Caller) -> None:
    """A POST says success and a message; the token may stand in its form; a 200 may be a failure."""
    token = await caller.token()
    url = f"{gateway.base_url}/campaign/pause"
    async with caller.client.post(url, data={"access_token": token}) as reply:
        assert (reply.status, await reply.json()) == (200, {"success": True, "statusMessage": "done"})
    gateway.faults.add("action", InjectedFault(FaultKind.ERROR_STATUS, text="No such campaign"))
    async with caller.client.post(url, params={"access_token": token}) as reply:
        assert (reply.status, await reply.json()) == (200, {"success": False, "statusMessage": "No such campaign"})
    async with caller.client.post(url) as reply:
        assert (reply.status, reply.reason) == (401, _NO_TOKEN)
    assert gateway.actions == ["campaign/pause"]


async def test_a_reading_that_is_a_failure(gateway: SocialGatewayEmulator, caller: Caller) -> None:
    """A GET may be answered with a 200 that says no, in the same words."""
    gateway.faults.add("stats", InjectedFault(FaultKind.ERROR_STATUS))
    assert await caller.read("campaign/stats", await caller.token()) == {
        "success": False,
        "statusMessage": "Internal error",
    }


async def test_the_reason_phrases(caller: Caller) -> None:
    """No token and a bad one are told apart in the status line, and nowhere else."""
    assert await caller.get("campaign/stats") == (401, _NO_TOKEN, "")
    assert await caller.get("campaign/stats", "0" * 40) == (401, _BAD_TOKEN, "")


async def test_a_proxy_drops_the_phrase(gateway: SocialGatewayEmulator, caller: Caller) -> None:
    """What is left is a 401, whichever it was."""
    await _varied(gateway, caller.client, bare_401=True)
    assert await caller.get("campaign/stats") == (401, "Unauthorized", "")
    assert await caller.get("campaign/stats", "0" * 40) == (401, "Unauthorized", "")


async def test_tokens_end(gateway: SocialGatewayEmulator, caller: Caller, clock: ManualClock) -> None:
    """After the time that was told, to the second; a new login helps."""
    token = await caller.token()
    clock.at += 3599
    await caller.read("campaign/stats", token)
    clock.at += 1
    assert (await caller.get("campaign/stats", token))[:2] == (401, _BAD_TOKEN)
    await caller.read("campaign/stats", await caller.token())


async def test_a_token_may_end_early(gateway: SocialGatewayEmulator, caller: Caller, clock: ManualClock) -> None:
    """Though an hour was told, it is good for a minute."""
    await _varied(gateway, caller.client, dies_after_s=60)
    _, _, text = await caller.login()
    told = json.loads(text)
    assert told["expires"] == "2014-06-19T12:10:00-0300"
    clock.at += 60
    assert (await caller.get("campaign/stats", told["access_token"]))[0] == 401


async def test_revoked_tokens(gateway: SocialGatewayEmulator, caller: Caller) -> None:
    """By the request that it is told on, or all at once; those given out later are good."""
    first, second = await caller.token(), await caller.token()
    gateway.faults.add("stats", InjectedFault(FaultKind.REVOKED))
    assert (await caller.get("campaign/stats", first))[:2] == (401, _BAD_TOKEN)
    assert (await caller.get("campaign/stats", first))[0] == 401
    await caller.read("campaign/stats", second)
    gateway.revoke()
    assert (await caller.get("campaign/stats", second))[0] == 401
    await caller.read("campaign/stats", await caller.token())


async def test_faults_are_worded_by_the_api(gateway: SocialGatewayEmulator, caller: Caller) -> None:
    """A told 401 speaks in its phrase, what is gone is a page, and so is an outage."""
    token = await caller.token()
    gateway.faults.add("stats", InjectedFault(FaultKind.UNAUTHORIZED))
    gateway.faults.add("stats", InjectedFault(FaultKind.GONE))
    gateway.faults.add("stats", InjectedFault(FaultKind.UNAVAILABLE, status=502))
    assert await caller.get("campaign/stats", token) == (401, _BAD_TOKEN, "")
    assert (await caller.get("campaign/stats", token))[:2] == (404, "Not Found")
    status, _, text = await caller.get("campaign/stats", token)
    assert (status, "<html>" in text) == (502, True)


async def test_variants_by_the_constructor(clock: ManualClock, client: aiohttp.ClientSession) -> None:
    """The same can be told at the start."""
    variants = SocialGatewayVariants(token_ttl_s=60, utc_offset_minutes=0, stats_shape=StatsShape.ARRAY)
    async with SocialGatewayEmulator(
        clock=clock, login=SocialGatewayLogin("api", "k3y", LOGIN["password"]), variants=variants, campaigns=1
    ) as gateway:
        caller = Caller(client, gateway)
        _, _, text = await caller.login()
        assert json.loads(text)["expires"] == "2014-06-19T14:11:00+0000"
        assert len(await caller.read("campaign/stats", json.loads(text)["access_token"])) == 1
