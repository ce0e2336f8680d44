"""Pauses in a daemon: fingerprints, log events, and automatic start and end."""

import io
import json
from collections.abc import AsyncIterator, Callable
from random import Random

import pytest

from tests.support.log_lines import log_lines
from tests.support.stored_jobs import OWNER, StandingClock, Stores
from tidewaiter.database.account_store import AccountStore, PauseCause
from tidewaiter.database.engine import Database
from tidewaiter.domain.http_values import Json
from tidewaiter.log import configure
from tidewaiter.worker.account_pauses import TLS_PAUSE_S, Pauses, fingerprint_of, matches
from tidewaiter.worker.lease import Lease

SETTINGS: dict[str, Json] = {"server": "https://api.example.com", "token": "canary-77"}


@pytest.fixture
def clock() -> StandingClock:
    """The time, on SQLite also the database's."""
    return StandingClock()


@pytest.fixture
async def stores(sqlite_url: str, clock: StandingClock) -> AsyncIterator[Stores]:
    """A database with a lane of the account ``acme``."""
    database = Database.open(sqlite_url, clock)
    yield await Stores.set_up(database)
    await database.close()


@pytest.fixture
def output() -> io.StringIO:
    """What the daemons log."""
    return io.StringIO()


@pytest.fixture
def daemon(stores: Stores, clock: StandingClock, output: io.StringIO) -> Callable[..., Pauses]:
    """Another daemon's view of the pauses, with its own idea of the settings."""
    log = configure("json", "info", ["canary-77"], clock=clock, stream=output, strict=True)

    def daemon(**changed: Json) -> Pauses:
        return Pauses(AccountStore(stores.database), {"acme": SETTINGS | changed}, Random(3), log)

    return daemon


def _hold(stores: Stores, clock: StandingClock) -> Lease:
    return Lease(stores.lane.id, stores.lane.epoch, clock, 30.0)


def _told(output: io.StringIO) -> list[tuple[object, ...]]:
    lines = log_lines(output)
    return [(line["event"], line["level"], line.get("by"), line.get("reason")) for line in lines]


def test_a_fingerprint_knows_its_settings_and_shows_nothing() -> None:
    """The same settings match in any order, others do not; equal settings have different fingerprints."""
    one, other = fingerprint_of(SETTINGS, b"1" * 16), fingerprint_of(SETTINGS, b"2" * 16)
    assert one != other
    assert matches(one, dict(reversed(SETTINGS.items())))
    assert matches(other, SETTINGS)
    assert not matches(one, SETTINGS | {"token": "canary-78"})
    assert not matches(one, SETTINGS | {"server": "https://eu.example.com"})
    assert "canary" not in one


@pytest.mark.fault(26)
async def test_a_refusal_counts_at_once_and_is_written_in_the_next_round(
    stores: Stores, clock: StandingClock, daemon: Callable[..., Pauses], output: io.StringIO
) -> None:
    """The daemon that met it knows from now on; every other one knows after a round; each says so once, as an ERROR."""
    mine, theirs = daemon(), daemon()
    await mine.start()
    await theirs.start()
    mine.refuse("acme", PauseCause.CREDENTIALS, "HTTP 401", _hold(stores, clock))
    assert (mine.reason("acme"), theirs.reason("acme")) == ("HTTP 401", None)
    await theirs.refresh()
    assert theirs.reason("acme") is None
    for _ in range(3):
        await mine.refresh()
        await theirs.refresh()
    assert (mine.reason("acme"), theirs.reason("acme")) == ("HTTP 401", "HTTP 401")
    assert _told(output) == [("account.refused", "error", None, "HTTP 401")]  # the second is folded, they share a log


@pytest.mark.fault(26)
async def test_it_lasts_until_a_person_resumes(
    stores: Stores, clock: StandingClock, daemon: Callable[..., Pauses], output: io.StringIO
) -> None:
    """Neither time nor a restart with the same settings ends it; a person does, in every daemon."""
    mine = daemon()
    mine.refuse("acme", PauseCause.CREDENTIALS, "HTTP 401", _hold(stores, clock))
    await mine.refresh()
    clock.at += 86_400.0
    await mine.refresh()
    restarted = daemon()
    await restarted.start()
    assert (mine.reason("acme"), restarted.reason("acme")) == ("HTTP 401", "HTTP 401")
    await AccountStore(stores.database).resume("acme")
    await mine.refresh()
    await restarted.refresh()
    assert (mine.reason("acme"), restarted.reason("acme")) == (None, None)
    assert _told(output)[-1][:3] == ("account.resumed", "info", "credentials")


@pytest.mark.fault(26)
async def test_a_restart_with_other_settings_resumes(
    stores: Stores, clock: StandingClock, daemon: Callable[..., Pauses], output: io.StringIO
) -> None:
    """The key is repaired: a daemon that starts with it ends the pause, and the others see that."""
    old = daemon()
    old.refuse("acme", PauseCause.CREDENTIALS, "HTTP 401", _hold(stores, clock))
    await old.refresh()
    mended = daemon(token="new-key")
    await mended.start()
    await old.refresh()
    assert (mended.reason("acme"), old.reason("acme")) == (None, None)
    assert ("account.resumed", "info", "credentials", "the settings have changed") in _told(output)


async def test_a_persons_pause_outlives_a_restart_with_other_settings(
    stores: Stores, clock: StandingClock, daemon: Callable[..., Pauses], output: io.StringIO
) -> None:
    """The account was not paused because of its key."""
    await AccountStore(stores.database).pause("acme", "maintenance")
    changed = daemon(token="new-key")
    await changed.start()
    assert changed.reason("acme") == "maintenance"
    assert _told(output) == [("account.paused", "warning", "person", "maintenance")]
    assert json.loads(output.getvalue())["cause"] == "person"


@pytest.mark.fault(22)
async def test_a_failure_of_tls_is_tried_again(
    stores: Stores, clock: StandingClock, daemon: Callable[..., Pauses], output: io.StringIO
) -> None:
    """After five minutes the account resumes by itself; where TLS still fails it is paused again."""
    mine = daemon()
    for _ in range(2):
        mine.refuse("acme", PauseCause.TLS, "no safe connection", _hold(stores, clock))
        await mine.refresh()
        clock.at += TLS_PAUSE_S - 1
        await mine.refresh()
        assert mine.reason("acme") == "no safe connection"
        clock.at += 1
        await mine.refresh()
        assert mine.reason("acme") is None
    assert [line[0] for line in _told(output)] == ["account.paused", "account.resumed"] * 2


async def test_accounts_of_others_are_left_alone(
    stores: Stores, clock: StandingClock, daemon: Callable[..., Pauses], output: io.StringIO
) -> None:
    """A daemon that does not know an account says nothing of it, and ends nothing."""
    mine = daemon()
    mine.refuse("acme", PauseCause.CREDENTIALS, "HTTP 401", _hold(stores, clock))
    await mine.refresh()
    stranger = Pauses(AccountStore(stores.database), {"other": {}}, Random(3), mine._log)
    await stranger.start()
    assert stranger.reason("acme") is None
    assert (await AccountStore(stores.database).paused()).keys() == {"acme"}


async def test_nothing_secret_is_stored(
    stores: Stores, clock: StandingClock, sqlite_url: str, daemon: Callable[..., Pauses]
) -> None:
    """The database has a fingerprint, from which nobody reads the key."""
    mine = daemon()
    mine.refuse("acme", PauseCause.CREDENTIALS, "HTTP 401", _hold(stores, clock))
    await mine.refresh()
    (pause,) = (await AccountStore(stores.database).paused()).values()
    assert pause.fingerprint is not None
    assert pause.fingerprint.startswith("scrypt$")
    assert "canary" not in pause.fingerprint
    assert OWNER not in pause.reason


async def test_settings_that_change_meanwhile_resume(
    stores: Stores, clock: StandingClock, daemon: Callable[..., Pauses], output: io.StringIO
) -> None:
    """A daemon that is given other settings ends the pause for the old ones, as one that starts with them does."""
    mine = daemon()
    await mine.start()
    mine.refuse("acme", PauseCause.CREDENTIALS, "HTTP 401", _hold(stores, clock))
    await mine.refresh()
    await mine.apply_settings({"acme": SETTINGS, "other": {}})
    assert mine.reason("acme") == "HTTP 401"
    await mine.apply_settings({"acme": SETTINGS | {"token": "new-key"}})
    assert mine.reason("acme") is None
    assert ("account.resumed", "info", "credentials", "the settings have changed") in _told(output)


async def test_a_refusal_of_old_settings_is_forgotten(
    stores: Stores, clock: StandingClock, daemon: Callable[..., Pauses]
) -> None:
    """One that was not written yet says nothing of the new settings, and must not be noted as theirs."""
    mine = daemon()
    await mine.start()
    mine.refuse("acme", PauseCause.CREDENTIALS, "HTTP 401", _hold(stores, clock))
    await mine.apply_settings({"acme": SETTINGS | {"token": "new-key"}})
    await mine.refresh()
    assert mine.reason("acme") is None
    mine.refuse("acme", PauseCause.CREDENTIALS, "HTTP 401", _hold(stores, clock))
    await mine.apply_settings({})
    assert (await AccountStore(stores.database).paused()) == {}


async def test_a_person_s_pause_outlives_other_settings(stores: Stores, daemon: Callable[..., Pauses]) -> None:
    """Nobody but a person ends it, reloads included; a new account's is known as soon as the account is."""
    mine = daemon()
    await mine.start()
    for account in ("acme", "other"):
        await AccountStore(stores.database).pause(account, "maintenance")
    await mine.apply_settings({"acme": SETTINGS | {"token": "new-key"}, "other": {}})
    assert (mine.reason("acme"), mine.reason("other")) == ("maintenance", "maintenance")
