"""``tidewaiter config``: showing, beginning and describing a configuration."""

import json
import stat
import tomllib

import pytest

from tests.cli.command_folder import CONFIG, CommandFolder
from tidewaiter.cli.exit_codes import ExitCode


def test_show(place: CommandFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The values of file, environment and defaults are shown as TOML, secrets are not; so often as is wanted."""
    monkeypatch.setenv("TIDEWAITER__WORKER__POLLS", "7")
    text = place("config", "show", "--origin").stdout
    shown = tomllib.loads(text)
    assert shown["worker"]["polls"] == 7
    assert shown["accounts"]["shop"]["settings"] == {
        "customer_id": "5004",
        "server": "http://127.0.0.1:9",
        "token": "[redacted]",
    }
    assert "# environment TIDEWAITER__WORKER__POLLS" in text
    assert "canary" not in text
    assert "# default" not in place("config", "show").stdout


def test_show_as_json(place: CommandFolder) -> None:
    """Programs get each value with its key in parts, and whether it was kept back."""
    found = {tuple(one["key"]): one for one in place.json("config", "show")}
    assert found["worker", "drain_s"] == {
        "key": ["worker", "drain_s"],
        "value": 5.0,
        "redacted": False,
        "source": "file",
        "origin": "tidewaiter.toml",
    }
    token = found["accounts", "shop", "settings", "token"]
    assert (token["value"], token["redacted"]) == (None, True)
    assert found["storage", "root"]["value"] == str(place.folder / "landed")
    assert found["providers", "folders"]["value"] == []


def test_a_secret_that_stands_elsewhere(place: CommandFolder) -> None:
    """What a provider calls secret is taken out of every other value as well."""
    place.config.write_text(CONFIG.replace('customer_id = "5004"', 'customer_id = "has canary-token in it"'))
    assert "canary-token" not in place("config", "show").stdout


def test_show_what_cannot_be_used(place: CommandFolder) -> None:
    """Faults of the file end it; an account that its provider refuses is shown all the same, without its settings."""
    place.config.write_text(CONFIG.replace('"symplify"', '"nobody-knows"'))
    settings = tomllib.loads(place("config", "show").stdout)["accounts"]["shop"]["settings"]
    assert set(settings.values()) == {"[redacted]"}
    place.config.write_text("[wroker]")
    assert "did you mean worker?" in place("config", "show", code=ExitCode.CONFIG).stderr


def test_init(place: CommandFolder) -> None:
    """A sample with accounts is written for nobody else to read, and says what to do next."""
    place.config.unlink()
    said = place("config", "init", "--provider", "symplify", "--provider", "oneall", "--provider", "symplify").stdout
    assert said == "tidewaiter.toml is written; fill it in, then run `tidewaiter check-config tidewaiter.toml`\n"
    assert list(tomllib.loads(place.config.read_text())["accounts"]) == ["symplify", "oneall"]
    assert stat.S_IMODE(place.config.stat().st_mode) == 0o600
    missing = place("check-config", code=ExitCode.CONFIG).stderr
    assert "accounts.symplify.settings.token_file: /run/secrets/symplify-token cannot be read" in missing
    assert "is missing" not in missing


def test_init_leaves_what_is_there(place: CommandFolder) -> None:
    """A file is only written over where that is said."""
    assert "--force overwrites it" in place("config", "init", code=ExitCode.FAILED).stderr
    assert place.config.read_text() == CONFIG
    place("config", "init", "--force")
    assert place.config.read_text().startswith("#:schema")
    assert CONFIG.splitlines()[-1] not in place.config.read_text().splitlines()


def test_init_elsewhere(place: CommandFolder) -> None:
    """Another file, or standard output."""
    place("config", "init", "new.toml")
    assert (place.folder / "new.toml").read_text() == place("config", "init", "-").stdout
    assert "No such file or directory" in place("config", "init", "no/folder.toml", code=69).stderr


def test_init_of_an_unknown_provider(place: CommandFolder) -> None:
    """A provider that there is not is told with those that there are; nothing is written."""
    place.config.unlink()
    assert "symplify" in place("config", "init", "--provider", "simplify", code=ExitCode.USAGE).stderr
    assert not place.config.exists()


def test_init_with_a_spec_of_ones_own(place: CommandFolder) -> None:
    """The folders of the configuration that there is are looked into."""
    specs = place.folder / "specs"
    specs.mkdir()
    spec = place("providers", "show", "symplify", "--toml").stdout.replace('name = "symplify"', 'name = "mine"', 1)
    (specs / "mine.toml").write_text(spec)
    place.config.write_text(f'{CONFIG}[providers]\nfolders = ["specs"]\n')
    assert "[accounts.mine.settings]" in place("config", "init", "-", "--provider", "mine").stdout
    assert "settings of mine" in json.loads(place("config", "schema").stdout)["$defs"]


def test_schema(place: CommandFolder) -> None:
    """The schema is printed with and without a configuration, and with one that is at fault."""
    with_one = json.loads(place("config", "schema").stdout)
    assert "settings of symplify" in with_one["$defs"]
    place.config.write_text("[wroker]")
    assert json.loads(place("config", "schema").stdout) == with_one
    place.config.write_text("no TOML")
    assert json.loads(place("config", "schema").stdout) == with_one
    place.config.unlink()
    assert json.loads(place("config", "schema").stdout) == with_one
