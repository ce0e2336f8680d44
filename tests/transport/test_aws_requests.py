"""Requests to AWS on the wire, and the machine's own keys."""

from asyncio import StreamWriter
from pathlib import Path

import pytest

from tests.support.aws_verifier import accepts
from tests.support.byte_servers import ReceivedRequest, answering, reply, serving
from tests.transport.clients import account, to, unlimited
from tidewaiter.domain.http_values import Credentials, WireRequest
from tidewaiter.domain.own_origins import DeclaredOrigin
from tidewaiter.domain.request_signing import MachineKeys
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.credentials.aws_signing import Aws4Signer
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.machine_keys import MachineKeySource
from tidewaiter.transport.wire import NotSentError

SECRET = "canary-secret"


def _credentials(service: str, keys: MachineKeys | None) -> Credentials:
    return Credentials(signer=Aws4Signer("auth", "us-east-1", service, keys, Redactor()))


def _accepted(asked: ReceivedRequest) -> bool:
    return accepts(SECRET, asked.method, asked.target, asked.headers, asked.body)


@pytest.mark.parametrize("service", ["athena", "s3"])
async def test_aws_can_verify_what_arrives(wire: AiohttpWire, service: str) -> None:
    """Buffered and streamed, with and without a body, after a redirect, and with whatever the wire adds."""
    async with serving(answering(to("/%C3%A4/x?b=1&a=2+3"), reply())) as server:
        client = account(wire, server, credentials=_credentials(service, MachineKeys("AKIDEXAMPLE", SECRET)))
        await client.exchange(WireRequest("GET", f"{server.origin}/first", {"Accept": "text/csv"}))
        await client.exchange(WireRequest("HEAD", f"{server.origin}/key"))
        body = b'{"QueryString":"SELECT 1"}'
        await client.exchange(
            WireRequest("POST", f"{server.origin}/", {"Content-Type": "application/x-amz-json-1.1"}, body)
        )
        async with client.stream(
            WireRequest("GET", f"{server.origin}/f", {"Range": "bytes=7-"}), send_auth=True
        ) as raw:
            assert raw.status == 200
    assert [asked.target for asked in server.asked] == ["/first", "/%C3%A4/x?b=1&a=2+3", "/key", "/", "/f"]
    assert [_accepted(asked) for asked in server.asked] == [True] * 5


async def test_a_presigned_link_goes_as_it_is(wire: AiohttpWire) -> None:
    """At the provider's own origin, where credentials would go; and another host gets no header of ours either."""
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=ab"
    async with serving(answering(reply())) as bucket, serving(answering(reply())) as server:
        client = account(wire, server, credentials=_credentials("s3", MachineKeys("AKIDEXAMPLE", SECRET)))
        for origin in (server.origin, bucket.origin):
            async with client.stream(WireRequest("GET", f"{origin}/f.csv?{query}"), send_auth=True):
                pass
    for asked in (*server.asked, *bucket.asked):
        assert asked.target == f"/f.csv?{query}"
        assert not asked.headers.keys() & {"authorization", "x-amz-date", "x-amz-content-sha256"}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without keys, whose files are in a folder of the test."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", raising=False)
    return tmp_path


@pytest.mark.usefixtures("alone")
async def test_the_keys_of_the_environment(wire: AiohttpWire, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that asks for them signs with them; their token is signed as well."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDMACHINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "canary-token")
    async with serving(answering(reply())) as server:
        client = account(wire, server, credentials=_credentials("athena", None))
        await client.exchange(WireRequest("GET", f"{server.origin}/x"))
    (asked,) = server.asked
    assert _accepted(asked)
    assert "Credential=AKIDMACHINE/" in asked.headers["authorization"]
    assert asked.headers["x-amz-security-token"] == "canary-token"


async def test_the_keys_of_a_file(alone: Path) -> None:
    """The shared file of AWS's own tools; it is read again by a new daemon, not by each request."""
    (alone / "credentials").write_text(f"[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = {SECRET}\n")
    source = MachineKeySource()
    assert await source.keys() == MachineKeys("AKIDFILE", SECRET)
    (alone / "credentials").unlink()
    assert await source.keys() == MachineKeys("AKIDFILE", SECRET)


@pytest.mark.usefixtures("alone")
async def test_keys_that_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of a container's role: each answer that is about to end is replaced by the next."""
    given = iter(range(1, 9))

    async def answer(_asked: ReceivedRequest, writer: StreamWriter) -> None:
        number = next(given)
        body = f"""{{"AccessKeyId": "AKID{number}", "SecretAccessKey": "canary-{number}", "Token": "t{number}",
            "Expiration": "{"2020-01-01T00:00:00Z" if number < 3 else "2099-01-01T00:00:00Z"}"}}"""
        writer.write(reply(200, body.encode(), "Content-Type: application/json"))

    async with serving(answer) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.origin}/keys")
        source = MachineKeySource()
        with pytest.raises(NotSentError, match="the machine's keys for AWS cannot be read"):
            await source.keys()  # they have ended before they came
        found = [await source.keys() for _ in range(3)]
    assert {one.access_key for one in found} == {"AKID3"}
    assert len(server.asked) == 3


async def test_a_machine_without_keys(wire: AiohttpWire, alone: Path) -> None:
    """Nothing is sent, and the sentence says what to do; a broken file says no word of its content."""
    async with serving(answering(reply())) as server:
        client = account(wire, server, credentials=_credentials("athena", None))
        request = WireRequest("GET", f"{server.origin}/x")
        with pytest.raises(NotSentError, match="this machine has no keys for AWS; give the machine a role or keys"):
            await client.exchange(request)
        (alone / "credentials").write_text("canary-secret = nonsense")
        with pytest.raises(NotSentError, match="cannot be read") as caught:
            await client.exchange(request)
        assert "canary" not in str(caught.value)
        (alone / "credentials").write_text(
            f"[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = {SECRET}\n"
        )
        await client.exchange(request)
    assert [_accepted(asked) for asked in server.asked] == [True]


async def test_each_origin_has_its_own_signature(wire: AiohttpWire) -> None:
    """A redirect from the service to the declared bucket is signed for the bucket; no other host gets a signature."""
    keys = MachineKeys("AKIDEXAMPLE", SECRET)
    async with (
        serving(answering(reply())) as other,
        serving(answering(reply(200, b"file"))) as bucket,
        serving(answering(to(f"{bucket.origin}/out/f.csv"))) as server,
    ):
        client = AccountClient(
            wire,
            ClientSettings(server.origin, True, 2**20, declared=[DeclaredOrigin(bucket.origin, "s3")]),
            _credentials("athena", keys),
            unlimited(),
            named={"s3": _credentials("s3", keys)},
        )
        await client.exchange(WireRequest("GET", f"{server.origin}/x"))
        bucket.answer = answering(to(f"{other.origin}/f"))
        await client.exchange(WireRequest("GET", f"{bucket.origin}/g"))
    assert [_accepted(asked) for asked in (*server.asked, *bucket.asked)] == [True] * 3
    assert ["/s3/" in asked.headers["authorization"] for asked in (*server.asked, *bucket.asked)] == [False, True, True]
    assert "authorization" not in other.asked[0].headers
