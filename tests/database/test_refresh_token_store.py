"""The refresh tokens on both databases: one renewal at a time, and none that sends a token twice unasked."""

import asyncio

import pytest
from sqlalchemy import text

from tests.support.stored_jobs import NOW, StandingClock
from tidewaiter.database.engine import Database
from tidewaiter.database.refresh_token_store import (
    LONGEST_RENEWAL_S,
    Beginning,
    Begun,
    Busy,
    EndUnknown,
    Outdated,
    RefreshTokenStore,
    StoredToken,
    Unreadable,
)
from tidewaiter.database.sealing import Seal, new_key
from tidewaiter.transport.wire import Timeouts

KEY = new_key()


@pytest.fixture
def store(database: Database) -> RefreshTokenStore:
    """The tokens, with a key."""
    return RefreshTokenStore(database, Seal([KEY]))


async def _begin(store: RefreshTokenStore, configured: str = "rt-0", *, reuse: bool = False) -> Beginning:
    return await store.begin("shop", configured, reuse=reuse)


async def _begun(store: RefreshTokenStore, configured: str = "rt-0") -> int:
    begun = await _begin(store, configured)
    assert isinstance(begun, Begun)
    assert await store.depart("shop", begun.version)
    return begun.version


async def test_a_mark_that_has_not_departed(store: RefreshTokenStore, database: Database) -> None:
    """The token was not sent: when the mark is old, the next renewal has it, and the first one cannot depart."""
    first = await _begin(store)
    assert isinstance(first, Begun)
    assert await _begin(store) == Busy()
    await _age(database, LONGEST_RENEWAL_S + 5)
    second = await _begin(store)
    assert isinstance(second, Begun)
    assert (second.token, second.version) == (first.token, first.version + 1)
    assert not await store.depart("shop", first.version)
    assert await store.depart("shop", second.version)
    assert not await store.depart("shop", second.version), "once"


async def _age(database: Database, seconds: float) -> None:
    """Make every mark older."""
    async with database.writing() as connection:
        older = text("UPDATE refresh_tokens SET renewing_since = renewing_since - :seconds")
        await connection.execute(older, {"seconds": float(seconds)})


def test_a_request_ends_before_its_mark_is_old() -> None:
    """A renewal under way is never taken for one that a dead process left."""
    assert Timeouts().overall_s + Timeouts().connect_s < LONGEST_RENEWAL_S


async def test_renewals_follow_each_other(store: RefreshTokenStore, database: Database) -> None:
    """Each sends the token of the one before; the configured one is only the first."""
    assert await _begin(store) == Begun("rt-0", 1)
    assert await store.finish("shop", 1, "rt-1")
    assert await _begin(store) == Begun("rt-1", 2)
    assert await store.finish("shop", 2, None), "the provider has given no new one"
    assert await _begin(store) == Begun("rt-1", 3)
    async with database.reading() as connection:
        everything = str((await connection.execute(text("SELECT * FROM refresh_tokens"))).all())
    assert "rt-" not in everything


async def test_two_begin_at_once(store: RefreshTokenStore) -> None:
    """On an empty table and on a row: one of many may send the token."""
    for number in range(2):
        begun = await asyncio.gather(*(_begin(store) for _ in range(4)))
        assert sorted(type(one).__name__ for one in begun) == ["Begun", "Busy", "Busy", "Busy"]
        assert await store.finish("shop", number + 1, f"rt-{number + 1}")


async def test_a_mark_without_an_end(store: RefreshTokenStore, database: Database) -> None:
    """Others wait as long as a request may take, then a person decides."""
    await _begun(store)
    assert await _begin(store) == Busy()
    assert not await store.resume("shop"), "it may be under way"
    await _age(database, LONGEST_RENEWAL_S - 5)
    assert await _begin(store) == Busy()
    await _age(database, 5)
    assert await _begin(store) == EndUnknown()
    assert await _begin(store) == EndUnknown()
    assert await store.resume("shop")
    assert not await store.resume("shop")
    assert await _begin(store) == Begun("rt-0", 3)


async def test_a_clock_that_was_set_back(store: RefreshTokenStore, database: Database) -> None:
    """A mark of the future does not make everybody wait until then."""
    await _begun(store)
    await _age(database, -LONGEST_RENEWAL_S - 5)
    assert await _begin(store) == EndUnknown()
    assert await store.resume("shop")


async def test_an_end_that_is_known_to_be_unknown(store: RefreshTokenStore) -> None:
    """Nobody waits for it."""
    await store.leave_unknown("shop", await _begun(store))
    assert await _begin(store) == EndUnknown()
    assert await store.resume("shop")
    assert isinstance(await _begin(store), Begun)


async def test_a_provider_that_accepts_old_tokens(store: RefreshTokenStore) -> None:
    """Then nobody has to decide; but two still do not renew at once."""
    version = await _begun(store)
    assert await _begin(store, reuse=True) == Busy()
    await store.leave_unknown("shop", version)
    assert await _begin(store, reuse=True) == Begun("rt-0", version + 1)


async def test_a_newly_configured_token(store: RefreshTokenStore, database: Database) -> None:
    """It replaces the stored one at once, also after an unknown end."""
    await store.finish("shop", await _begun(store), "rt-1")
    await store.leave_unknown("shop", await _begun(store))
    assert await _begin(store, "new-0") == Begun("new-0", 3, replaced=True)
    assert await store.finish("shop", 3, "new-1")
    assert await _begin(store, "new-0") == Begun("new-1", 4)


async def test_a_process_with_an_older_configuration(store: RefreshTokenStore) -> None:
    """It does not bring back a token that gave way, or two daemons would replace each other's for ever."""
    old = await _begun(store)
    assert isinstance(await _begin(store, "new-0"), Begun)
    assert not await store.finish("shop", old, "rt-1"), "what it still gets is of the old token"
    await store.leave_unknown("shop", old)
    assert await _begin(store) == Outdated()
    assert await store.finish("shop", 2, "new-1")
    assert await _begin(store) == Outdated()
    assert await _begin(store, "new-0") == Begun("new-1", 3)


async def test_a_renewal_that_took_too_long(store: RefreshTokenStore, database: Database) -> None:
    """A person has decided in the meantime: its end changes nothing."""
    version = await _begun(store)
    await _age(database, LONGEST_RENEWAL_S)
    assert await store.resume("shop")
    assert not await store.finish("shop", version, "rt-late")
    assert await _begin(store) == Begun("rt-0", version + 2)


async def test_a_repeated_end(store: RefreshTokenStore) -> None:
    """A commit whose acknowledgement was lost is done again, with the same result."""
    version = await _begun(store)
    assert await store.finish("shop", version, "rt-1")
    assert await store.finish("shop", version, "rt-1")
    assert not await store.finish("shop", version, "rt-2")
    version = await _begun(store)
    assert await store.finish("shop", version, None)
    assert await store.finish("shop", version, None)


async def test_accounts_have_their_own(store: RefreshTokenStore, clock: StandingClock, database: Database) -> None:
    """And each says since when."""
    await store.finish("shop", await _begun(store), "rt-1")
    assert await store.begin("other", "rt-0", reuse=False) == Begun("rt-0", 1)
    stored = await store.stored()
    assert {name: one.renewing for name, one in stored.items()} == {"other": True, "shop": False}
    if database.dialect == "sqlite":
        assert stored["shop"] == StoredToken(NOW, False)


async def test_without_the_key(store: RefreshTokenStore, database: Database) -> None:
    """Nothing is stored as plain text, and a token of another key is not replaced by the configured one."""
    with pytest.raises(ValueError, match="no key"):
        await RefreshTokenStore(database, Seal()).begin("shop", "rt-0", reuse=False)
    await store.finish("shop", await _begun(store), "rt-1")
    other = RefreshTokenStore(database, Seal([new_key()]))
    assert await other.begin("shop", "rt-0", reuse=False) == Unreadable()
    assert await _begin(store) == Begun("rt-1", 2)
