"""Signatures on the wire: made for what is really sent, anew for each request, and for the provider's origin only."""

import hmac
from asyncio import StreamWriter
from random import Random

import pytest

from tests.support.byte_servers import ReceivedRequest, Server, answering, reply, serving
from tests.transport.clients import account, to, unlimited
from tidewaiter.clock import SystemClock
from tidewaiter.domain.http_values import Credentials, WireRequest
from tidewaiter.domain.request_signing import RequestSigner
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.credentials.hmac_signing import HmacSigner
from tidewaiter.providers.spec.signing_spec import HmacAuth
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.wire import RedirectRefusedError

SECRET = "canary-secret"
SPEC = HmacAuth.model_validate(
    {
        "type": "hmac",
        "key": "${account.secret}",
        "string_to_sign": "${request.method} ${request.host}${request.target} ${time.epoch} ${nonce} ${request.body}",
        "headers": {"X-Signature": "${signature}", "X-Time": "${time.epoch}", "X-Nonce": "${nonce}"},
    }
)


def _signer() -> RequestSigner:
    return HmacSigner(SPEC, "auth", SECRET, {}, Redactor())


def _is_signed(asked: ReceivedRequest) -> bool:
    """Verify a request as a server does: by what came over the wire, without a line of ours."""
    if "x-signature" not in asked.headers:
        return False
    given = asked.headers
    parts = [asked.method, given["host"] + asked.target, given["x-time"], given["x-nonce"]]
    text = " ".join(parts).encode() + b" " + asked.body
    return hmac.compare_digest(hmac.new(SECRET.encode(), text, "sha256").hexdigest(), given["x-signature"])


class _SetRight(SystemClock):
    """A machine whose clock was an hour slow when the daemon started, and has been set right since."""

    def now(self) -> float:
        return 1_700_000_000.0 - 3600.0

    def skew(self) -> float:
        return 3600.0


def _client(wire: AiohttpWire, server: Server) -> AccountClient:
    return account(wire, server, credentials=Credentials(signer=_signer()))


REQUESTS = [
    WireRequest("GET", "/v1/x"),
    WireRequest("HEAD", "/v1/x"),
    WireRequest("GET", "/v1/%C3%A4%20b/%2F?b=2&a=1+x&a=%20&c"),
    WireRequest("GET", "/v1/x?"),
    WireRequest("POST", "/v1/x", {"content-type": "application/json"}, b'{"a":1}'),
    WireRequest("POST", "/v1/x", {}, b""),
    WireRequest("POST", "/v1/x"),
    WireRequest("PUT", "/v1/x", {}, bytes(range(256))),
    WireRequest("DELETE", "/v1/x"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: f"{one.method} {one.url}")
async def test_the_server_can_verify(wire: AiohttpWire, request_: WireRequest) -> None:
    """Whatever is asked: the signature is that of the bytes that arrive."""
    async with serving(answering(reply())) as server:
        url = f"{server.origin}{request_.url}"
        await _client(wire, server).exchange(WireRequest(request_.method, url, request_.headers, request_.body))
    assert [_is_signed(asked) for asked in server.asked] == [True]


async def test_each_request_is_signed_anew(wire: AiohttpWire) -> None:
    """A repeat has a signature of its own; so has a download, which is streamed."""
    async with serving(answering(reply())) as server:
        client, request = _client(wire, server), WireRequest("GET", f"{server.origin}/x")
        await client.exchange(request)
        await client.exchange(request)
        async with client.stream(request, send_auth=True):
            pass
        async with client.stream(request, send_auth=False):
            pass
    assert [_is_signed(asked) for asked in server.asked] == [True, True, True, False]
    assert len({asked.headers["x-nonce"] for asked in server.asked[:3]}) == 3


async def test_redirects(wire: AiohttpWire) -> None:
    """Each hop at the provider is signed for its own address; no other host gets a signature, nor what comes back."""
    async with serving(answering(reply(200, b"file"))) as other, serving(answering(reply())) as server:
        client = _client(wire, server)
        server.answer = answering(to("/y?z=1"), to(f"{other.origin}/f"))
        await client.exchange(WireRequest("GET", f"{server.origin}/x"))
        assert [(asked.target, _is_signed(asked)) for asked in server.asked] == [("/x", True), ("/y?z=1", True)]
        assert [sorted(asked.headers.keys() & {"x-signature", "x-nonce", "x-time"}) for asked in other.asked] == [[]]
        other.answer = answering(to(f"{server.origin}/back"))
        server.answer = answering(to(f"{other.origin}/f"), reply())
        await client.exchange(WireRequest("GET", f"{server.origin}/x"))
    assert server.asked[-1].target == "/back"
    assert "x-signature" not in server.asked[-1].headers


async def test_a_signature_in_an_address_goes_nowhere_else(wire: AiohttpWire) -> None:
    """A redirect to another host is followed, unless it repeats what was added to the query."""
    spec = SPEC.model_copy(update={"headers": {}, "query": {"sig": "${signature}", "key": "${account.secret}"}})
    signer = HmacSigner(spec, "auth", SECRET, {"secret": SECRET}, Redactor())
    async with serving(answering(reply())) as other, serving(answering(reply())) as server:
        client = account(wire, server, credentials=Credentials(signer=signer))
        server.answer = answering(to(f"{other.origin}/f?sig=1"))
        await client.exchange(WireRequest("GET", f"{server.origin}/x"))

        async def echo(asked: ReceivedRequest, writer: StreamWriter) -> None:
            writer.write(to(f"{other.origin}/f?{asked.target.partition('?')[2].split('&')[echoed]}"))

        server.answer = echo
        for echoed in (0, 1):  # noqa: B007  # read by `echo`
            with pytest.raises(RedirectRefusedError):
                await client.exchange(WireRequest("GET", f"{server.origin}/x"))
    assert "sig=" in server.asked[0].target
    assert [asked.target for asked in other.asked] == ["/f?sig=1"]


async def test_a_clock_that_was_set_right(wire: AiohttpWire) -> None:
    """The time in a signature is that of the machine's clock now, although the daemon's own time does not jump."""
    async with serving(answering(reply())) as server:
        client = AccountClient(
            wire,
            ClientSettings(server.origin, True, 2**20),
            Credentials(signer=_signer()),
            unlimited(),
            clock=_SetRight(),
            rand=Random(1),
        )
        await client.exchange(WireRequest("GET", f"{server.origin}/x"))
    assert server.asked[0].headers["x-time"] == "1700000000"
    assert len(server.asked[0].headers["x-nonce"]) == 32
