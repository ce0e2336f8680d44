"""``tidewaiter config``: show, init and schema."""

import json
import stat
import tomllib

import pytest

from tests.cli.command_shell import CONFIG, CommandShell
from tidewaiter.cli.exit_codes import ExitCode


def test_show(shell: CommandShell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The values of file, environment and defaults are shown as TOML, secrets are not; so often as is wanted."""
    monkeypatch.setenv("TIDEWAITER__WORKER__POLLS", "7")
    text = shell("config", "show", "--origin").stdout
    shown = tomllib.loads(text)
    assert shown["worker"]["polls"] == 7
    assert shown["accounts"]["shop"]["settings"] == {
        "customer_id": "5004",
        "server": "http://127.0.0.1:9",
        "token": "[redacted]",
    }
    assert "# environment TIDEWAITER__WORKER__POLLS" in text
    assert "canary" not in text
    assert "# default" not in shell("config", "show").stdout


def test_show_as_json(shell: CommandShell) -> None:
    """Programs get each value with its key in parts, and whether it was kept back."""
    found = {tuple(one["key"]): one for one in shell.json("config", "show")}
    assert found["worker", "drain_s"] == {
        "key": ["worker", "drain_s"],
        "value": 5.0,
        "redacted": False,
        "source": "file",
        "origin": "tidewaiter.toml",
    }
    token = found["accounts", "shop", "settings", "token"]
    assert (token["value"], token["redacted"]) == (None, True)
    assert found["storage", "root"]["value"] == str(shell.folder / "landed")
    assert found["providers", "folders"]["value"] == []


def test_a_secret_that_stands_elsewhere(shell: CommandShell) -> None:
    """What a provider calls secret is taken out of every other value as well."""
    shell.config.write_text(CONFIG.replace('customer_id = "5004"', 'customer_id = "has canary-token in it"'))
    assert "canary-token" not in shell("config", "show").stdout


def test_show_what_cannot_be_used(shell: CommandShell) -> None:
    """Faults of the file end it; an account that its provider refuses is shown all the same, without its settings."""
    shell.config.write_text(CONFIG.replace('"symplify"', '"nobody-knows"'))
    settings = tomllib.loads(shell("config", "show").stdout)["accounts"]["shop"]["settings"]
    assert set(settings.values()) == {"[redacted]"}
    shell.config.write_text("[wroker]")
    assert "did you mean worker?" in shell("config", "show", code=ExitCode.CONFIG).stderr


def test_init(shell: CommandShell) -> None:
    """A sample with accounts is written for nobody else to read, and says what to do next."""
    shell.config.unlink()
    text = shell("config", "init", "--provider", "symplify", "--provider", "oneall", "--provider", "symplify").stdout
    assert text == "tidewaiter.toml is written; fill it in, then run `tidewaiter check-config tidewaiter.toml`\n"
    assert list(tomllib.loads(shell.config.read_text())["accounts"]) == ["symplify", "oneall"]
    assert stat.S_IMODE(shell.config.stat().st_mode) == 0o600
    missing = shell("check-config", code=ExitCode.CONFIG).stderr
    assert "accounts.symplify.settings.token_file: /run/secrets/symplify-token cannot be read" in missing
    assert "is missing" not in missing


def test_init_leaves_what_is_there(shell: CommandShell) -> None:
    """A file is only written over where that is said."""
    assert "--force overwrites it" in shell("config", "init", code=ExitCode.FAILED).stderr
    assert shell.config.read_text() == CONFIG
    shell("config", "init", "--force")
    assert shell.config.read_text().startswith("#:schema")
    assert CONFIG.splitlines()[-1] not in shell.config.read_text().splitlines()


def test_init_elsewhere(shell: CommandShell) -> None:
    """Another file, or standard output."""
    shell("config", "init", "new.toml")
    assert (shell.folder / "new.toml").read_text() == shell("config", "init", "-").stdout
    assert "No such file or directory" in shell("config", "init", "no/folder.toml", code=69).stderr


def test_init_of_an_unknown_provider(shell: CommandShell) -> None:
    """A provider that there is not is told with those that there are; nothing is written."""
    shell.config.unlink()
    assert "symplify" in shell("config", "init", "--provider", "simplify", code=ExitCode.USAGE).stderr
    assert not shell.config.exists()


def test_init_with_a_spec_of_ones_own(shell: CommandShell) -> None:
    """The folders of the configuration that there is are looked into."""
    specs = shell.folder / "specs"
    specs.mkdir()
    spec = shell("providers", "show", "symplify", "--toml").stdout.replace('name = "symplify"', 'name = "mine"', 1)
    (specs / "mine.toml").write_text(spec)
    shell.config.write_text(f'{CONFIG}[providers]\nfolders = ["specs"]\n')
    assert "[accounts.mine.settings]" in shell("config", "init", "-", "--provider", "mine").stdout
    assert "settings of mine" in json.loads(shell("config", "schema").stdout)["$defs"]


def test_schema(shell: CommandShell) -> None:
    """The schema is printed with and without a configuration, and with one that is at fault."""
    with_one = json.loads(shell("config", "schema").stdout)
    assert "settings of symplify" in with_one["$defs"]
    shell.config.write_text("[wroker]")
    assert json.loads(shell("config", "schema").stdout) == with_one
    shell.config.write_text("no TOML")
    assert json.loads(shell("config", "schema").stdout) == with_one
    shell.config.unlink()
    assert json.loads(shell("config", "schema").stdout) == with_one
