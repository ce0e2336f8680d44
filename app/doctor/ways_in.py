"""Checks of the daemon's own addresses: does a public address, through any proxy, lead to a Tidewaiter."""

import asyncio
import json
from dataclasses import dataclass
from typing import Final

from app.clock import Clock
from app.doctor.endpoint import Endpoint, look_at_endpoint, look_at_name
from app.doctor.finding import Notes, Verdict, failure, info, ok, warning
from app.domain.callback import PATH
from app.domain.wire import WireRequest
from app.transport.errors import TransportError
from app.transport.wire import Timeouts, Wire

_TIMEOUTS: Final = Timeouts(connect_s=10.0, overall_s=20.0)
_MOST_READ: Final = 1024
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # its address on this machine
_ELSEWHERE: Final = "set another port in http.listen, or end that program"
_OURS: Final = "tidewaiter"


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply of a public address."""

    status: int
    server: str
    is_empty: bool


async def look_at_http(notes: Notes, listen: tuple[str, int], wire: Wire) -> bool:
    """Note what answers on the daemon's HTTP address; returns whether anything does."""
    host, port = listen
    own = Endpoint(_ANY.get(host, host), port, tls=False)
    if not await _listens(host, port):
        notes.add("http", info(f"nothing listens on {own} now: start the daemon to check it"))
        return False
    request = WireRequest("GET", f"http://{own}/healthz", fresh=True)
    try:
        async with wire.open(request, private_ok=True, timeouts=_TIMEOUTS, stream=False) as reply:
            body, _ = await reply.read(_MOST_READ)
    except TransportError as error:
        notes.add("http", failure(f"{own} is held by another program: {str(error).rstrip('.')}", _ELSEWHERE))
    else:
        notes.add("http", healthy(body, str(own)))
    return True


async def look_at_callbacks(notes: Notes, public_url: str, listen: tuple[str, int], wire: Wire, clock: Clock) -> None:
    """Note whether a request to the public address arrives at a Tidewaiter; it cannot make a job due."""
    if not await look_at_way_in(notes, "callbacks", public_url, listen, clock):
        return
    try:
        answer = await _asked(f"{public_url}{PATH}", wire)
    except TransportError as error:
        notes.add("callbacks", warning(str(error).rstrip("."), _mend(listen)))
    else:
        notes.add("callbacks", arrived(answer, public_url, listen))


async def look_at_way_in(notes: Notes, table: str, public_url: str, listen: tuple[str, int], clock: Clock) -> bool:
    """Note whether a public address of ours can be reached, if the daemon listens; returns whether it can.

    Args:
        notes: take the results.
        table: the configuration table with both addresses.
        public_url: the address that others use.
        listen: where the daemon listens.
        clock: for the expiry of certificates.
    """
    # Inside one's own network the public name may resolve to a private address.
    endpoint, key = Endpoint.of(public_url), f"{table}.public_url"
    if await _listens(*listen):
        return await look_at_endpoint(notes, endpoint, clock, private_ok=True, key=key)
    await look_at_name(notes, endpoint, private_ok=True, key=key)
    notes.add(table, info(f"nothing listens on {table}.listen now: start the daemon to check {public_url}"))
    return False


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUTS.connect_s):
            _, writer = await asyncio.open_connection(_ANY.get(host, host), port)
    except OSError:
        return False
    writer.transport.abort()
    return True


async def _asked(url: str, wire: Wire) -> Answer:
    request = WireRequest("POST", url, body=b"", fresh=True)
    async with wire.open(request, private_ok=True, timeouts=_TIMEOUTS, stream=False) as reply:
        body, _ = await reply.read(_MOST_READ)
        return Answer(reply.status, reply.headers.get("server", ""), not body)


def healthy(body: bytes, own: str) -> Verdict:
    """Whether the reply of the daemon's own address is a Tidewaiter's, and its status."""
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not {"status", "phase"} <= told.keys():
        return failure(f"{own} is held by another program", _ELSEWHERE)
    if told["status"] != "ok":
        return failure(f"{own} answers: {told['status']}", "look at the log of the daemon, and start it again")
    return ok(f"{own} answers: {told['phase']}")


def arrived(answer: Answer, public_url: str, listen: tuple[str, int]) -> Verdict:
    """Whether the reply of the public address is a Tidewaiter's, which does not know such a callback."""
    if answer.status == 404 and answer.server == _OURS:
        return ok(f"a request to {public_url} arrives at a Tidewaiter")
    if answer.status == 404 and answer.is_empty:
        return ok(f"a request to {public_url} is answered as a Tidewaiter does, through {answer.server or 'a proxy'}")
    by = f" by {answer.server}" if answer.server else ""
    return warning(f"{public_url} answers HTTP {answer.status}{by}, and not as a Tidewaiter does", _mend(listen))


def _mend(listen: tuple[str, int]) -> str:
    host, port = listen
    return f"let the proxy forward POST {PATH}... to {Endpoint(host, port, tls=False)}"
