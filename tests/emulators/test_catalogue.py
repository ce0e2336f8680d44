"""Each catalogue entry builds servers that run and an account that the program accepts."""

import dataclasses
import tomllib
from contextlib import AsyncExitStack

import pytest

from tests.emulators.manual_clock import ManualClock
from tidewaiter.cli.emulate import account_table
from tidewaiter.emulators.catalogue import CATALOGUE


@pytest.mark.parametrize("name", CATALOGUE)
async def test_an_entry_serves(name: str, clock: ManualClock) -> None:
    """Its servers start, have something to be asked for, and their account is written as TOML that reads the same."""
    entry = CATALOGUE[name]
    served = entry.build(clock, 0, entry.options())
    async with AsyncExitStack() as stack:
        for server in served.servers.values():
            await stack.enter_async_context(server)
        account = served.account()
        table = tomllib.loads(account_table("emulated", account))
    written = table["accounts"]["emulated"]
    assert (written["provider"], written["settings"]) == (name, account.settings)
    assert written.get("schedule", {}) == account.schedule
    assert account.secrets <= set(account.settings)
    assert served.samples


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_option_of_an_entry_has_a_default(name: str) -> None:
    """An emulator starts without being told anything."""
    options = CATALOGUE[name].options
    assert dataclasses.asdict(options())


def test_secrets_in_files(clock: ManualClock) -> None:
    """A setting that is read from a file stands there as its path, and its value nowhere."""
    entry = CATALOGUE["symplify"]
    served = entry.build(clock, 8100, entry.options(token="s3cret"))
    table = account_table("shop", served.account(), {"token": "shop-token"})
    assert "s3cret" not in table
    assert tomllib.loads(table)["accounts"]["shop"]["settings"]["token_file"] == "shop-token"
