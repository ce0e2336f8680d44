"""Keys in the body: as fields of a JSON object or a form, and in the query if there is neither."""

import random

import pytest

from tests.support.byte_servers import Server, answering, reply, serving
from tidewaiter.clock import SystemClock
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import Credentials, WireRequest
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.request_budget import Budget
from tidewaiter.transport.request_credentials import AccountCredentials
from tidewaiter.transport.wire import RedirectRefusedError

KEY = (("key", "s3&cret/ü"),)
QUERY = "key=s3%26cret%2F%C3%BC"
JSON = {"Content-Type": "application/json; charset=utf-8"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def posted(body: bytes | None, headers: dict[str, str]) -> WireRequest:
    """A request with that body."""
    return WireRequest("POST", "https://api.example.com/x", headers, body)


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (posted(b'{"a":1}', JSON), rb'{"a":1,"key":"s3&cret/\u00fc"}'),
        (posted(b"{}", JSON), rb'{"key":"s3&cret/\u00fc"}'),
        (posted(b'{"key":"mine"}', JSON), rb'{"key":"s3&cret/\u00fc"}'),
        (posted(b"a=1", FORM), b"a=1&key=s3%26cret%2F%C3%BC"),
        (posted(b"", FORM), b"key=s3%26cret%2F%C3%BC"),
        (posted(b"[1]", JSON), None),
        (posted(b"a,b", {"content-type": "text/csv"}), None),
        (posted(b"a", {}), None),
        (posted(None, JSON), None),
    ],
)
def test_where_a_key_finds_a_place(request_: WireRequest, body: bytes | None) -> None:
    """In an object or a form, encoded as those are; in nothing else."""
    sent = AccountCredentials(Credentials(body=KEY)).added_to(request_)
    assert sent.body == (request_.body if body is None else body)
    assert (sent.url != request_.url) == (body is None)  # it goes into the query instead


def test_without_a_key() -> None:
    """A body is left as it is, byte for byte."""
    request = posted(b'{ "a" : 1 }', JSON)
    assert AccountCredentials(Credentials(query=(("key", "k"),))).added_to(request).body == request.body


def _client(wire: AiohttpWire, server: Server) -> AccountClient:
    return AccountClient(
        wire,
        ClientSettings(server.origin, True, 2**20),
        Credentials(body=KEY),
        Budget(SystemClock(), random.Random(1), Limits()),
    )


async def test_a_key_in_what_is_sent(wire: AiohttpWire) -> None:
    """A POST has it in its body alone, with a length that is true; a GET, and a body that takes none, in the query."""
    async with serving(answering(reply())) as server:
        client = _client(wire, server)
        await client.exchange(WireRequest("POST", f"{server.origin}/x", JSON, b'{"a":1}'))
        await client.exchange(WireRequest("GET", f"{server.origin}/x?a=1"))
        await client.exchange(WireRequest("POST", f"{server.origin}/x", JSON, b"[1]"))
    assert [(asked.target, asked.body) for asked in server.asked] == [
        ("/x", rb'{"a":1,"key":"s3&cret/\u00fc"}'),
        (f"/x?a=1&{QUERY}", b""),
        (f"/x?{QUERY}", b"[1]"),
    ]


async def test_a_key_stays_at_home(wire: AiohttpWire) -> None:
    """Neither a foreign address nor a redirect that repeats the query takes it anywhere else."""
    async with serving(answering(reply())) as other, serving(answering(reply())) as server:
        client = _client(wire, server)
        await client.exchange(WireRequest("POST", f"{other.origin}/x", JSON, b'{"a":1}'))
        server.answer = answering(reply(302, b"", f"Location: {other.origin}/y?{QUERY}"))
        with pytest.raises(RedirectRefusedError):
            await client.exchange(WireRequest("GET", f"{server.origin}/x"))
        async with client.stream(WireRequest("GET", f"{other.origin}/z"), send_auth=True):
            pass
    assert [(asked.target, asked.body) for asked in other.asked] == [("/x", b'{"a":1}'), ("/z", b"")]
