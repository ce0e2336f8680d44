"""Renewals on a server that replaces refresh tokens, with real databases: one writer, and no token twice unasked."""

import asyncio
import io
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer
from sqlalchemy import text

from tests.support.token_server import SPEC, TokenServer
from tests.worker.token_renewal.renewing_lanes import TRY_ANEW, Process
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.refresh_token_store import LONGEST_RENEWAL_S
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.transport.wire import DrainingError, LeaseOverError


async def _make_old(database: Database) -> None:
    async with database.writing() as connection:
        older = text("UPDATE refresh_tokens SET renewing_since = renewing_since - :seconds")
        await connection.execute(older, {"seconds": LONGEST_RENEWAL_S + 5})


# --- one writer -------------------------------------------------------------------------------------------------------


async def test_each_renewal_sends_the_token_of_the_one_before(
    process: Process, api: TokenServer, output: io.StringIO
) -> None:
    """The configured token is the first, and no token stands in the log."""
    lane = process.lane()
    for _ in range(3):
        assert (await lane.ask()).status == 200
        api.end_access()
    assert api.sent == ["canary-rt-0", "canary-rt-1", "canary-rt-2"]
    logged = output.getvalue()
    assert logged.count('"refresh_token.stored"') == 3
    assert "canary" not in logged


async def test_lanes_of_one_process_share_the_access_token(process: Process, api: TokenServer) -> None:
    """Twenty requests on four lanes make one renewal, and a refused token one more."""
    lanes = [process.lane(number) for number in range(4)]
    for renewals in (1, 2):
        replies = await asyncio.gather(*(lane.ask() for lane in lanes for _ in range(5)))
        assert {reply.status for reply in replies} == {200}
        assert api.renewals == renewals
        api.end_access()
    assert api.reused == []


@pytest.mark.slow
async def test_processes_renew_one_after_the_other(make_process: Callable[[], Process], api: TokenServer) -> None:
    """The second waits for the mark of the first, and sends what the first has stored."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(_: web.Request, response: web.Response) -> web.Response:
        arrived.set()
        await go_on.wait()
        return response

    api.answer = slowly
    first = asyncio.ensure_future(make_process().lane().ask())
    await arrived.wait()
    waiting = make_process()
    second = asyncio.ensure_future(waiting.lane().ask())
    while waiting.tokens._shared["shop"].under_way is None:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert api.sent == ["canary-rt-0"]
    go_on.set()
    await asyncio.gather(first, second)
    assert api.sent == ["canary-rt-0", "canary-rt-1"]
    assert api.reused == []


@pytest.mark.slow
async def test_the_permit_is_free_while_a_renewal_is_waited_for(process: Process, api: TokenServer) -> None:
    """An account with one request at a time does not block itself."""
    begun = await process.store.begin("shop", "canary-rt-0", reuse=False)
    lane = process.lane(limits=Limits(concurrency=1))
    asking = asyncio.ensure_future(lane.ask())
    while not process.tokens._shared["shop"].under_way:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    await process.store.finish("shop", begun.version, None)  # type: ignore[union-attr]
    assert (await asking).status == 200
    assert api.reused == []


async def test_a_lane_that_ends_does_not_wait(process: Process) -> None:
    """Another process renews; a drain is not held up."""
    await process.store.begin("shop", "canary-rt-0", reuse=False)
    lane = process.lane()
    lane.budget.drain(0.0)
    with pytest.raises(DrainingError):
        await lane.ask()


# --- ends that nobody knows -------------------------------------------------------------------------------------------


async def _cut_off(request: web.Request, _: web.Response) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _with(
    status: int, body: bytes = b"<html>bad gateway</html>", retry_after: str | None = None
) -> Callable[..., Awaitable[web.Response]]:
    async def answer(_request: web.Request, _response: web.Response) -> web.Response:
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        return web.Response(status=status, body=body, headers=headers)

    return answer


async def _half(request: web.Request, response: web.Response) -> web.StreamResponse:
    """The body ends before its length."""
    cut = web.StreamResponse(headers={"Content-Length": "500", "Content-Type": "application/json"})
    await cut.prepare(request)
    await cut.write(bytes(response.body or b"")[:20])  # type: ignore[arg-type]
    assert request.transport is not None
    request.transport.abort()
    return cut


UNKNOWN = [
    pytest.param(_cut_off, id="no reply"),
    pytest.param(_half, id="half a reply"),
    pytest.param(_with(500), id="500"),
    pytest.param(_with(502), id="502"),
    pytest.param(_with(503), id="503 of a proxy"),
    pytest.param(_with(504), id="504"),
    pytest.param(_with(408), id="408"),
    pytest.param(_with(200), id="a page of HTML"),
    pytest.param(_with(200, b""), id="nothing"),
    pytest.param(_with(200, b'{"refresh_token": "canary-x", "x": "' + b"x" * 70_000), id="too long"),
]


@pytest.mark.parametrize("answer", UNKNOWN)
async def test_an_unknown_end_pauses_the_account(
    process: Process, api: TokenServer, answer: Callable[..., Awaitable[web.Response]], output: io.StringIO
) -> None:
    """The token may be spent, so it is not sent again until a person asks for it."""
    api.answer = answer
    failed = await process.lane().failure()
    assert isinstance(failed, o.Unauthorized)
    assert failed.reason.endswith(f"so the refresh token may have been used{TRY_ANEW}")
    again = await process.lane(2).failure()
    end = "the refresh token may have been used by a renewal whose end is not known"
    assert again == o.Unauthorized(end + TRY_ANEW)
    assert api.sent == ["canary-rt-0"]
    assert await process.store.resume("shop")
    assert isinstance(await process.lane(3).failure(), o.Unauthorized)
    assert api.reused == ["canary-rt-0"], "a person has asked for it"
    assert "canary" not in output.getvalue() + failed.reason + again.reason


@pytest.mark.parametrize("answer", UNKNOWN)
async def test_a_provider_that_accepts_old_tokens(
    process: Process, api: TokenServer, answer: Callable[..., Awaitable[web.Response]]
) -> None:
    """Then an unknown end is a failure as any other."""
    api.rotates = False
    lane = process.lane(spec=SPEC.replace("rotates = true", "rotates = true\nreuse = true"))
    whole, api.answer = api.answer, answer
    assert isinstance(await lane.failure(), o.Retry | o.Throttled)
    api.answer = whole
    lane.budget.reopen()
    assert (await lane.ask()).status == 200
    assert set(api.sent) == {"canary-rt-0"}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(_with(429), id="429"),
        pytest.param(_with(503, retry_after="1"), id="503 of the provider"),
        pytest.param(_with(425), id="425"),
        pytest.param(_with(400, b'{"error": "invalid_grant"}'), id="refused"),
        pytest.param(_with(403, b"<html>"), id="refused by a wall"),
    ],
)
async def test_a_reply_that_says_that_nothing_was_used(
    process: Process, api: TokenServer, answer: Callable[..., Awaitable[web.Response]]
) -> None:
    """The token can be sent again, at once or after a pause as for any refused credential."""
    api.rotates = False
    whole, api.answer = api.answer, answer
    lane = process.lane()
    failed = await lane.failure()
    assert "may have been used" not in failed.reason
    api.answer = whole
    lane.budget.reopen()
    assert (await lane.ask()).status == 200


async def test_a_process_that_died(process: Process, database: Database, api: TokenServer) -> None:
    """Its mark holds others up as long as a request may take; then a person decides."""
    await process.store.begin("shop", "canary-rt-0", reuse=False)
    assert await process.store.depart("shop", 1)
    await _make_old(database)
    failed = await process.lane().failure()
    assert isinstance(failed, o.Unauthorized)
    assert "may have been used by a renewal whose end is not known" in failed.reason
    assert api.sent == []
    await process.store.resume("shop")
    assert (await process.lane().ask()).status == 200


async def test_a_process_that_died_before_it_sent_the_token(
    process: Process, database: Database, api: TokenServer
) -> None:
    """Its mark proves that the token was not used, so nobody has to decide; and it sends nothing if it comes back."""
    await process.store.begin("shop", "canary-rt-0", reuse=False)
    await _make_old(database)
    assert (await process.lane().ask()).status == 200
    assert api.sent == ["canary-rt-0"]
    assert not await process.store.depart("shop", 1)


async def test_nothing_was_sent(process: Process, server: BaseTestServer, api: TokenServer) -> None:
    """Without a connection, and without the lease, the token is as good as before."""
    lost = process.lane(lease_s=0.0)
    with pytest.raises(LeaseOverError):
        await lost.ask()
    process.origin = "http://127.0.0.1:1"
    process.sessions.clear()
    assert isinstance(await process.lane(2).failure(), o.Retry)
    process.origin = str(server.make_url("")).rstrip("/")
    process.sessions.clear()
    assert (await process.lane(3).ask()).status == 200
    assert api.sent == ["canary-rt-0"]


async def test_a_departure_whose_commit_is_not_acknowledged(
    process: Process, api: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be stored, but this process knows that it has sent nothing: nobody has to decide."""
    depart = process.store.depart

    async def lost(account: str, version: int) -> bool:
        await depart(account, version)
        raise StoreUnavailableError("the connection broke")

    monkeypatch.setattr(process.store, "depart", lost)
    with pytest.raises(StoreUnavailableError):
        await process.lane().ask()
    assert not (await process.store.stored())["shop"].renewing
    monkeypatch.undo()
    assert (await process.lane(2).ask()).status == 200
    assert api.sent == ["canary-rt-0"]


# --- interruptions ----------------------------------------------------------------------------------------------------


async def test_an_interrupted_step_does_not_lose_the_reply(process: Process, api: TokenServer) -> None:
    """It waits a little, and the new token is stored; the next step uses the access token."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(_: web.Request, response: web.Response) -> web.Response:
        arrived.set()
        await go_on.wait()
        return response

    api.answer = slowly
    lane = process.lane()
    asking = asyncio.ensure_future(lane.ask())
    await arrived.wait()
    asking.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await lane.ask()).status == 200
    assert api.sent == ["canary-rt-0"]


@pytest.mark.slow
async def test_a_database_that_fails_between_reply_and_commit(
    process: Process, api: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The access token is not used before the refresh token is stored; the renewal waits for the database."""
    tries = 0
    finish = process.store.finish

    async def late(account: str, version: int, token: str | None) -> bool:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StoreUnavailableError("the disk is full")
        return await finish(account, version, token)

    monkeypatch.setattr(process.store, "finish", late)
    assert (await process.lane().ask()).status == 200
    assert tries == 3
    api.end_access()
    monkeypatch.undo()
    assert (await process.lane(2).ask()).status == 200
    assert api.sent == ["canary-rt-0", "canary-rt-1"]
