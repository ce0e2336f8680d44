"""An authenticated client with everything below it, for one account of the API in `login_api`."""

import asyncio
import io
from random import Random

import pytest
from aiohttp.test_utils import BaseTestServer

from tests.support.spec_samples import provider_of
from tests.worker.login_api import LOGIN, spec_with
from tidewaiter.clock import Clock
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.log import EventLog, configure
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.request_budget import Budget
from tidewaiter.worker.account_observer import AccountObserver
from tidewaiter.worker.authenticated_client import AuthenticatedClient, SignInError
from tidewaiter.worker.lease import Lease


def address_of(server: BaseTestServer) -> str:
    """A server's address without the slash at its end."""
    return str(server.make_url("")).rstrip("/")


class ClientSetup:
    """An authenticated client with everything below it."""

    def __init__(
        self,
        wire: AiohttpWire,
        origin: str,
        clock: Clock,
        limits: Limits | None = None,
        *,
        login: str = LOGIN,
        base_url: str = "${account.server}/v1",
        **more: str,
    ) -> None:
        self.clock = clock
        self.output = io.StringIO()
        self.log: EventLog = configure(
            "json", "debug", ["canary-password"], clock=clock, stream=self.output, strict=True
        )
        text = spec_with(login).replace("${account.server}/v1", base_url, 1)
        account = provider_of(text).bind("shop", {"server": origin, "password": "canary-password", **more})
        self.redactor = account.auth.redactor
        self.budget = Budget(clock, Random(1), limits or Limits())
        client = AccountClient(
            wire,
            ClientSettings(account.origin, True, 65_536, declared=account.origins.declared),
            account.auth.credentials,
            self.budget,
            named=account.auth.named,
        )
        self.client = AuthenticatedClient(
            client,
            account.auth.session,
            budget=self.budget,
            observer=AccountObserver("shop", Lease(1, 1, clock, 60.0), self.budget, clock=clock, log=self.log),
            clock=clock,
            rand=Random(1),
            log=self.log,
        )
        self.data = WireRequest("GET", f"{origin}/v1/data")
        self.submit = WireRequest("POST", f"{origin}/v1/data", fresh=True)

    async def ask(self, request: WireRequest | None = None) -> WireReply:
        """Send a request, which must not take for ever."""
        async with asyncio.timeout(20):
            return await self.client.exchange(request or self.data)

    async def failure(self, request: WireRequest | None = None) -> o.Unauthorized | o.Throttled | o.Retry:
        """What a request that cannot be signed comes to."""
        with pytest.raises(SignInError) as caught:
            await self.ask(request)
        return caught.value.outcome
