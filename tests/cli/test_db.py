"""``tidewaiter db``: the keys that encrypt links in the database."""

import asyncio
import json
import sqlite3
from pathlib import Path

from tests.cli.command_shell import CONFIG, CommandShell
from tests.support.stored_jobs import Stores
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.refresh_token_store import Beginning, Begun, RefreshTokenStore, Unreadable
from tidewaiter.database.sealing import Seal, new_key
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import Link

SIGNED = Link("https://files.example/1.csv?sig=canary-signature", "1.csv")


async def _fetching(url: str, *keys: str) -> None:
    database = Database.open(url, SystemClock())
    try:
        stores = await Stores.set_up(database)
        stores.jobs = JobStore(database, seal=Seal(keys))
        await stores.accepted(await stores.polling("r-1"), o.Ready((SIGNED,)))
    finally:
        await database.close()


def _links(file: Path) -> str:
    with sqlite3.connect(file) as connection:
        ((links,),) = connection.execute("SELECT links FROM jobs")
    return str(links)


def test_keys_from_the_first_to_the_last(shell: CommandShell, tmp_path: Path) -> None:
    """A key is made, links are encrypted, the key is changed, and encryption is left again; no command prints any."""
    file, url = tmp_path / "tidewaiter.db", f"sqlite:///{tmp_path}/tidewaiter.db"
    old = shell("db", "new-key").stdout.strip()
    assert old != shell("db", "new-key").stdout.strip()
    shell("db", "upgrade")
    asyncio.run(_fetching(url))
    shell.config.write_text(f'{CONFIG}\n[database]\nkey_file = "links.key"\n')

    (tmp_path / "links.key").write_text(f"{old}\n")
    assert "the links of 1 job are encrypted with the first key now" in shell("db", "rekey").stdout
    first = _links(file)
    assert "canary" not in first
    new = new_key()
    (tmp_path / "links.key").write_text(f"{new}\n{old}\n")
    counts = {"written": 1, "unreadable": 0, "refresh_tokens": 0, "unreadable_refresh_tokens": 0}
    counts |= {"secret_parameters": 0, "unreadable_secret_parameters": 0}
    assert json.loads(shell("db", "rekey", "--json").stdout) == counts
    (tmp_path / "links.key").write_text(old)
    left = shell("db", "rekey", code=ExitCode.FAILED)
    assert "the links of 1 job cannot be decrypted by any key" in left.stderr
    assert _links(file) != first
    (tmp_path / "links.key").write_text(new)
    shell("db", "rekey", "--decrypt")
    assert SIGNED.url in _links(file)
    shown = shell("config", "show").stdout + shell("jobs", "show", "1", code=0).stdout + shell("jobs", "list").stdout
    assert "canary-signature" not in shown
    assert new not in shown


def test_refresh_tokens_stay_encrypted(shell: CommandShell, tmp_path: Path) -> None:
    """A change of keys takes them along, and they never become plain text."""

    async def renewed(*keys: str) -> Beginning:
        database = Database.open(f"sqlite:///{tmp_path / 'tidewaiter.db'}", SystemClock())
        try:
            store = RefreshTokenStore(database, Seal(keys))
            begun = await store.begin("shop", "canary-0", reuse=False)
            if isinstance(begun, Begun):
                await store.finish("shop", begun.version, "canary-1")
            return begun
        finally:
            await database.close()

    old, new = new_key(), new_key()
    (tmp_path / "links.key").write_text(f"{new}\n{old}\n")
    shell.config.write_text(f'{CONFIG}\n[database]\nkey_file = "links.key"\n')
    shell("db", "upgrade")
    assert asyncio.run(renewed(old)) == Begun("canary-0", 1)
    assert asyncio.run(renewed(new)) == Unreadable()
    assert "1 refresh token encrypted with the first key\n" in shell("db", "rekey").stdout
    assert asyncio.run(renewed(new)) == Begun("canary-1", 2)
    (tmp_path / "links.key").write_text(new)
    assert "1 refresh token encrypted with the first key, so keep the key" in shell("db", "rekey", "--decrypt").stdout
    assert asyncio.run(renewed(new)) == Begun("canary-1", 3)
    (tmp_path / "links.key").write_text(new_key())
    left = shell("db", "rekey", code=ExitCode.FAILED)
    assert "1 refresh token cannot be decrypted by any key" in left.stderr
    assert b"canary" not in (tmp_path / "tidewaiter.db").read_bytes()


def test_without_a_key_nothing_is_rewritten(shell: CommandShell) -> None:
    """The command says how to get one."""
    shell("db", "upgrade")
    result = shell("db", "rekey", code=ExitCode.CONFIG)
    assert "make one with `tidewaiter db new-key`, and name it in database.key_file" in result.stderr


def test_an_invalid_key_is_reported_without_it(shell: CommandShell, tmp_path: Path) -> None:
    """Missing, wrong, or too open: with the file, the key and what to do, and never with what is in it."""
    shell.config.write_text(f'{CONFIG}\n[database]\nkey_file = "links.key"\n')
    missing = shell("check-config", code=ExitCode.CONFIG)
    assert f"database.key_file: {tmp_path / 'links.key'} cannot be read: No such file or directory" in missing.stderr
    for wrong in ("canary-no-key", f"{new_key()} canary", new_key()[:-1]):
        (tmp_path / "links.key").write_text(wrong)
        output = shell("check-config", code=ExitCode.CONFIG).stderr
        assert "must hold one or more keys, one per line, each 32 bytes in URL-safe Base64" in output
        assert "make one with: tidewaiter db new-key" in output
        assert wrong.split()[0] not in output
    (tmp_path / "links.key").write_text(f"{new_key()}\n{new_key()}")
    (tmp_path / "links.key").chmod(0o644)
    assert "every user of this machine may read it; chmod o-r" in shell("check-config").stderr
    (tmp_path / "links.key").chmod(0o600)
    assert "links.key" not in shell("check-config").stderr
