"""Wrong tokens: slowed and counted, in bounded memory, without shutting others out."""

import pytest

from tests.support.stored_jobs import StandingClock
from tests.web.protected_app import ADMIN, READ, Door
from tidewaiter.web.rate_limits import BURST, MOST_ADDRESSES, PER_S, TOTAL_BURST, TOTAL_PER_S, WrongTokenCounter

PROXIED = {"X_Forwarded_For": "198.51.100.7"}


def test_an_address_is_slowed_after_some_wrong_tokens() -> None:
    """Ten at once, then one every six seconds; another address is not concerned."""
    clock = StandingClock()
    guesses = WrongTokenCounter(clock)
    for _ in range(BURST):
        assert guesses.wait_s("a") == 0.0
        guesses.count_wrong("a")
    assert guesses.wait_s("a") == pytest.approx(1 / PER_S)
    assert guesses.wait_s("b") == 0.0
    clock.at += 1 / PER_S
    assert guesses.wait_s("a") == 0.0
    guesses.count_wrong("a")
    assert guesses.wait_s("a") > 0


def test_a_flood_from_many_addresses_is_slowed_in_total() -> None:
    """Once there are too many in all, one wrong token is enough for an address; one without any is not slowed."""
    clock = StandingClock()
    guesses = WrongTokenCounter(clock)
    for number in range(TOTAL_BURST):
        guesses.count_wrong(f"a-{number}")
    assert guesses.wait_s("a-1") > 0
    assert guesses.wait_s("fresh") == 0.0
    guesses.count_wrong("fresh")
    assert guesses.wait_s("fresh") > 0
    clock.at += TOTAL_BURST / TOTAL_PER_S
    assert guesses.wait_s("a-1") == 0.0


def test_memory_is_bounded() -> None:
    """However many addresses come, a bounded number is remembered: those that came last."""
    guesses = WrongTokenCounter(StandingClock())
    for number in range(2 * MOST_ADDRESSES):
        guesses.count_wrong(str(number))
    assert len(guesses._addresses) == MOST_ADDRESSES
    assert guesses.wait_s(str(2 * MOST_ADDRESSES - 1)) > 0


async def test_wrong_tokens_are_429_with_retry_after(door: Door) -> None:
    """After some 401 it is 429, for a right token too, in the header and at the sign-in; then it goes on."""
    for _ in range(BURST):
        assert (await door.knock(Authorization="Bearer wrong-wrong-wrong"))[0] == 401
    for token in ("wrong", ADMIN):
        status, headers, _ = await door.knock(Authorization=f"Bearer {token}")
        assert status == 429
        assert 1 <= int(headers["Retry-After"]) <= 10
    assert door.logged("access.slowed")[0]["remote"] == "127.0.0.1"
    with pytest.raises(Exception, match="too many wrong tokens"):
        door.access.sign_in(ADMIN, "127.0.0.1")
    assert (await door.knock(path="/healthz", Authorization="Bearer wrong"))[0] == 200
    assert (await door.knock())[0] == 401
    door.clock.at += 10.0
    assert (await door.knock(Authorization=f"Bearer {ADMIN}"))[0] == 200


async def test_a_session_is_not_slowed(door: Door) -> None:
    """A browser that is signed in goes on, whatever comes from its address."""
    cookie = f"tidewaiter_session={door.access.sign_in(READ)}"
    for _ in range(BURST + 2):
        await door.knock(Authorization="Bearer wrong")
    assert (await door.knock(Cookie=cookie))[0] == 200


async def test_right_tokens_behind_the_same_proxy_are_not_slowed(proxied: Door) -> None:
    """Behind a trusted proxy each caller counts by itself, whatever somebody makes up in the same header."""
    for number in range(BURST + 2):
        forged = {"X_Forwarded_For": f"203.0.113.{number}, 198.51.100.7"}
        await proxied.knock(Authorization="Bearer wrong", **forged)
    assert (await proxied.knock(Authorization=f"Bearer {ADMIN}", **PROXIED))[0] == 429
    assert (await proxied.knock(Authorization=f"Bearer {ADMIN}", X_Forwarded_For="198.51.100.8"))[0] == 200
    assert {one["remote"] for one in proxied.logged("access.slowed")} == {"198.51.100.7"}


async def test_without_a_trusted_proxy_the_header_says_nothing(door: Door) -> None:
    """Nobody gets around the limit by a header."""
    for number in range(BURST):
        await door.knock(Authorization="Bearer wrong", X_Forwarded_For=f"203.0.113.{number}")
    assert (await door.knock(Authorization=f"Bearer {ADMIN}", X_Forwarded_For="203.0.113.99"))[0] == 429
