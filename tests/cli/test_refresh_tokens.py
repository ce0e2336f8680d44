"""Accounts whose logins replace the refresh token: what the commands say about them, and never the token."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.cli.command_shell import CommandShell
from tests.support.token_server import SPEC
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.refresh_token_store import Beginning, Begun, EndUnknown, RefreshTokenStore
from tidewaiter.database.sealing import Seal, new_key

KEY = new_key()
CONFIG = """
[storage]
root = "landed"
[providers]
folders = ["specs"]
[accounts.shop]
provider = "rotating"
[accounts.shop.settings]
server = "https://api.example"
login = "canary-rt-0"
"""
KEYED = CONFIG + '[database]\nkey_file = "tidewaiter.key"\n'


@pytest.fixture
def rotating(shell: CommandShell) -> CommandShell:
    """A configuration with such an account, and a key."""
    (shell.folder / "specs").mkdir()
    (shell.folder / "specs" / "rotating.toml").write_text(SPEC)
    (shell.folder / "tidewaiter.key").write_text(KEY)
    (shell.folder / "tidewaiter.key").chmod(0o600)
    shell.config.write_text(KEYED)
    return shell


def _begin(shell: CommandShell) -> Beginning:
    """A renewal begins, as in a daemon."""

    async def begin() -> Beginning:
        database = Database.open(f"sqlite:///{shell.folder / 'tidewaiter.db'}", SystemClock())
        try:
            return await RefreshTokenStore(database, Seal([KEY])).begin("shop", "canary-rt-0", reuse=False)
        finally:
            await database.close()

    return asyncio.run(begin())


def _end(shell: CommandShell, version: int, token: str | None) -> None:
    async def end() -> None:
        database = Database.open(f"sqlite:///{shell.folder / 'tidewaiter.db'}", SystemClock())
        try:
            store = RefreshTokenStore(database, Seal([KEY]))
            if token is None:
                await store.leave_unknown("shop", version)
            else:
                await store.finish("shop", version, token)
        finally:
            await database.close()

    asyncio.run(end())


def test_without_a_key(rotating: CommandShell) -> None:
    """The configuration is refused, with how to make a key; with it there is no fault."""
    assert "no fault" in rotating("check-config").stdout
    rotating.config.write_text(CONFIG)
    fault = rotating("check-config", code=ExitCode.CONFIG).stderr
    assert "accounts.shop.settings: its provider gives a new refresh token with each login" in fault
    assert "tidewaiter db new-key | install -m 0600 /dev/stdin tidewaiter.key" in fault
    assert 'key_file = "tidewaiter.key" in [database]' in fault
    spec = rotating.folder / "specs" / "rotating.toml"
    spec.write_text(SPEC.replace("rotates = true", "rotates = false"))
    assert "no fault" in rotating("check-config").stdout


def test_since_when_an_account_has_its_token(rotating: CommandShell) -> None:
    """In the list and in JSON, and never the token."""
    rotating("db", "upgrade")
    assert rotating.json("accounts", "list")["accounts"][0]["refresh_token_at"] is None
    assert "refresh token" not in rotating("accounts", "list").stdout
    begun = _begin(rotating)
    assert isinstance(begun, Begun)
    _end(rotating, begun.version, "canary-rt-1")
    (shop,) = rotating.json("accounts", "list")["accounts"]
    age_s = (datetime.now(UTC) - datetime.fromisoformat(shop["refresh_token_at"])).total_seconds()
    assert 0 <= age_s < 60
    shown = rotating("accounts", "list").stdout
    assert "refresh" in shown
    assert "canary" not in shown


def test_a_person_permits_another_try(rotating: CommandShell) -> None:
    """Resuming ends the doubt about a renewal, whether the account was paused for it yet or not."""
    rotating("db", "upgrade")
    begun = _begin(rotating)
    assert isinstance(begun, Begun)
    assert "resume it again in 3 minutes" in rotating("accounts", "resume", "shop").stdout
    _end(rotating, begun.version, None)
    assert _begin(rotating) == EndUnknown()
    resumed = rotating("accounts", "resume", "shop").stdout
    assert resumed == "its refresh token, which may have been used, is tried with the next login of account shop\n"
    assert rotating.json("accounts", "resume", "shop")["tries_refresh_token"] is False
    assert isinstance(_begin(rotating), Begun)
