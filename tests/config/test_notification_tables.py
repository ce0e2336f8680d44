"""``[notifications.NAME]``: valid values, their meaning, and the message for each fault."""

from pathlib import Path

import pytest

from tests.support.configurations import faults_of, write
from tidewaiter.config import load

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + "A" * 44
HOOK = f'[notifications.ops]\nurl = "https://ops.example.com/hook"\nsecret = "{SECRET}"\n'


def test_a_notification(tmp_path: Path) -> None:
    """Address and secrets come from files or the environment, names from both; the rest has its defaults."""
    (tmp_path / "secret").write_text(f"{SECRET} {OTHER_SECRET}\n")
    (tmp_path / "url").write_text("https://chat.example.com/hook/canary-url\n")
    text = """
    [notifications.ops]
    url = "https://ops.example.com/hook"
    secret_file = "secret"
    [notifications.chat]
    url_file = "url"
    secret_file = "secret"
    accounts = ["shop"]
    """
    config = load(write(tmp_path, text), {"TIDEWAITER__NOTIFICATIONS__CHAT__STATES": "failed, parked"})
    ops, chat = config.notifications["ops"], config.notifications["chat"]
    assert (ops.accounts, ops.allow_private, ops.private_ok) == (None, False, False)
    assert ops.states == ("succeeded", "failed", "cancelled", "expired")
    assert (chat.accounts, chat.states) == (("shop",), ("failed", "parked"))
    assert chat.url == "https://chat.example.com/hook/canary-url"
    shown = {SECRET, OTHER_SECRET, SECRET.removeprefix("whsec_"), "https://chat.example.com/hook/canary-url"}
    assert shown <= set(config.secrets)
    assert SECRET not in repr(config)


def test_a_secret_in_the_file_itself_is_secret_too(tmp_path: Path) -> None:
    """It is kept out of the log wherever it was written."""
    assert SECRET in load(write(tmp_path, HOOK), {}).secrets


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:8000/x", True),
        ("http://[::1]/x", True),
        ("http://localhost/x", True),
        ("https://10.0.0.1/x", False),
        ("https://localhost.example.com/x", False),
    ],
)
def test_where_private_addresses_are_meant(tmp_path: Path, url: str, allowed: bool) -> None:
    """This very machine, when it is named as such; any other private address wants to be allowed."""
    config = load(write(tmp_path, HOOK.replace("https://ops.example.com/hook", url)), {})
    assert config.notifications["ops"].private_ok is allowed
    text = HOOK.replace("https://ops.example.com/hook", "http://10.0.0.1/x") + "allow_private = true"
    assert load(write(tmp_path, text), {}).notifications["ops"].private_ok


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('url = "http://ops.example.com/canary"', "url", "is not encrypted; use https, or allow_private = true"),
        ('url = "ops.example.com/canary"', "url", "must be a whole https address without user name and fragment"),
        ('url = "https://canary:x@ops.example.com/"', "url", "must be a whole https address without user name"),
        ('url = "https://ops.example.com/#canary"', "url", "must be a whole https address"),
        ('url = "https://ops.example.com/ canary"', "url", "must be a whole https address"),
        ('url = "https://ops.example.com:99999/canary"', "url", "must be a whole https address"),
        ('url = "https:///canary"', "url", "must be a whole https address"),
        ('secret = "canary"', "secret", "must begin with whsec_, followed by 24 to 64 random bytes in base64"),
        ('secret = "whsec_canary!"', "secret", "must be base64 after whsec_"),
        ('secret = "whsec_aHVudGVyMg=="', "secret", "has 7 bytes after whsec_ and needs 24 to 64"),
        ('secret = ""', "secret", "is empty"),
        ('states = ["done"]', "states", "'done' is no state that can be notified; there are parked, succeeded, failed"),
        ('states = ["polling"]', "states", "'polling' is no state that can be notified"),
        ("states = []", "states", "is empty, so nothing would ever be sent; leave it out for the default"),
        ("states = 3", "states", "must be an array of names in quotes"),
        ("accounts = [1]", "accounts", "must be an array of names in quotes"),
        ('allow_private = "canary"', "allow_private", "must be true or false"),
        ('acounts = ["shop"]', "acounts", "is no known key; did you mean accounts?"),
    ],
)
def test_notifications_that_cannot_be(tmp_path: Path, text: str, key: str, reason: str) -> None:
    """Each fault has its key, what is wrong, and how to fix it; possible secrets are not repeated."""
    name = text.split(" ", 1)[0]
    kept = [line for line in HOOK.splitlines() if not line.startswith(f"{name} ")]
    faults = faults_of(write(tmp_path, "\n".join([*kept, text, "[worker]", "lease_s = 0"])))
    assert set(faults) == {f"notifications.ops.{key}", "worker.lease_s"}
    assert reason in faults[f"notifications.ops.{key}"].reason
    assert "canary" not in faults[f"notifications.ops.{key}"].reason


def test_what_a_notification_cannot_do_without(tmp_path: Path) -> None:
    """Address and secret; and its name is one that a command line takes."""
    faults = faults_of(write(tmp_path, '[notifications.ops]\n[notifications."Big Ops"]\nurl = "https://a/"'))
    assert faults["notifications.ops.url"].reason == "is required"
    assert faults["notifications.ops.secret"].reason == "is required; secret_file names a file that has it"
    assert faults["notifications.Big Ops"].reason.startswith("a notification's name is made of lower-case letters")
