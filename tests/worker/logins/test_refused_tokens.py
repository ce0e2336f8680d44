"""A token that the server refuses: one renewal, one repetition, and what comes after."""

import json

import pytest

from tests.worker.client_setup import ClientSetup
from tests.worker.login_api import Api
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.worker.authenticated_client import SignInError


async def test_a_refused_token_is_renewed_once_and_the_submit_repeated(setup: ClientSetup, api: Api) -> None:
    """A submit that was refused for its token is sent again with the next, and is taken once."""
    await setup.ask()
    api.revoke()
    results: list[bool] = []
    reply = await setup.client.exchange(setup.submit, None, results.append)
    assert reply.status == 200
    assert api.taken == 1
    assert [what for what, _ in api.asked] == ["login", "GET", "POST", "login", "POST"]
    assert results == [True, False, True]


async def test_a_new_token_that_is_refused_is_the_accounts_trouble(setup: ClientSetup, api: Api) -> None:
    """After one renewal and one repetition it is over: no loop of logins."""
    api.refuses_all = True
    results: list[bool] = []
    with pytest.raises(SignInError) as caught:
        await setup.client.exchange(setup.submit, None, results.append)
    assert caught.value.outcome == o.Unauthorized(
        "a new token was refused as well: HTTP 401: renew canary-token-2, please"
    )
    assert (api.logins, api.taken) == (2, 0)
    assert results == [True, False, True, False]


async def test_nothing_leaves_that_must_not(setup: ClientSetup, api: Api) -> None:
    """The last check before a submit runs after the login, and it decides."""

    class NotNowError(Exception):
        pass

    def refuse(_sent: bool) -> None:
        raise NotNowError

    with pytest.raises(NotNowError):
        await setup.client.exchange(setup.submit, None, refuse)
    assert [what for what, _ in api.asked] == ["login"]


async def test_a_stream_renews_as_well(setup: ClientSetup, api: Api) -> None:
    """A download that is refused for its token begins again with the next."""
    await setup.ask()
    api.revoke()
    async with setup.client.stream(setup.data, send_auth=True) as reply:
        body = b"".join([chunk async for chunk in reply.chunks()])
    assert json.loads(body) == {"ok": True}
    assert api.logins == 2


async def test_a_stream_whose_new_token_is_refused(setup: ClientSetup, api: Api) -> None:
    """The same end as for any other request, whatever the status is by which the API says so."""
    api.refuses_all = True
    with pytest.raises(SignInError):
        async with setup.client.stream(setup.data, send_auth=True):
            pass
    assert api.logins == 2


async def test_a_stream_that_fails_otherwise_keeps_its_body(setup: ClientSetup, api: Api) -> None:
    """A body that was read to detect a refused token can still be read by the caller."""
    missing = WireRequest("GET", setup.data.url.replace("data", "nothing"))
    async with setup.client.stream(missing, send_auth=True) as reply:
        body = b"".join([chunk async for chunk in reply.chunks()])
    assert (reply.status, reply.phrase, body) == (404, "Not Found", b"404: Not Found")
