"""How long a token lasts, where it stands in a request, and what means that it is spent."""

import base64
import json
from collections.abc import Mapping

import pytest

from tests.providers.credentials.login_tables import BASE, CLIENT, LOGIN, session_of
from tests.support.spec_samples import NOW, reply_of
from tidewaiter.domain.http_values import Credentials, Json, WireReply
from tidewaiter.domain.outcome import Unauthorized
from tidewaiter.providers.credentials.login_replies import Token, as_moment


def jwt_with(claims: Mapping[str, Json]) -> str:
    """A JSON Web Token that nobody has signed."""
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts) + ".c2ln"


# --- how long it lasts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "lifetime_s"),
    [
        ({}, 900),
        ({"expires": "2023-11-14T23:13:20+0000"}, 3600),
        ({"expires": "2023-11-14T20:13:20-0300"}, 3600),
        ({"expires": "2023-11-15T00:13:20.5+01:00"}, 3600.5),
        ({"expires": "2023-11-14T23:13:20"}, 3600),
        ({"expires": "Tue, 14 Nov 2023 23:13:20 GMT"}, 3600),
        ({"expires": 1_700_003_600}, 3600),
        ({"expires": "1700003600000"}, 3600),
        ({"expires_in": 120}, 120),
        ({"expires_in": "120.5"}, 120.5),
        ({"expires": "2023-11-14T20:13:20", "expires_in": 120}, 120),
        ({"expires": "tomorrow", "expires_in": "soon"}, 900),
        ({"expires_in": -5}, 900),
        ({"expires_in": 0}, 900),
        ({"expires_in": True}, 900),
        ({"expires_in": 10**400}, 900),
        ({"token": jwt_with({"exp": NOW + 500})}, 500),
        ({"token": jwt_with({"exp": NOW + 90_500, "iat": NOW + 90_000})}, 500),
        ({"token": jwt_with({"exp": "never"})}, 900),
        ({"token": jwt_with({})}, 900),
        ({"token": "a.%%%.c"}, 900),
        ({"token": "a.b"}, 900),
    ],
)
def test_how_long_a_token_lasts(body: dict[str, Json], lifetime_s: float) -> None:
    """Every form of an end that an API may tell; what means nothing, or lies in the past, leaves it to the spec."""
    token = session_of().read_login(reply_of(200, {"token": "t", **body}), NOW)
    assert isinstance(token, Token)
    assert token.expires_at == pytest.approx(NOW + lifetime_s)


def test_an_end_is_told_by_the_servers_clock() -> None:
    """A server whose clock is an hour ahead means an end that is an hour ahead, too."""
    reply = reply_of(200, {"token": "t", "expires": NOW + 3700}, date="Tue, 14 Nov 2023 23:13:20 GMT")
    token = session_of().read_login(reply, NOW)
    assert isinstance(token, Token)
    assert token.expires_at == NOW + 100


@pytest.mark.parametrize(("lifetime_s", "ahead_s"), [(3600, 60), (300, 60), (100, 20), (1, 0.2)])
def test_a_short_life_is_not_renewed_all_the_time(lifetime_s: float, ahead_s: float) -> None:
    """Renewed ahead, but never so that a fresh token is due already."""
    token = session_of().read_login(reply_of(200, {"token": "t", "expires_in": lifetime_s}), NOW)
    assert isinstance(token, Token)
    assert token.expires_at - token.renew_at == pytest.approx(ahead_s)


@pytest.mark.parametrize("value", [None, "", "x", [], {}, True, "-5", "2023-13-01T00:00:00Z", "1e9", "9" * 16])
def test_what_is_no_moment(value: Json) -> None:
    """Nothing that a provider sends raises."""
    assert as_moment(value, NOW) is None


# --- where it goes, and what means that it is spent -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "credentials"),
    [
        ("", Credentials({"Authorization": "Bearer t"})),
        ('place = { header = "X-Session" }', Credentials({"X-Session": "t"})),
        ('place = { header = "X-Session", prefix = "S " }', Credentials({"X-Session": "S t"})),
        ('place = { query = "access_token" }', Credentials(query=(("access_token", "t"),))),
    ],
)
def test_where_a_token_goes(place: str, credentials: Credentials) -> None:
    """As a bearer token unless the spec says otherwise."""
    auth = LOGIN.replace("lifetime_s", f"{place}\nlifetime_s", 1)
    assert session_of(auth).credentials(Token("t", NOW, NOW)) == credentials


OWN = f"{BASE}/reports/1"


@pytest.mark.parametrize(
    ("renew", "reply", "spent"),
    [
        ("", reply_of(401, b"", OWN), True),
        ("", reply_of(403, b"", OWN), False),
        ("", reply_of(200, {"ok": True}, OWN), False),
        ("", reply_of(401, b"", "https://files.example.com/1"), False),
        ('renew = [{ status = 400, text = "(?i)token" }]', reply_of(400, b"Token is old", OWN), True),
        ('renew = [{ status = 400, text = "(?i)token" }]', reply_of(400, b"bad period", OWN), False),
        ('renew = [{ status = 400, text = "(?i)token" }]', reply_of(401, b"", OWN), False),
        (
            'renew = [{ status = 401 }, { status = "2xx", json = "logged_in == `false`" }]',
            reply_of(200, {"logged_in": False}, OWN),
            True,
        ),
        (
            'renew = [{ status = 200, header = { name = "X", regex = "no" } }]',
            reply_of(200, b"", OWN, x="no"),
            True,
        ),
    ],
)
def test_what_means_that_a_token_is_spent(renew: str, reply: WireReply, spent: bool) -> None:
    """Status 401 unless the spec says otherwise, and never a reply of another origin."""
    for auth in (LOGIN, CLIENT):
        session = session_of(auth.replace('"\n', f'"\n{renew}\n', 1))
        assert session.rejects_token(reply) is spent


def test_a_new_token_that_is_refused() -> None:
    """It is said what happened, in the provider's words; where the body has none, in the reason phrase."""
    session = session_of()
    reply = WireReply(401, {}, b"", OWN, phrase="Please renew your access_token")
    reason = "a new token was refused as well: HTTP 401: Please renew your access_token"
    assert session.refused(reply) == Unauthorized(reason)
    assert session.refused(reply_of(401, b"", OWN)).reason == "a new token was refused as well: HTTP 401"
