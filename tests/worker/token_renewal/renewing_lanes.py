"""Processes with lanes that renew their tokens at a real server, and share a database."""

import asyncio
from random import Random

import pytest

from tests.support.spec_samples import provider_of
from tests.support.token_server import SPEC
from tidewaiter.clock import Clock
from tidewaiter.database.engine import Database
from tidewaiter.database.refresh_token_store import RefreshTokenStore
from tidewaiter.database.sealing import Seal, new_key
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.log import EventLog
from tidewaiter.providers.credentials.login_replies import LoginSession, SignedSession
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.request_budget import Budget
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
