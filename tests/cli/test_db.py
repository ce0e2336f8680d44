"""``tidewaiter db``: the keys that encrypt what is in the database."""

import asyncio
import sqlite3
from pathlib import Path

from tests.cli.command_folder import CONFIG, CommandFolder
from tests.support.stored_jobs import Scene
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.sealing import Seal, new_key
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import Link

SIGNED = Link("https://files.example/1.csv?sig=canary-signature", "1.csv")


async def _fetching(url: str, *keys: str) -> None:
    database = Database.open(url, SystemClock())
    try:
        scene = await Scene.set_up(database)
        scene.jobs = JobStore(database, seal=Seal(keys))
        await scene.accepted(await scene.polling("r-1"), o.Ready((SIGNED,)))
    finally:
        await database.close()


def _links(file: Path) -> str:
    with sqlite3.connect(file) as connection:
        ((links,),) = connection.execute("SELECT links FROM jobs")
    return str(links)


def test_keys_from_the_first_to_the_last(place: CommandFolder, tmp_path: Path) -> None:
    """A key is made, links are encrypted, the key is changed, and encryption is left again; no command prints any."""
    file, url = tmp_path / "tidewaiter.db", f"sqlite:///{tmp_path}/tidewaiter.db"
    old = place("db", "new-key").stdout.strip()
    assert old != place("db", "new-key").stdout.strip()
    place("db", "upgrade")
    asyncio.run(_fetching(url))
    place.config.write_text(f'{CONFIG}\n[database]\nkey_file = "links.key"\n')

    (tmp_path / "links.key").write_text(f"{old}\n")
    assert "the links of 1 job are encrypted with the first key now" in place("db", "rekey").stdout
    first = _links(file)
    assert "canary" not in first
    new = new_key()
    (tmp_path / "links.key").write_text(f"{new}\n{old}\n")
    assert place("db", "rekey", "--json").stdout.split() == ["{", '"written":', "1,", '"unreadable":', "0", "}"]
    (tmp_path / "links.key").write_text(old)
    left = place("db", "rekey", code=ExitCode.FAILED)
    assert "the links of 1 job are left, which no key decrypts" in left.stderr
    assert _links(file) != first
    (tmp_path / "links.key").write_text(new)
    place("db", "rekey", "--decrypt")
    assert SIGNED.url in _links(file)
    shown = place("config", "show").stdout + place("jobs", "show", "1", code=0).stdout + place("jobs", "list").stdout
    assert "canary-signature" not in shown
    assert new not in shown


def test_without_a_key_nothing_is_rewritten(place: CommandFolder) -> None:
    """The command says how to get one."""
    place("db", "upgrade")
    result = place("db", "rekey", code=ExitCode.CONFIG)
    assert "make one with `tidewaiter db new-key`, and name it in database.key_file" in result.stderr


def test_a_key_that_is_none_is_told_without_it(place: CommandFolder, tmp_path: Path) -> None:
    """Missing, wrong, or too open: with the file, the key and what to do, and never with what is in it."""
    place.config.write_text(f'{CONFIG}\n[database]\nkey_file = "links.key"\n')
    missing = place("check-config", code=ExitCode.CONFIG)
    assert f"database.key_file: {tmp_path / 'links.key'} cannot be read: No such file or directory" in missing.stderr
    for wrong in ("canary-no-key", f"{new_key()} canary", new_key()[:-1]):
        (tmp_path / "links.key").write_text(wrong)
        told = place("check-config", code=ExitCode.CONFIG).stderr
        assert "must hold one or more keys, one per line, each 32 bytes in URL-safe Base64" in told
        assert "make one with: tidewaiter db new-key" in told
        assert wrong.split()[0] not in told
    (tmp_path / "links.key").write_text(f"{new_key()}\n{new_key()}")
    (tmp_path / "links.key").chmod(0o644)
    assert "every user of this machine may read it; chmod o-r" in place("check-config").stderr
    (tmp_path / "links.key").chmod(0o600)
    assert "links.key" not in place("check-config").stderr
