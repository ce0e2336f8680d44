"""Renewals on a server that replaces refresh tokens, with real databases: one writer, and no token twice unasked."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from sqlalchemy import text

from tests.support.spec_samples import provider_of
from tests.support.token_server import SPEC, TokenServer
from tidewaiter.clock import Clock, SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.refresh_token_store import LONGEST_RENEWAL_S, RefreshTokenStore
from tidewaiter.database.sealing import Seal, new_key
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.log import EventLog, configure
from tidewaiter.providers.credentials.login_replies import LoginSession, SignedSession
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.request_budget import Budget
from tidewaiter.transport.wire import DrainingError, LeaseOverError
from tidewaiter.worker.account_observer import AccountObserver
from tidewaiter.worker.authenticated_client import AuthenticatedClient, SignInError
from tidewaiter.worker.lease import Lease
from tidewaiter.worker.token_renewal import RefreshTokens, RenewingLane

KEY = new_key()
TRY_ANEW = ": log in anew and set accounts.shop.settings.login, or resume the account to try the stored one"


class Process:
    """One process: a log, and lanes that share what a process shares."""

    def __init__(self, wire: AiohttpWire, origin: str, database: Database, clock: Clock, log: EventLog) -> None:
        self.store = RefreshTokenStore(database, Seal([KEY]))
        self.tokens = RefreshTokens(self.store, clock, log)
        self.sessions: dict[str, LoginSession | SignedSession | None] = {}
        self.wire, self.origin, self.clock, self.log = wire, origin, clock, log

    def lane(
        self,
        number: int = 1,
        configured: str = "canary-rt-0",
        *,
        spec: str = SPEC,
        lease_s: float = 60.0,
        limits: Limits | None = None,
    ) -> "LaneClient":
        """A lane of the account."""
        return LaneClient(self, number, configured, spec=spec, lease_s=lease_s, limits=limits or Limits())


class LaneClient:
    """The authenticated client of a lane."""

    def __init__(
        self, process: Process, number: int, configured: str, *, spec: str, lease_s: float, limits: Limits
    ) -> None:
        account = provider_of(spec).bind("shop", {"server": process.origin, "login": configured})
        account.auth.redactor.join(process.log.redactor)
        session = process.sessions.setdefault(configured, account.auth.session)
        self.budget = Budget(process.clock, Random(number), limits)
        lease = Lease(number, 1, process.clock, lease_s)
        observer = AccountObserver("shop", lease, self.budget, clock=process.clock, log=process.log)
        client = AccountClient(
            process.wire,
            ClientSettings(account.origin, True, 65_536),
            account.auth.credentials,
            self.budget,
            may_send=lease.held,
        )
        lane = RenewingLane("shop", client, self.budget, observer)
        self.client = AuthenticatedClient(
            client,
            session,
            budget=self.budget,
            observer=observer,
            clock=process.clock,
            rand=Random(number),
            log=process.log,
            renewal=process.tokens.renewal(lane, session),
        )
        self.data = WireRequest("GET", f"{process.origin}/v1/data")

    async def ask(self) -> WireReply:
        """A request that needs the token."""
        async with asyncio.timeout(20):
            return await self.client.exchange(self.data)

    async def failure(self) -> o.Unauthorized | o.Throttled | o.Retry:
        """What a request without a token comes to."""
        with pytest.raises(SignInError) as caught:
            await self.ask()
        return caught.value.outcome


@pytest.fixture
def api() -> TokenServer:
    """What the server does."""
    return TokenServer()


@pytest.fixture
async def server(api: TokenServer) -> AsyncIterator[BaseTestServer]:
    """The API on the loopback interface."""
    async with TestServer(api.application(), host="127.0.0.1") as running:
        yield running


@pytest.fixture
def output() -> io.StringIO:
    """What is logged."""
    return io.StringIO()


@pytest.fixture
async def make_process(
    server: BaseTestServer, database: Database, output: io.StringIO
) -> AsyncIterator[Callable[[], Process]]:
    """Makes processes that share the database."""
    clock = SystemClock()
    log = configure("json", "debug", ["canary-rt-0"], clock=clock, stream=output, strict=True)
    async with AiohttpWire() as wire:
        yield lambda: Process(wire, str(server.make_url("")).rstrip("/"), database, clock, log)
    log.close()


@pytest.fixture
def process(make_process: Callable[[], Process]) -> Process:
    """One of them."""
    return make_process()


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


# --- replies that lie, and other tokens -------------------------------------------------------------------------------


async def test_a_new_refresh_token_without_an_access_token(process: Process, api: TokenServer) -> None:
    """The account is refused; but the only good refresh token is stored."""

    async def halved(_request: web.Request, _response: web.Response) -> web.Response:
        return web.json_response({"refresh_token": "canary-rt-1", "error": "no access with canary-rt-1"})

    whole, api.answer = api.answer, halved
    failed = await process.lane().failure()
    assert isinstance(failed, o.Unauthorized)
    assert "canary" not in failed.reason
    api.answer = whole
    assert (await process.lane().ask()).status == 200
    assert api.sent == ["canary-rt-0", "canary-rt-1"]


async def test_a_refusal_that_quotes_the_stored_token(process: Process, api: TokenServer, database: Database) -> None:
    """A process that reads it from the database sends it, and no reason shows it."""
    await process.lane().ask()
    api.end_access()
    api.revoked = True
    output = io.StringIO()
    log = configure("json", "debug", ["canary-rt-0"], clock=process.clock, stream=output, strict=True)
    failed = await Process(process.wire, process.origin, database, process.clock, log).lane(2).failure()
    log.close()
    remedy = "if that means the refresh token, log in anew and set accounts.shop.settings.login"
    assert failed.reason == f"the login failed: HTTP 400: [redacted] is spent; {remedy}"
    assert "canary" not in output.getvalue()


async def test_a_refusal_that_quotes_the_new_token(process: Process, api: TokenServer, output: io.StringIO) -> None:
    """Neither kind of token is shown."""

    async def unusable(_: web.Request, response: web.Response) -> web.Response:
        response.text = (response.text or "").replace("canary-at", "canary-no")
        return response

    api.answer = unusable
    failed = await process.lane().failure()
    assert failed.reason == "a new token was refused as well: HTTP 401: log in with [redacted]"
    assert api.sent == ["canary-rt-0", "canary-rt-1"]
    assert "canary" not in output.getvalue()


async def test_a_newly_configured_token(
    make_process: Callable[[], Process], api: TokenServer, output: io.StringIO
) -> None:
    """It gives way to nothing; a process with the older one stops renewing, and says what to do."""
    old = make_process()
    await old.lane().ask()
    api.log_in_anew("fresh-canary-0")
    new = make_process()
    assert (await new.lane(configured="fresh-canary-0").ask()).status == 200
    api.end_access()
    failed = await old.lane(2).failure()
    assert isinstance(failed, o.Retry)
    assert failed.reason.startswith("the configured refresh token gave way to a newer one")
    assert (await new.lane(2, "fresh-canary-0").ask()).status == 200
    assert api.sent == ["canary-rt-0", "fresh-canary-0", "fresh-canary-1"]
    assert output.getvalue().count('"refresh_token.replaced"') == 1


async def test_a_provider_that_does_not_replace_after_all(process: Process, api: TokenServer) -> None:
    """The same token is sent each time."""
    api.rotates = False
    lane = process.lane()
    await lane.ask()
    api.end_access()
    assert (await lane.ask()).status == 200
    assert api.sent == ["canary-rt-0"] * 2


async def test_a_provider_that_replaces_although_the_spec_denies_it(
    process: Process, api: TokenServer, output: io.StringIO, database: Database
) -> None:
    """Nothing is stored; the log warns, and does not show the token."""
    lane = process.lane(spec=SPEC.replace("rotates = true", "rotates = false"))
    assert (await lane.ask()).status == 200
    assert '"refresh_token.ignored"' in output.getvalue()
    assert "canary" not in output.getvalue()
    assert await process.store.stored() == {}


async def test_another_key(process: Process, database: Database, api: TokenServer) -> None:
    """The configured token is spent by now, so it does not take the place of the stored one."""
    await process.lane().ask()
    process.tokens = RefreshTokens(RefreshTokenStore(database, Seal([new_key()])), process.clock, process.log)
    failed = await process.lane(2).failure()
    assert isinstance(failed, o.Unauthorized)
    assert failed.reason.startswith("no key decrypts the stored refresh token: put its key back")
    assert api.sent == ["canary-rt-0"]
