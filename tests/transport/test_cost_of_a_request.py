"""What a short request costs in calls of our own functions, and what is shared between requests."""

from dataclasses import fields, replace
from types import MappingProxyType

from tests.support.byte_servers import answering, reply, serving
from tests.support.own_calls import own_calls
from tests.transport.clients import account
from tidewaiter.domain.http_values import Credentials, WireRequest
from tidewaiter.domain.multipart import Multipart
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.request_credentials import AccountCredentials

_MOST_CALLS = 64


async def test_a_short_exchange_takes_few_calls() -> None:
    """A GET with credentials on a connection that is open: through budget, redirects, cookies, guard and limits."""
    async with serving(answering(reply(200, b'{"status":"PENDING"}'))) as server, AiohttpWire() as wire:
        client = account(wire, server, credentials=Credentials({"X-Key": "s3cret"}))
        request = WireRequest("GET", f"{server.origin}/jobs/1", MappingProxyType({"Accept": "application/json"}))
        await client.exchange(request)
        with own_calls() as counted:
            await client.exchange(request)
    assert counted.total() <= _MOST_CALLS, counted.most_common()


def test_a_request_as_it_is_sent_keeps_the_rest() -> None:
    """Every member but those three is the same, also one that is added later."""
    request = WireRequest("POST", "/a", {}, b"", True, Multipart((), "x"), frozenset("s"), "other", (("X", "2"),))
    assert all(getattr(request, one.name) != one.default for one in fields(WireRequest))
    sent = request.sent_as("/b", {"X": "1"}, b"2")
    assert sent == replace(request, url="/b", headers={"X": "1"}, body=b"2")


def test_joined_headers_are_not_those_of_another_request() -> None:
    """A mapping that cannot change is joined once; one that can is joined each time."""
    credentials = AccountCredentials(Credentials({"X-Key": "k"}))
    fixed = MappingProxyType({"Accept": "a", "x-key": "mine"})
    first, again = (credentials.added_to(WireRequest("GET", "/", fixed)).headers for _ in range(2))
    assert first == {"Accept": "a", "X-Key": "k"}
    assert again is first
    changing = {"Accept": "b"}
    assert credentials.added_to(WireRequest("GET", "/", changing)).headers == {"Accept": "b", "X-Key": "k"}
    changing["Accept"] = "c"
    assert credentials.added_to(WireRequest("GET", "/", changing)).headers == {"Accept": "c", "X-Key": "k"}
