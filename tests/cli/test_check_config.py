"""``tidewaiter check-config`` reports all faults at once, works offline, and creates no files."""

import json

import pytest

from tests.cli.command_shell import CONFIG, CommandShell
from tidewaiter.cli.exit_codes import ExitCode

SCHEDULE = """
[schedules.nightly]
account = "shop"
operation = "statistics"
cron = "15 4 * * *"
params = { export_type = "OPENS", period = "LAST_DAY" }
[callbacks]
listen = "127.0.0.1:8091"
public_url = "https://tide.example"
"""


def test_nothing_is_wrong(shell: CommandShell) -> None:
    """One line sums up the configuration; neither a database nor a folder for files is created."""
    shell.config.write_text(CONFIG + SCHEDULE)
    result = shell("check-config")
    assert result.stdout.startswith("tidewaiter.toml: no fault: ")
    assert "1 account" in result.stdout
    assert "1 schedule" in result.stdout
    assert result.stdout.endswith("listens: 127.0.0.1:8091 (callbacks)\n")
    assert [path.name for path in shell.folder.iterdir()] == ["tidewaiter.toml"]


def test_files_that_may_be_sent_need_a_folder(shell: CommandShell) -> None:
    """An account whose provider is sent files, and that names no folder of them, gets a warning."""
    account = '\n[accounts.batches]\nprovider = "openai-batch"\nsettings = { key = "canary-key" }\n'
    shell.config.write_text(CONFIG + account)
    warnings = shell("check-config").stderr
    assert "accounts.batches.uploads: an operation of its provider sends files, and no folder is named" in warnings
    assert "accounts.shop.uploads" not in warnings
    shell.config.write_text(CONFIG + account.replace("settings", 'uploads = ["in"]\nsettings'))
    assert "uploads" not in shell("check-config").stderr


@pytest.mark.parametrize(("shards", "spacing_s", "warned"), [(2, 1.5, True), (1, 1.5, False), (2, 0.0, False)])
def test_spacing_with_several_lanes(shell: CommandShell, shards: int, spacing_s: float, warned: bool) -> None:
    """Lanes of two daemons cannot keep a spacing between them, so a warning says what they do keep."""
    several = CONFIG.replace("[accounts.shop]\n", f"[accounts.shop]\nshards = {shards}\n")
    limits = f"[accounts.shop.limits]\nspacing_s = {spacing_s}\n"
    shell.config.write_text(several.replace("[accounts.shop.limits]\n", limits))
    warnings = shell("check-config").stderr
    assert ("accounts.shop.shards: each of the 2 lanes sends 3 s apart" in warnings) is warned


def test_more_lanes_than_a_limit_has_shares(shell: CommandShell) -> None:
    """Each lane of an account needs a share of its limits; a smaller one would be exceeded."""
    few = CONFIG.replace("[accounts.shop]\n", "[accounts.shop]\nshards = 8\n")
    shell.config.write_text(few.replace("[accounts.shop.limits]\n", "[accounts.shop.limits]\nremote_jobs = 5\n"))
    fault = shell("check-config", code=ExitCode.CONFIG).stderr
    assert "accounts.shop.shards: 8 lanes cannot share a limit of 5 (remote_jobs): use 5 or fewer" in fault
    shell.config.write_text(few)
    assert "no fault" in shell("check-config").stdout


def test_every_fault_at_once(shell: CommandShell) -> None:
    """Faults of tables, of secret files, of the spec and of schedules are told together, each with its key."""
    shell.config.write_text(
        CONFIG.replace('token = "canary-token"', 'token_file = "gone"\nsevrer = "canary"')
        .replace("drain_s = 5", "drain_s = -5")
        .replace('customer_id = "5004"', "")
        + SCHEDULE.replace("statistics", "nonsense")
    )
    result = shell("check-config", code=ExitCode.CONFIG)
    assert result.stdout == ""
    for key in (
        "worker.drain_s",
        "accounts.shop.settings.token_file",
        "accounts.shop.settings.sevrer",
        "accounts.shop.settings.customer_id",
    ):
        assert f"tidewaiter: tidewaiter.toml: {key}: " in result.stderr
    assert "canary" not in result.stderr


def test_one_account_hides_no_fault_of_another(shell: CommandShell) -> None:
    """Each account is checked by itself, and each schedule whose account is sound; of others' nothing is made up."""
    shell.config.write_text(
        CONFIG
        + SCHEDULE.replace('period = "LAST_DAY"', 'perod = "X"').replace("OPENS", "NO")
        + '[accounts.mistyped]\nprovider = "symplfy"\n[accounts.bare]\nprovider = "symplify"\n'
        + '[schedules.of-the-bare]\naccount = "bare"\noperation = "any"\ncron = "0 5 * * *"\n'
        + '[schedules.of-nobody]\naccount = "nobody"\noperation = "any"\ncron = "0 5 * * *"\n'
    )
    output = shell("check-config", code=ExitCode.CONFIG).stderr
    assert "accounts.mistyped.provider: there is no provider 'symplfy'; did you mean symplify?" in output
    assert "accounts.bare.settings.server: is missing" in output
    assert "schedules.nightly.params.perod: unknown parameter (did you mean period?" in output
    assert "schedules.nightly.params.export_type: 'NO' is not permitted" in output
    assert "schedules.of-nobody.account: 'nobody' is no configured account (configured: bare, mistyped, shop)" in output
    assert "of-the-bare" not in output


def test_a_schedule_that_fits_no_operation(shell: CommandShell) -> None:
    """What only several tables together show is found, too."""
    shell.config.write_text(CONFIG + SCHEDULE.replace("statistics", "nonsense"))
    assert "schedules.nightly.operation: 'nonsense' is no operation" in shell("check-config", code=78).stderr


def test_warnings(shell: CommandShell) -> None:
    """They are told and do no harm, unless somebody wants them to."""
    shell.config.chmod(0o644)
    result = shell("check-config")
    assert "warning: tidewaiter.toml: accounts.shop.allow_private: " in result.stderr
    assert "chmod o-r tidewaiter.toml" in result.stderr
    assert "warning: " in shell("check-config", "--strict", code=ExitCode.CONFIG).stderr


def test_as_json(shell: CommandShell) -> None:
    """Programs get faults and warnings with their parts, and a summary where nothing is wrong."""
    shell.config.chmod(0o600)
    found = shell.json("check-config")
    assert (found["ok"], found["faults"]) == (True, [])
    assert [one["key"] for one in found["warnings"]] == ["accounts.shop.allow_private"]
    assert found["summary"]["accounts"] == 1
    assert found["summary"]["listens"] == {}
    assert not shell.json("check-config", "--strict", code=78)["ok"]
    shell.config.write_text("[wroker]\na = 1")
    found = shell.json("check-config", code=78)
    assert found["summary"] is None
    assert found["faults"] == [
        {"origin": "tidewaiter.toml", "key": "wroker", "reason": "is no known key; did you mean worker?"}
    ]


def test_a_file_of_another_name(shell: CommandShell) -> None:
    """The file may be named; one that is not there is a fault of the configuration."""
    other = shell.folder / "other.toml"
    shell.config.rename(other)
    assert "other.toml: no fault" in shell("check-config", str(other)).stdout
    assert "gone.toml: cannot be read" in shell("check-config", "gone.toml", code=78).stderr
    assert "there is no configuration" in shell("check-config", code=78).stderr
    assert json.loads(shell("check-config", "gone.toml", "--json", code=78).stdout)["ok"] is False


def test_a_missing_secret_is_reported(shell: CommandShell) -> None:
    """A key that is called token is no secret itself: what is wrong with it is said, here and by every command."""
    shell.config.write_text(CONFIG.replace('token = "canary-token"', ""))
    for command in (("check-config",), ("jobs", "list")):
        assert "accounts.shop.settings.token: is missing where auth is token" in shell(*command, code=78).stderr
