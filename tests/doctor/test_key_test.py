"""A key is tested by a status request where the spec has no probe, if a person asks for it; never by a submit."""

from pathlib import Path

import pytest

from tests.doctor.folders import names_in
from tests.support.byte_servers import answering, reply, serving
from tests.support.doctor_run import consulted
from tidewaiter.clock import SystemClock
from tidewaiter.doctor.findings import CheckStatus
from tidewaiter.emulators.file_host import FileHost
from tidewaiter.emulators.symplify import SymplifyCustomer, SymplifyEmulator
from tidewaiter.providers.key_test import key_test_of
from tidewaiter.providers.provider_registry import Registry

CLOCK = SystemClock()


def symplify(origin: str, token: str = "canary-token") -> str:
    """The table of an account whose spec has no probe."""
    return f"""
    [accounts.shop]
    provider = "symplify"
    allow_private = true
    [accounts.shop.settings]
    server = "{origin}"
    customer_id = "5004"
    token = "{token}"
    """


async def test_it_is_offered(tmp_path: Path) -> None:
    """Without the option nothing is sent; the request and the command that sends it are named."""
    async with serving(answering(reply(500))) as server:
        found = await consulted(tmp_path, symplify(server.origin))
        assert server.asked == []
    login = found["shop", "login"]
    assert login.status is CheckStatus.INFO
    assert "the status request of statistics (GET /batches/${handle})" in login.message
    assert login.remedy == "tidewaiter doctor --account shop --test-key"


@pytest.mark.parametrize(("token", "status"), [("canary-token", CheckStatus.OK), ("wrong", CheckStatus.FAILURE)])
async def test_a_key(token: str, status: CheckStatus, tmp_path: Path) -> None:
    """A right key is told from a wrong one, and no remote job is made."""
    files = FileHost(clock=CLOCK, secrets=[])
    provider = SymplifyEmulator(clock=CLOCK, files=files, customer=SymplifyCustomer("canary-token", "5004"))
    async with files, provider:
        found = await consulted(tmp_path, symplify(provider.origin, token), tests_keys=True)
        assert [(one.method, one.path_qs) for one in provider.requests] == [("GET", "/rest/5004/batches/0")]
    assert found["shop", "login"].status is status
    assert "canary" not in found["shop", "login"].message
    assert ("shop", "clock") in found
    assert names_in(tmp_path) == ["tidewaiter.toml"]


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (reply(200, b'{"status": "OTHER"}'), CheckStatus.WARNING, "not one that the spec knows"),
        (reply(404), CheckStatus.OK, "did not refuse the key: HTTP 404"),
        (reply(429), CheckStatus.WARNING, "accepts no request now"),
        (reply(200, b"<html>sign in"), CheckStatus.FAILURE, "has a fault"),
        (reply(500), CheckStatus.FAILURE, "has a fault"),
    ],
)
async def test_other_replies(answer: bytes, status: CheckStatus, text: str, tmp_path: Path) -> None:
    """An unknown word or a page instead of a status, a busy provider and one in trouble prove nothing about the key."""
    async with serving(answering(answer)) as server:
        found = await consulted(tmp_path, symplify(server.origin), tests_keys=True)
    assert found["shop", "login"].status is status
    assert text in found["shop", "login"].message


async def test_no_suitable_request(tmp_path: Path) -> None:
    """Where the provider names the address of a status, none is made up."""
    provider = Registry.load().get("google-aip-151")
    account = provider.bind("shop", {"parent": "https://library.example.com/v1", "token": "t"})
    assert key_test_of(account) is None
    async with serving(answering(reply(404))) as server:
        text = f"""
        [accounts.shop]
        provider = "google-aip-151"
        allow_private = true
        settings = {{ parent = "{server.origin}", token = "t" }}
        """
        found = await consulted(tmp_path, text, tests_keys=True)
        assert server.asked == []
    assert "the first export tests it" in found["shop", "login"].message
