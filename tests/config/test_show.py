"""`config show`: every key, its origin, no secrets; the output is itself a configuration."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.configurations import FULL, write
from tidewaiter.bootstrap import known_settings
from tidewaiter.config import Config, load
from tidewaiter.config.show import HIDDEN, Shown, as_toml, effective
from tidewaiter.config.table_keys import every_table


def shown(config: Config) -> dict[str, Shown]:
    """The values of a configuration by their key."""
    return {".".join(one.key): one for one in effective(config, known_settings(config), str)}


def loaded(folder: Path, text: str, environ: Mapping[str, str]) -> Config:
    """The configuration that a text and an environment make."""
    (folder / "token").write_text("canary-of-file")
    return load(write(folder, text), environ)


def test_everything_is_shown(tmp_path: Path) -> None:
    """Every key of every table that is there, and the settings and parameters within."""
    values = shown(loaded(tmp_path, FULL, {}))
    for table in every_table():
        path = ".".join("shop" if name == "NAME" else name for name in table.path)
        if table.path[0] not in ("schedules", "tokens", "notifications"):
            assert {f"{path}.{name}" for name in table.keys if name != "settings"} <= set(values)
    assert values["accounts.shop.settings.customer_id"].value == "5004"


def test_secrets_are_hidden(tmp_path: Path) -> None:
    """By where they came from, by what the spec says, by the table; and passwords within addresses."""
    text = FULL.replace('token_file = "token"', 'token = "canary-in-line"\nserver_id = "canary-unknown"') + (
        '[accounts.odd]\nprovider = "nobody-knows"\nsettings = { a = "canary-of-nobody", b = { c = "canary-deep" } }\n'
    )
    environ = {"TIDEWAITER__DATABASE__URL": "postgresql://u:canary-db@h/d?password=canary-query"}
    config = loaded(tmp_path, text, environ)
    values = shown(config)
    for key in ("shop.settings.token", "shop.settings.server_id", "odd.settings.a", "odd.settings.b"):
        assert values[f"accounts.{key}"].value == HIDDEN
        assert values[f"accounts.{key}"].hidden
    assert values["database.url"].value == "postgresql://u:***@h/d"
    assert "canary" not in as_toml(iter(values.values()), with_origin=True)


def test_options_of_a_bucket_are_hidden(tmp_path: Path) -> None:
    """Those that are secrets, and any that came out of a file."""
    text = """
    [storage]
    url = "s3://exports"
    options = { secret_access_key = "canary-key", region_file = "token", access_key_id = "AKIA" }
    """
    values = shown(loaded(tmp_path, text, {}))
    assert values["storage.options.secret_access_key"].value == HIDDEN
    assert values["storage.options.region"].value == HIDDEN
    assert values["storage.options.access_key_id"].value == "AKIA"
    assert values["storage.options.session_token"].value is None


def test_what_looks_like_a_secret_is_cleaned(tmp_path: Path) -> None:
    """Texts pass through the redaction of the log, too: secrets may stand where nobody expects them."""
    config = loaded(tmp_path, '[callbacks]\nlisten = "h:1"\npublic_url = "https://x/canary"', {})
    values = {".".join(one.key): one for one in effective(config, {}, lambda text: text.replace("canary", "gone"))}
    assert values["callbacks.public_url"].value == "https://x/gone"


def test_origins(tmp_path: Path) -> None:
    """Each value says where it came from: file, variable, secret file or default."""
    config = loaded(tmp_path, FULL, {"TIDEWAITER__WORKER__DRAIN_S": "3"})
    text = as_toml(effective(config, known_settings(config), str), with_origin=True)
    origins = {line.split(" = ")[0]: line.partition("  # ")[2].strip() for line in text.splitlines() if " = " in line}
    assert origins["lease_s"] == f"file {tmp_path}/tidewaiter.toml"
    assert origins["drain_s"] == "environment TIDEWAITER__WORKER__DRAIN_S"
    assert origins["token"] == f"secret file {tmp_path}/token"
    assert origins["heartbeat_s"] == "default"
    assert "# not set: " in text


@pytest.mark.parametrize("text", ["", FULL, '[schedules.s]\naccount = "a"\noperation = "o"\ncron = "1 1 * * *"\n'])
def test_what_is_shown_is_a_configuration(text: str, tmp_path: Path) -> None:
    """Loaded again it means the same, but for what is hidden."""
    config = loaded(tmp_path, text, {})
    again = tmp_path / "again"
    again.mkdir()
    before = shown(config)
    after = shown(load(write(again, as_toml(iter(before.values()), with_origin=True)), {}))
    assert {key: one.value for key, one in after.items() if one.value is not None} == {
        key: one.value for key, one in before.items() if one.value is not None
    }


def test_the_query_of_a_webhooks_address_is_hidden(tmp_path: Path) -> None:
    """Whatever its keys are called: receivers are often told apart by a key that stands there."""
    (tmp_path / "whsec").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    text = FULL + '[notifications.ops]\nurl = "https://ops.example.com/hook?k=canary&b=2"\nsecret_file = "whsec"\n'
    values = shown(loaded(tmp_path, text, {}))
    assert values["notifications.ops.url"].value == "https://ops.example.com/hook?[redacted]"
