"""An account client for a local server, and the secrets that must not leave it."""

import random

from tests.support.byte_servers import ReceivedRequest, Server, reply
from tidewaiter.clock import SystemClock
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.http_values import Credentials
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.request_budget import Budget
from tidewaiter.transport.wire import Timeouts, Wire

CREDENTIALS = Credentials({"Authorization": "Bearer s3cret", "X-Key": "s3cret"}, (("access_token", "s3cret/+ü"),))


def unlimited() -> Budget:
    """A budget that lets everything pass."""
    return Budget(SystemClock(), random.Random(1), Limits())


def account(
    wire: Wire,
    server: Server,
    *,
    credentials: Credentials = CREDENTIALS,
    budget: Budget | None = None,
    private_ok: PermittedNetworks = True,
    body_limit: int = 2**20,
) -> AccountClient:
    """A client whose provider is ``server``."""
    return AccountClient(
        wire,
        ClientSettings(server.origin, private_ok, body_limit, Timeouts(connect_s=5.0, read_s=5.0, overall_s=5.0)),
        credentials,
        budget or unlimited(),
    )


def to(location: str, status: int = 302) -> bytes:
    """A redirect."""
    return reply(status, b"", f"Location: {location}")


def secret(asked: ReceivedRequest) -> bool:
    """Whether any part of a request shows what only the provider may see."""
    return "s3cret" in f"{asked.target}{asked.headers}{asked.body!r}"
