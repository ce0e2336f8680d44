"""``tidewaiter doctor``: its output, its exit codes, and that it can run beside a daemon."""

import json
import re

import pytest

from tests.cli.command_shell import CONFIG, CommandShell
from tests.cli.commands import wait_for
from tests.support.ports import free_port
from tidewaiter.cli.exit_codes import ExitCode

QUIET = """
[storage]
root = "landed"
"""


def checks(text: str) -> dict[str, str]:
    """The status of each check of a printed list; of several of a name the last."""
    return {check: status for status, check in re.findall(r"(?m)^(ok|info|warning|failure)\s+(\S+(?: \S+)?)  ", text)}


def test_a_healthy_place(shell: CommandShell) -> None:
    """Without accounts there is little to find: exit code 0, and a line for each check."""
    shell.config.write_text(QUIET)
    text = shell("doctor").stdout
    found = checks(text)
    assert found["configuration"] == "warning"
    assert found["database"] == "info"
    assert "fix: `tidewaiter config init`" in text
    assert re.search(r"(?m)^\d+ checks: 0 failures, \d warnings?$", text)
    assert not (shell.folder / "landed").exists()
    assert not (shell.folder / "tidewaiter.db").exists()


def test_a_dead_provider(shell: CommandShell) -> None:
    """A failure ends it with 1, and has one fix below it."""
    text = shell("doctor", code=ExitCode.FAILED).stdout
    assert re.search(
        r"(?m)^failure  tls +shop: 127\.0\.0\.1:9 accepts no connection: .*\n +fix: check that accounts", text
    )
    assert "Connection refused" in text


def test_as_json(shell: CommandShell) -> None:
    """Programs get an array of findings, each with the same members."""
    found = shell.json("doctor", code=ExitCode.FAILED)
    assert all(list(one) == ["check", "subject", "status", "message", "remedy", "seconds"] for one in found)
    (tls,) = (one for one in found if one["check"] == "tls")
    assert (tls["subject"], tls["status"]) == ("shop", "failure")
    assert all(one["remedy"] for one in found if one["status"] in ("failure", "warning"))


def test_a_configuration_that_is_wrong(shell: CommandShell) -> None:
    """Nothing else is tried: exit code 78, with every fault as a finding."""
    shell.config.write_text(CONFIG.replace('token = "canary-token"', "").replace("drain_s = 5", "drain = 5"))
    text = shell("doctor", code=ExitCode.CONFIG).stdout
    assert "worker.drain: is no known key; did you mean drain_s?" in text
    assert "accounts.shop.settings.token: is missing" in text
    assert "fix: correct it in tidewaiter.toml" in text
    found = shell.json("doctor", code=ExitCode.CONFIG)
    assert {one["check"] for one in found} == {"configuration"}
    shell.config.unlink()
    assert "there is no configuration" in shell("doctor", code=ExitCode.CONFIG).stderr


def test_an_account_that_there_is_not(shell: CommandShell) -> None:
    """It is told with those that there are."""
    assert "(there are: shop)" in shell("doctor", "--account", "shpo", code=ExitCode.USAGE).stderr


def test_warnings_about_one_account(shell: CommandShell) -> None:
    """With --account nothing is remarked of another's settings."""
    other = '[accounts.other]\nprovider = "symplify"\nallow_private = true\n[accounts.other.settings]\n'
    other += 'server = "http://127.0.0.1:9"\ncustomer_id = "1"\ntoken = "canary-other"\n'
    shell.config.write_text(CONFIG + other)
    subjects = {one["subject"] for one in shell.json("doctor", "--offline")}
    assert {"accounts.shop.allow_private", "accounts.other.allow_private"} <= subjects
    subjects = {one["subject"] for one in shell.json("doctor", "--offline", "--account", "shop")}
    assert "accounts.shop.allow_private" in subjects
    assert "accounts.other.allow_private" not in subjects


def test_offline(shell: CommandShell) -> None:
    """The dead provider is not asked."""
    assert "tls" not in checks(shell("doctor", "--offline").stdout)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_beside_a_daemon(emulated: CommandShell) -> None:
    """A daemon serves on while the doctor looks: it is found running, and its database and files are in order."""
    port = free_port()
    callbacks = f'[callbacks]\nlisten = "127.0.0.1:{port}"\npublic_url = "http://127.0.0.1:{port}"\n'
    emulated.config.write_text(emulated.config.read_text() + callbacks)
    with emulated.process("serve") as daemon:
        wait_for(daemon, "daemon.started")
        found = {(one["subject"], one["check"]): one for one in json.loads(emulated("doctor", "--json").stdout)}
        assert daemon.poll() is None
    assert found["database", "daemon"]["message"] == "a daemon is running"
    assert found["database", "database"]["status"] == "ok"
    assert found["storage", "storage"]["status"] in ("ok", "info")
    assert found["callbacks", "callbacks"]["status"] == "ok"
    assert found["shop", "account"]["status"] == "ok"
    assert found["shop", "tls"]["status"] == "ok"


@pytest.mark.slow
def test_a_key_without_a_probe(emulated: CommandShell) -> None:
    """The command that would test the key is printed, and it does; it needs the network."""
    assert "\n" + " " * 25 + "try: tidewaiter doctor --account shop --test-key\n" in emulated("doctor").stdout
    assert re.search(
        r"(?m)^ok +login +shop: the provider did not refuse the key: HTTP 404",
        emulated("doctor", "--account", "shop", "--test-key").stdout,
    )
    assert "--offline sends none" in emulated("doctor", "--offline", "--test-key", code=ExitCode.USAGE).stderr


def test_a_faulty_spec(shell: CommandShell) -> None:
    """It is a failure of its own accounts; everything else is checked, and for other accounts nothing is said of it."""
    (shell.folder / "specs").mkdir()
    (shell.folder / "specs" / "mine.toml").write_text('name = "mine"\ntitle = 5\n')
    more = '[accounts.own]\nprovider = "mine"\n[providers]\nfolders = ["specs"]\n'
    shell.config.write_text(shell.config.read_text() + more)
    text = shell("doctor", code=ExitCode.FAILED).stdout
    assert re.search(r"failure +configuration +title: must be text\n +fix: correct it in .*mine\.toml", text)
    assert "shop: 127.0.0.1:9 accepts no connection" in text
    other = shell("doctor", "--account", "shop", code=ExitCode.FAILED).stdout
    assert "must be text" not in other
    shell.config.write_text(shell.config.read_text().replace("drain_s = 5", "drain_s = 5\nlease_x = 1"))
    assert "lease_x" in shell("doctor", code=ExitCode.CONFIG).stdout
