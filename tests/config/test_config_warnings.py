"""Warnings about valid settings: readable secrets, unencrypted addresses, access to private networks."""

from pathlib import Path

import pytest

from tests.support.configurations import write
from tidewaiter.bootstrap import known_settings
from tidewaiter.config import load
from tidewaiter.config.config_warnings import config_warnings

ACCOUNT = """
[accounts.shop]
provider = "symplify"
[accounts.shop.settings]
server = "https://eu.example"
customer_id = "5004"
"""


def cautions_of(folder: Path, text: str, mode: int = 0o600) -> dict[str, str]:
    """The config_warnings about a configuration, by their key; the file has that mode."""
    path = write(folder, text)
    path.chmod(mode)
    config = load(path, {})
    return {one.key: one.reason for one in config_warnings(config, known_settings(config))}


def test_nothing_to_tell(tmp_path: Path) -> None:
    """A configuration as it should be: secrets in a file of one's own, everything encrypted."""
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o600)
    assert cautions_of(tmp_path, f'{ACCOUNT}token_file = "token"', 0o644) == {}


def test_no_account(tmp_path: Path) -> None:
    """A daemon without accounts has nothing to do."""
    assert list(cautions_of(tmp_path, "")) == ["accounts"]


def test_secrets_that_all_may_read(tmp_path: Path) -> None:
    """A readable secret file is reported, and a configuration that contains a secret; with the fix."""
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o644)
    found = cautions_of(tmp_path, f'{ACCOUNT}token_file = "token"')
    assert found == {
        "accounts.shop.settings.token": "the file holds a secret, and every user of this machine may read it; "
        f"chmod o-r {tmp_path}/token"
    }
    inline = f'{ACCOUNT}token = "t"\npassword = "u"\n[database]\nurl = "postgresql://u:p@h/d"'
    assert list(cautions_of(tmp_path, inline, 0o644)) == ["database.url", "accounts.shop.settings.password"]
    assert cautions_of(tmp_path, inline, 0o640) == {}
    # Nobody knows what a setting is that the provider does not have; it is a fault already.
    assert cautions_of(tmp_path, f'{ACCOUNT}custmer_id = "5004"', 0o644) == {}


def test_every_account_of_a_readable_file_is_named(tmp_path: Path) -> None:
    """Accounts that share a secret file are reported one by one, because `doctor --account` shows its own only."""
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o644)
    shop = f'{ACCOUNT}token_file = "token"\n'
    found = cautions_of(tmp_path, shop + shop.replace("accounts.shop", "accounts.club"))
    assert sorted(found) == ["accounts.club.settings.token", "accounts.shop.settings.token"], "each once"


def test_unencrypted_ways(tmp_path: Path) -> None:
    """Plain http to a provider, the callbacks, a bucket and a receiver; loopback is nobody's business."""
    text = ACCOUNT.replace("https", "http") + (
        '[callbacks]\nlisten = "127.0.0.1:1"\npublic_url = "http://tide.example"\n'
        '[storage]\nurl = "s3://exports"\noptions = { endpoint = "http://s3", allow_http = true }\n'
        f'[notifications.ops]\nurl = "http://10.0.0.1/hook"\nsecret = "whsec_{"A" * 32}"\nallow_private = true\n'
    )
    assert set(cautions_of(tmp_path, text)) == {
        "accounts.shop.settings.server",
        "callbacks.public_url",
        "notifications.ops.url",
        "storage.options.allow_http",
    }
    for host in ("127.0.0.1:8", "localhost", "[::1]"):
        assert cautions_of(tmp_path, ACCOUNT.replace("https://eu.example", f"http://{host}")) == {}


def test_private_addresses(tmp_path: Path) -> None:
    """An account that may reach into one's own network is told."""
    assert list(
        cautions_of(
            tmp_path, ACCOUNT.replace("[accounts.shop.settings]", "allow_private = true\n[accounts.shop.settings]")
        )
    ) == ["accounts.shop.allow_private"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("true", "name the provider's networks instead"),
        ('["10.0.0.0/8", "127.0.0.1/32"]', None),
        ('["169.254.169.254/32"]', "permits 169.254.169.254/32, where a cloud gives this machine its credentials"),
        ('["10.0.0.0/8", "169.254.0.0/16"]', "permits 169.254.0.0/16"),
    ],
)
def test_which_private_addresses(tmp_path: Path, value: str, reason: str | None) -> None:
    """Named networks are as it should be, but for those of a cloud's metadata."""
    table = f"allow_private = {value}\n[accounts.shop.settings]"
    found = cautions_of(tmp_path, ACCOUNT.replace("[accounts.shop.settings]", table))
    assert list(found) == ([] if reason is None else ["accounts.shop.allow_private"])
    assert reason is None or reason in found["accounts.shop.allow_private"]


@pytest.mark.parametrize("key", ["callbacks.public_url", "accounts.shop.allow_private"])
def test_it_is_told_where_it_was_written(key: str, tmp_path: Path) -> None:
    """A caution points at the file or variable that holds the value."""
    path = write(tmp_path, ACCOUNT + '[callbacks]\nlisten = "127.0.0.1:1"')
    variable = f"TIDEWAITER__{key.upper().replace('.', '__')}"
    environ = {"TIDEWAITER__CALLBACKS__PUBLIC_URL": "http://tide", "TIDEWAITER__ACCOUNTS__SHOP__ALLOW_PRIVATE": "true"}
    config = load(path, environ)
    found = {one.key: one.origin for one in config_warnings(config, known_settings(config))}
    assert found[key] == variable
