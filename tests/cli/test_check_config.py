"""``tidewaiter check-config``: every fault at once, offline, and nothing is made on the way."""

import json

from tests.cli.command_folder import CONFIG, CommandFolder
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


def test_nothing_is_wrong(place: CommandFolder) -> None:
    """One line says what there is; neither a database nor a folder for files is made."""
    place.config.write_text(CONFIG + SCHEDULE)
    result = place("check-config")
    assert result.stdout.startswith("tidewaiter.toml: no fault: ")
    assert "1 account" in result.stdout
    assert "1 schedule" in result.stdout
    assert result.stdout.endswith("listens: 127.0.0.1:8091 (callbacks)\n")
    assert [path.name for path in place.folder.iterdir()] == ["tidewaiter.toml"]


def test_every_fault_at_once(place: CommandFolder) -> None:
    """Faults of tables, of secret files, of the spec and of schedules are told together, each with its key."""
    place.config.write_text(
        CONFIG.replace('token = "canary-token"', 'token_file = "gone"\nsevrer = "canary"')
        .replace("drain_s = 5", "drain_s = -5")
        .replace('customer_id = "5004"', "")
        + SCHEDULE.replace("statistics", "nonsense")
    )
    result = place("check-config", code=ExitCode.CONFIG)
    assert result.stdout == ""
    for key in (
        "worker.drain_s",
        "accounts.shop.settings.token_file",
        "accounts.shop.settings.sevrer",
        "accounts.shop.settings.customer_id",
    ):
        assert f"tidewaiter: tidewaiter.toml: {key}: " in result.stderr
    assert "canary" not in result.stderr


def test_one_account_hides_no_fault_of_another(place: CommandFolder) -> None:
    """Each account is checked by itself, and each schedule whose account is sound; of others' nothing is made up."""
    place.config.write_text(
        CONFIG
        + SCHEDULE.replace('period = "LAST_DAY"', 'perod = "X"').replace("OPENS", "NO")
        + '[accounts.mistyped]\nprovider = "symplfy"\n[accounts.bare]\nprovider = "symplify"\n'
        + '[schedules.of-the-bare]\naccount = "bare"\noperation = "any"\ncron = "0 5 * * *"\n'
        + '[schedules.of-nobody]\naccount = "nobody"\noperation = "any"\ncron = "0 5 * * *"\n'
    )
    told = place("check-config", code=ExitCode.CONFIG).stderr
    assert "accounts.mistyped.provider: there is no provider 'symplfy'; did you mean symplify?" in told
    assert "accounts.bare.settings.server: is missing" in told
    assert "schedules.nightly.params.perod: unknown parameter (did you mean period?" in told
    assert "schedules.nightly.params.export_type: 'NO' is not permitted" in told
    assert "schedules.of-nobody.account: 'nobody' is no configured account (configured: bare, mistyped, shop)" in told
    assert "of-the-bare" not in told


def test_a_schedule_that_fits_no_operation(place: CommandFolder) -> None:
    """What only several tables together show is found, too."""
    place.config.write_text(CONFIG + SCHEDULE.replace("statistics", "nonsense"))
    assert "schedules.nightly.operation: 'nonsense' is no operation" in place("check-config", code=78).stderr


def test_warnings(place: CommandFolder) -> None:
    """They are told and do no harm, unless somebody wants them to."""
    place.config.chmod(0o644)
    result = place("check-config")
    assert "warning: tidewaiter.toml: accounts.shop.allow_private: " in result.stderr
    assert "chmod o-r tidewaiter.toml" in result.stderr
    assert "warning: " in place("check-config", "--strict", code=ExitCode.CONFIG).stderr


def test_as_json(place: CommandFolder) -> None:
    """Programs get faults and warnings with their parts, and a summary where nothing is wrong."""
    place.config.chmod(0o600)
    found = place.json("check-config")
    assert (found["ok"], found["faults"]) == (True, [])
    assert [one["key"] for one in found["warnings"]] == ["accounts.shop.allow_private"]
    assert found["summary"]["accounts"] == 1
    assert found["summary"]["listens"] == {}
    assert not place.json("check-config", "--strict", code=78)["ok"]
    place.config.write_text("[wroker]\na = 1")
    found = place.json("check-config", code=78)
    assert found["summary"] is None
    assert found["faults"] == [
        {"origin": "tidewaiter.toml", "key": "wroker", "reason": "is no known key; did you mean worker?"}
    ]


def test_a_file_of_another_name(place: CommandFolder) -> None:
    """The file may be named; one that is not there is a fault of the configuration."""
    other = place.folder / "other.toml"
    place.config.rename(other)
    assert "other.toml: no fault" in place("check-config", str(other)).stdout
    assert "gone.toml: cannot be read" in place("check-config", "gone.toml", code=78).stderr
    assert "there is no configuration" in place("check-config", code=78).stderr
    assert json.loads(place("check-config", "gone.toml", "--json", code=78).stdout)["ok"] is False


def test_a_missing_secret_is_told(place: CommandFolder) -> None:
    """A key that is called token is no secret itself: what is wrong with it is said, here and by every command."""
    place.config.write_text(CONFIG.replace('token = "canary-token"', ""))
    for command in (("check-config",), ("jobs", "list")):
        assert "accounts.shop.settings.token: is missing where auth is token" in place(*command, code=78).stderr
