"""docs/notifications.md: its tables match the program and its examples work."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.ended_job import AT, FILE, JOB
from tests.support.webhook_receiver import SECRET
from tidewaiter.cli.notifications import notifications
from tidewaiter.config import load
from tidewaiter.domain.notification import MOST_LISTED, NOTIFIABLE, RETRY_S, body_of
from tidewaiter.domain.webhook_signature import keys_of, signed_headers

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
ACCOUNT = '[accounts.newsletter]\nprovider = "symplify"\n'


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def _verified() -> Callable[[str, dict[str, str], bytes], dict[str, Any]]:
    """The function that the page gives to receivers without a library."""
    (_, code) = _blocks("python")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # the page's own
    function: Callable[[str, dict[str, str], bytes], dict[str, Any]] = names["verified"]
    return function


def test_the_configuration(tmp_path: Path) -> None:
    """It loads, and means what is said beside it."""
    (table,) = _blocks("toml")
    for name, content in (
        ("ops-webhook", SECRET),
        ("chat-webhook", SECRET),
        ("chat-url", "https://chat.example.com/x"),
    ):
        (tmp_path / name).write_text(content)
    file = tmp_path / "tidewaiter.toml"
    file.write_text(ACCOUNT + table.replace("/run/secrets/", ""))
    config = load(file, {})
    assert config.notifications["ops"].states == ("succeeded", "failed", "cancelled", "expired")
    assert config.notifications["newsletter-failures"].accounts == ("newsletter",)


def test_the_example_body() -> None:
    """It has the members of a real one, in their order, down to those of a file."""
    (text,) = _blocks("json")
    shown = json.loads(text)
    real = json.loads(body_of(replace(JOB), AT, [FILE], 1))
    assert list(shown) == list(real)
    assert list(shown["data"]) == list(real["data"])
    assert list(shown["data"]["artifacts"][0]) == list(real["data"]["artifacts"][0])
    assert all(f"`{state.value}`" in PAGE for state in NOTIFIABLE)
    assert f"the first {MOST_LISTED} files" in PAGE
    assert "ten attempts" in PAGE
    assert len(RETRY_S) == 9


def test_verifying_without_a_library() -> None:
    """The page's own function believes what we sign, by a new secret or an old one, and nothing else."""
    verified = _verified()
    other = "whsec_" + "A" * 44
    body = b'{"type":"job.succeeded"}'
    now = int(time.time())
    headers = dict(signed_headers(keys_of(f"{other} {SECRET}"), "msg_1", now, body))
    assert verified(SECRET, headers, body) == verified(other, headers, body) == {"type": "job.succeeded"}
    for bad in ({**headers, "webhook-id": "msg_2"}, {**headers, "webhook-timestamp": str(now - 301)}):
        with pytest.raises(ValueError, match=r"not signed|too old"):
            verified(SECRET, bad, body)
    with pytest.raises(ValueError, match="not signed"):
        verified(SECRET, headers, body.replace(b"succeeded", b"failed"))


def test_the_commands() -> None:
    """Every command that it shows is one, with options that it has."""
    shown = re.findall(r"^tidewaiter notifications (\w+) ?(.*)$", PAGE, re.MULTILINE)
    assert len(shown) >= 4
    for name, rest in shown:
        options = {option for parameter in notifications.commands[name].params for option in parameter.opts}
        assert {word for word in rest.split() if word.startswith("--")} <= options
