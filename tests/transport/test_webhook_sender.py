"""One signed POST: its time, what is read of the reply, and the message of a failure."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.webhook_receiver import SECRET
from tidewaiter.clock import SystemClock
from tidewaiter.domain.networks import network_of
from tidewaiter.domain.webhook_signature import keys_of, signed_headers
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.webhook_sender import WebhookEndpoint, WebhookSender
from tidewaiter.transport.wire import BlockedAddressError

KEYS = keys_of(SECRET)


class ReceivedRequest:
    """What came, and the answer that is given to it."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.headers = {"Retry-After": "7"}
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((headers, await request.read()))
        return web.Response(status=self.status, body=b"y" * 1_000_000, headers=self.headers)


@pytest.fixture
async def asked() -> AsyncIterator[ReceivedRequest]:
    """A server on loopback."""
    made = ReceivedRequest()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        made.url = str(server.make_url("/hook?token=canary"))
        yield made


class SetClock(SystemClock):
    """A machine whose clock was set two days back after the program had started."""

    def skew(self) -> float:
        return -2 * 86_400.0


async def test_it_is_signed_as_it_is_sent(asked: ReceivedRequest) -> None:
    """The signature is of these very bytes and of the wall clock as it stands now; nothing of an account goes along."""
    body = '{"reason":"réussi"}'
    async with AiohttpWire() as wire:
        await WebhookSender(wire, SetClock()).send(WebhookEndpoint("ops", asked.url, KEYS, True), "msg_1", body)
    ((headers, content),) = asked.requests
    assert content == body.encode()
    timestamp = int(headers["webhook-timestamp"])
    assert abs(timestamp - (SystemClock().now() - 2 * 86_400)) < 60
    assert signed_headers(KEYS, "msg_1", timestamp, content).items() <= headers.items()
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("tidewaiter/")
    assert not {"authorization", "cookie"} & set(headers)


async def test_little_is_read_of_the_answer(asked: ReceivedRequest) -> None:
    """Status and headers are whole, of the body only a beginning is kept; a failure is an answer, no exception."""
    asked.status = 503
    async with AiohttpWire() as wire:
        answer = await WebhookSender(wire, SystemClock()).send(
            WebhookEndpoint("ops", asked.url, KEYS, True), "msg_1", "{}"
        )
    assert (answer.status, answer.phrase, answer.accepted) == (503, "Service Unavailable", False)
    assert answer.headers["retry-after"] == "7"
    assert len(answer.body) == 4096


async def test_a_private_address_is_refused(asked: ReceivedRequest) -> None:
    """Unless it is allowed nothing leaves, and the sentence says how it would; the path is not repeated."""
    async with AiohttpWire() as wire:
        with pytest.raises(BlockedAddressError, match="allow_private = true permits it") as caught:
            await WebhookSender(wire, SystemClock()).send(WebhookEndpoint("ops", asked.url, KEYS), "msg_1", "{}")
        other = WebhookEndpoint("ops", asked.url, KEYS, (network_of("127.0.0.2/32"), network_of("10.0.0.0/8")))
        with pytest.raises(BlockedAddressError):
            await WebhookSender(wire, SystemClock()).send(other, "msg_1", "{}")
    assert asked.requests == []
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(WebhookEndpoint("ops", asked.url, KEYS))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_named_network_and_no_redirect(asked: ReceivedRequest, status: int) -> None:
    """A receiver in a permitted network is reached; where it redirects to is not, whatever the status."""
    asked.status = status
    asked.headers = {"Location": asked.url.replace("/hook", "/elsewhere")}
    endpoint = WebhookEndpoint("ops", asked.url, KEYS, (network_of("127.0.0.1/32"),))
    async with AiohttpWire() as wire:
        answer = await WebhookSender(wire, SystemClock()).send(endpoint, "msg_1", "{}")
    assert (answer.status, answer.accepted, len(asked.requests)) == (status, False, 1)
