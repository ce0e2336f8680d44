"""Copernica's login host: the forms of its reply, and tokens that expire."""

import base64
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.emulators.copernica_client import ACCESS
from tests.emulators.manual_clock import ManualClock
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.copernica_login import CopernicaLogin, LoginVariants, TokenForm, is_signed


@pytest.fixture
async def login(clock: ManualClock) -> AsyncIterator[CopernicaLogin]:
    """A running login host."""
    async with CopernicaLogin(clock=clock, access_token=ACCESS) as running:
        yield running


async def _ask(client: aiohttp.ClientSession, login: CopernicaLogin, **form: str) -> tuple[int, str, str]:
    async with client.post(f"{login.origin}/", data=form) as reply:
        return reply.status, reply.content_type, await reply.text()


def _claims(jwt: str) -> dict[str, object]:
    payload = jwt.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(claims, dict)
    return claims


@pytest.mark.parametrize("form", TokenForm)
async def test_every_form_of_a_token(client: aiohttp.ClientSession, login: CopernicaLogin, form: TokenForm) -> None:
    """The token is the whole body, a JSON string, or a member of an object whose name can be told."""
    login.variants = LoginVariants(form=form, member="jwt")
    status, content_type, text = await _ask(client, login, access_token=ACCESS)
    (given,) = login.issued
    wanted = {
        TokenForm.RAW: ("text/plain", given.jwt),
        TokenForm.STRING: ("application/json", json.dumps(given.jwt)),
        TokenForm.OBJECT: ("application/json", json.dumps({"jwt": given.jwt})),
    }
    assert (status, content_type, text) == (200, *wanted[form])


async def test_a_token_tells_its_end(client: aiohttp.ClientSession, login: CopernicaLogin, clock: ManualClock) -> None:
    """Its claims hold when it was given and when it ends: a day later, by the host's own clock."""
    _, _, jwt = await _ask(client, login, access_token=ACCESS)
    claims = _claims(jwt)
    assert (claims["iat"], claims["exp"]) == (int(clock.at), int(clock.at) + 86_400)
    assert login.holds(jwt)
    clock.at += 86_400
    assert not login.holds(jwt)


async def test_a_host_whose_clock_is_ahead(client: aiohttp.ClientSession, clock: ManualClock) -> None:
    """The claims follow the host's clock, not ours."""
    async with CopernicaLogin(clock=clock, access_token=ACCESS, skew_s=90) as login:
        _, _, jwt = await _ask(client, login, access_token=ACCESS)
    assert _claims(jwt)["iat"] == int(clock.at) + 90


@pytest.mark.parametrize("signed", [True, False])
async def test_a_true_and_a_false_signature(
    client: aiohttp.ClientSession, login: CopernicaLogin, *, signed: bool
) -> None:
    """Nobody but the host can tell the difference; it accepts either."""
    login.variants = LoginVariants(signed=signed)
    _, _, jwt = await _ask(client, login, access_token=ACCESS)
    assert is_signed(jwt) is signed
    assert login.holds(jwt)


async def test_every_login_gives_another_token(client: aiohttp.ClientSession, login: CopernicaLogin) -> None:
    """The earlier one stays good, until it is revoked."""
    first, second = [(await _ask(client, login, access_token=ACCESS))[2] for _ in range(2)]
    assert first != second
    login.revoke(first)
    assert (login.holds(first), login.holds(second), login.holds("nonsense")) == (False, True, False)


@pytest.mark.parametrize("form", [{"access_token": "other"}, {"token": ACCESS}, {"access_token": ""}])
@pytest.mark.parametrize("refusal", [401, 400, 200])
async def test_a_refused_login(
    client: aiohttp.ClientSession, login: CopernicaLogin, form: dict[str, str], refusal: int
) -> None:
    """An error with a message under the status that was told, and no token."""
    login.variants = LoginVariants(refusal=refusal)
    status, _, text = await _ask(client, login, **form)
    assert (status, json.loads(text)) == (refusal, {"error": {"message": "Invalid access token"}})
    assert login.issued == []


async def test_the_token_belongs_in_a_form(client: aiohttp.ClientSession, login: CopernicaLogin) -> None:
    """JSON and the query are not where it is looked for."""
    async with client.post(f"{login.origin}/", json={"access_token": ACCESS}) as reply:
        assert reply.status == 401
    async with client.post(f"{login.origin}/?access_token=x") as reply:
        assert reply.status == 401
    assert login.issued == []


async def test_a_login_host_that_is_down(client: aiohttp.ClientSession, login: CopernicaLogin) -> None:
    """A page of HTML in place of a token."""
    login.faults.add("login", InjectedFault(FaultKind.UNAVAILABLE, status=502))
    status, content_type, _ = await _ask(client, login, access_token=ACCESS)
    assert (status, content_type, login.issued) == (502, "text/html", [])
