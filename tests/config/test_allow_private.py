"""``allow_private`` of accounts and notifications: networks, ``true``, and invalid values."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.configurations import faults_of, write
from tests.support.json_schemas import validator_of
from tidewaiter.config import load
from tidewaiter.config.json_schema import config_schema
from tidewaiter.domain.networks import network_of

HEAD = """
[notifications.ops]
url = "https://ops.example.com/hook"
secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
NOTIFICATION
[accounts.shop]
provider = "symplify"
ACCOUNT
"""


def text(value: str) -> str:
    """A configuration with this value for an account and a notification."""
    return HEAD.replace("NOTIFICATION", f"allow_private = {value}").replace("ACCOUNT", f"allow_private = {value}")


@pytest.mark.parametrize(
    ("value", "written", "private_ok"),
    [
        ("true", True, True),
        ("false", False, False),
        ("[]", (), ()),
        ('["10.0.0.0/8", "127.0.0.1/32"]', ("10.0.0.0/8", "127.0.0.1/32"), None),
        ('["FD00:0::/8", "169.254.169.254/32"]', ("fd00::/8", "169.254.169.254/32"), None),
        ('["0.0.0.0/0", "::1/128", "2000::/3"]', ("0.0.0.0/0", "::1/128", "2000::/3"), None),
        ('"10.0.0.0/8"', ("10.0.0.0/8",), None),
    ],
)
def test_what_it_may_be(tmp_path: Path, value: str, written: object, private_ok: object) -> None:
    """In a file: an array, or one network; ``true`` and ``false`` stay. The schema for editors agrees."""
    path = write(tmp_path, text(value))
    config = load(path, {})
    if private_ok is None:
        assert isinstance(written, tuple)
        private_ok = tuple(map(network_of, written))
    for table in (config.accounts["shop"], config.notifications["ops"]):
        assert (table.allow_private, table.private_ok) == (written, private_ok)
    raw: Any = json.loads(json.dumps(written))
    validator_of(config_schema()).validate({"accounts": {"shop": {"provider": "x", "allow_private": raw}}})


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("true", True),
        ("FALSE", False),
        ("10.0.0.0/8, fd00::/8", ("10.0.0.0/8", "fd00::/8")),
        ("10.0.0.0/8", ("10.0.0.0/8",)),
    ],
)
def test_as_a_variable(tmp_path: Path, value: str, written: object) -> None:
    """One text names several networks, with commas or blanks between them."""
    config = load(write(tmp_path, text("false")), {"TIDEWAITER__ACCOUNTS__SHOP__ALLOW_PRIVATE": value})
    assert config.accounts["shop"].allow_private == written


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('["10.1.2.3/8"]', "'10.1.2.3/8' has bits set behind its prefix; write 10.0.0.0/8, or 10.1.2.3/32 for"),
        ('["fd00::1/8"]', "'fd00::1/8' has bits set behind its prefix; write fd00::/8, or fd00::1/128 for"),
        ('["127.0.0.1"]', "'127.0.0.1' is an address, not a network; write 127.0.0.1/32"),
        ('["::1"]', "'::1' is an address, not a network; write ::1/128"),
        ('["10.0.0.0/33"]', "an entry is not a network; write one such as 10.0.0.0/8"),
        ('["10.0.0.0/8", "localhost"]', "an entry is not a network"),
        ('["10.0.0.0/8 "]', "an entry is not a network"),
        ('["010.0.0.0/8"]', "an entry is not a network"),
        ('["fe80::%eth0/64"]', "has a zone"),
        ('["::ffff:10.0.0.0/104"]', "lies in ::ffff:0:0/96, whose addresses contain an IPv4 address"),
        ('["64:ff9b::/96"]', "lies in 64:ff9b::/96, whose addresses contain an IPv4 address"),
        ('["2002:a00::/24"]', "lies in 2002::/16, whose addresses contain an IPv4 address"),
        ('"yes"', 'must be true or false: "yes" is a text; write true, without quotes'),
        ("[true]", "must be true or false, or an array of networks in quotes"),
        ("[10]", "must be true or false, or an array of networks in quotes"),
        ("10", "must be true or false, or an array of networks in quotes"),
        ('"canary"', "must be true or false, or an array of networks in quotes"),
        ('{ a = "10.0.0.0/8" }', "must be true or false, or an array of networks in quotes"),
    ],
)
def test_what_is_no_network(tmp_path: Path, value: str, reason: str) -> None:
    """Each fault names the key, and says what to write."""
    faults = faults_of(write(tmp_path, text(value)))
    assert set(faults) == {"accounts.shop.allow_private", "notifications.ops.allow_private"}
    for fault in faults.values():
        assert reason in fault.reason


def test_a_receiver_without_tls(tmp_path: Path) -> None:
    """Plain http is for one's own network, which is named or permitted as a whole; an empty list names none."""
    plain = text('["10.0.0.0/8"]').replace("https://ops.example.com", "http://10.0.0.1")
    assert load(write(tmp_path, plain), {}).notifications["ops"].private_ok == (network_of("10.0.0.0/8"),)
    faults = faults_of(write(tmp_path, text("[]").replace("https", "http")))
    assert "is not encrypted" in faults["notifications.ops.url"].reason
