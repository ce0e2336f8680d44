"""Secret parameters on the command line: no command shows one, and the key is changed under them."""

import json
import sqlite3

import click
import pytest
from click.testing import CliRunner

from tests.cli.command_shell import CommandShell
from tests.cli.command_tree import EVERY
from tests.support.secret_spec import ACCOUNT, CANARY, write_spec
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.main import main
from tidewaiter.database.sealing import new_key

pytestmark = pytest.mark.usefixtures("migrated")

GIVEN = ("-p", "day=2026-01-31", "-p", f"password={CANARY}")
SPAN = ("--from", "2026-01-01", "--to", "2026-01-03", "--window", "1d", "-p", "day=${window.from}")
# They run until they are stopped or a job ends, ask a terminal or a daemon, write files, send requests, know no job.
LEFT_OUT = {"serve", "top", "demo", "emulate", "run", "healthcheck", "doctor", "completion", "config init", "db"}
LEFT_OUT |= {"batches wait", "providers test", "providers lint", "providers schema", "config schema", "submit"}
ARGUMENTS = {
    "jobs": "1",
    "schedules": "sealed",
    "backfills": "fill",
    "batches": "fill",
    "accounts": "safe",
    "providers": "vault",
}


def prepare(shell: CommandShell, *keys: str) -> None:
    """An account with secret parameters; with keys they are encrypted."""
    write_spec(shell.folder)
    more = f'[providers]\nfolders = ["specs"]\n{ACCOUNT}'
    if keys:
        (shell.folder / "db.key").write_text("\n".join(keys))
        (shell.folder / "db.key").chmod(0o600)
        more = f'[database]\nkey_file = "db.key"\n{more}'
    shell.config.write_text(f"{shell.config.read_text()}\n{more}")


@pytest.mark.slow
def test_no_command_shows_a_secret(shell: CommandShell) -> None:
    """Every command that a person may call about jobs, for people and as JSON, with the name of what has a secret."""
    prepare(shell, new_key())
    shown = shell("submit", "safe", "report", *GIVEN).output
    shown += shell(
        "backfill", "safe", "report", *SPAN, "-p", f"password={CANARY}", "--name", "fill", "--dry-run"
    ).output
    shown += shell("backfill", "safe", "report", *SPAN, "-p", f"password={CANARY}", "--name", "fill").output
    called = 0
    for path, command in EVERY.items():
        if " ".join(path) in LEFT_OUT or path[0] in LEFT_OUT or isinstance(command, click.Group):
            continue
        name = ARGUMENTS.get(path[0], "safe")
        needed = [one for one in command.params if isinstance(one, click.Argument) and one.required]
        for more in ([], ["--json"]):
            shown += CliRunner().invoke(main, [*path, *[name] * len(needed), *more], prog_name="tidewaiter").output
            called += 1
    assert called > 40
    assert '"password": "***"' in shown
    assert "password=***" in shown
    assert CANARY not in shown
    assert f'password = "{CANARY}"' in shell.config.read_text()


@pytest.mark.slow
def test_the_key_is_changed_under_secrets(shell: CommandShell) -> None:
    """Plain ones are encrypted, and decrypted on request; what no key decrypts is named. A retry has them still."""
    prepare(shell)
    shell("submit", "safe", "report", *GIVEN)
    shell("backfill", "safe", "report", *SPAN, "-p", f"password={CANARY}", "--name", "fill")

    def stored() -> str:
        with sqlite3.connect(shell.folder / "tidewaiter.db") as connection:
            rows = connection.execute("SELECT secrets FROM jobs UNION ALL SELECT secrets FROM backfills").fetchall()
        return str(rows)

    assert stored().count(CANARY) == 2
    warned = json.loads(shell("check-config", "--json").stdout)["warnings"]
    assert any("the secret parameters of report are stored unencrypted" in one["reason"] for one in warned)
    (shell.folder / "db.key").write_text(new_key())
    (shell.folder / "db.key").chmod(0o600)
    shell.config.write_text(
        shell.config.read_text().replace("[providers]", '[database]\nkey_file = "db.key"\n[providers]')
    )
    assert "stored unencrypted" not in shell("check-config").output
    assert "the secret parameters of 2 jobs and backfills are encrypted" in shell("db", "rekey").stdout
    assert (stored().count(CANARY), stored().count("sealed:1:")) == (0, 2)
    shell("db", "rekey", "--decrypt")
    assert stored().count(CANARY) == 2
    shell("db", "rekey")
    (shell.folder / "db.key").write_text(new_key())
    left = shell("db", "rekey", code=ExitCode.FAILED)
    assert "the secret parameters of 2 jobs and backfills cannot be decrypted by any key" in left.stderr
    shell("jobs", "cancel", "1")
