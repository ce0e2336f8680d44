"""Accounts that sign their requests: the doctor asks as the daemon would, signature included."""

import asyncio
import hmac
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.aws_verifier import accepts
from tests.support.byte_servers import Answer, ReceivedRequest, reply, serving
from tests.support.doctor_run import consulted
from tidewaiter.doctor.findings import CheckStatus

SECRET = "canary-secret"


def _verifying(is_good: Callable[[ReceivedRequest], bool], refusal: bytes) -> Answer:
    """Answers requests with a good signature, and refuses all others."""

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(200, b'{"status": "done"}') if is_good(asked) else reply(400, refusal))

    return answer


def _by_aws(asked: ReceivedRequest) -> bool:
    return accepts(SECRET, asked.method, asked.target, asked.headers, asked.body)


def _by_query(asked: ReceivedRequest) -> bool:
    query, _, given = asked.target.partition("?")[2].rpartition("&signature=")
    return given == hmac.new(SECRET.encode(), query.encode(), "sha256").hexdigest()


_AWS = _verifying(_by_aws, b'{"__type": "InvalidSignatureException", "message": "no match"}')
_QUERY = _verifying(_by_query, b'{"code": -1022, "msg": "no match"}')


def _athena(origin: str, keys: str) -> str:
    return f"""
    [accounts.shop]
    provider = "athena"
    allow_private = true
    [accounts.shop.settings]
    region = "eu-west-1"
    endpoint = "{origin}"
    {keys}
    """


def _keys(secret: str = SECRET) -> str:
    return f'access_key = "AKIDEXAMPLE"\nsecret_key = "{secret}"'


@pytest.mark.parametrize(("secret", "status"), [(SECRET, CheckStatus.OK), ("another-one", CheckStatus.FAILURE)])
async def test_a_probe_by_the_rules_of_aws(tmp_path: Path, secret: str, status: CheckStatus) -> None:
    """A right secret is told from a wrong one by one request."""
    async with serving(_AWS) as server:
        found = await consulted(tmp_path, _athena(server.origin, _keys(secret)))
        assert len(server.asked) == 1
    login = found["shop", "login"]
    assert login.status is status
    assert "canary" not in f"{login.message}{login.remedy}"
    assert status is CheckStatus.OK or "no match" in login.message


async def test_the_keys_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys nothing is sent, and the sentence says what to do; with keys the probe is signed with them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    async with serving(_AWS) as server:
        text = _athena(server.origin, 'credentials = "machine"')
        found = await consulted(tmp_path, text)
        assert server.asked == []
        assert found["shop", "login"].status is CheckStatus.FAILURE
        assert "this machine has no keys for AWS; give the machine a role or keys" in found["shop", "login"].message
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDMACHINE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        found = await consulted(tmp_path, text)
        assert [_by_aws(asked) for asked in server.asked] == [True]
    assert found["shop", "login"].status is CheckStatus.OK


@pytest.mark.parametrize(("secret", "status"), [(SECRET, CheckStatus.OK), ("another-one", CheckStatus.FAILURE)])
async def test_a_probe_with_an_hmac(tmp_path: Path, secret: str, status: CheckStatus) -> None:
    """The time and the signature are in the query; the key is in a header."""
    async with serving(_QUERY) as server:
        text = f"""
        [accounts.shop]
        provider = "binance-futures"
        allow_private = true
        [accounts.shop.settings]
        server = "{server.origin}"
        api_key = "key"
        secret_key = "{secret}"
        """
        found = await consulted(tmp_path, text)
        assert [asked.headers["x-mbx-apikey"] for asked in server.asked] == ["key"]
    assert found["shop", "login"].status is status
    assert "canary" not in found["shop", "login"].message


_SPEC = """
name = "demo"
title = "Demo"
base_url = "${account.server}"
account = { server = { type = "url", help = "the server" }, secret = { help = "the secret", secret = true } }

[auth]
type = "hmac"
key = "${account.secret}"
string_to_sign = "${request.query}"
query = { t = "${time.epoch}", signature = "${signature}" }

[operations.report]
title = "Report"
submit = { url = "/reports", handle = "id" }
results = { url = "/reports/${handle}/file" }

[operations.report.poll]
url = "/reports/${handle}"
rules = [{ word = "status", words = { done = "ready" } }, { status = 400, then = "unauthorized" }]
"""


@pytest.mark.parametrize(("secret", "status"), [(SECRET, CheckStatus.OK), ("another-one", CheckStatus.FAILURE)])
async def test_the_test_of_a_key(tmp_path: Path, secret: str, status: CheckStatus) -> None:
    """Where the spec has no probe, the status request of a made-up job is signed."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "demo.toml").write_text(_SPEC)  # before anything runs
    async with serving(_QUERY) as server:
        text = f"""
        [providers]
        folders = ["{tmp_path / "specs"}"]
        [accounts.shop]
        provider = "demo"
        allow_private = true
        [accounts.shop.settings]
        server = "{server.origin}"
        secret = "{secret}"
        """
        found = await consulted(tmp_path, text, tests_keys=True)
        assert [asked.target.partition("?")[0] for asked in server.asked] == ["/reports/0"]
    assert found["shop", "login"].status is status
