"""A client of a server on this machine, and what must not leave it."""

import random

from app.clock import SystemClock
from app.domain.networks import Private
from app.domain.schedule import Limits
from app.domain.wire import Credentials
from app.transport.budget import Budget
from app.transport.client import AccountClient, ClientSettings
from app.transport.wire import Timeouts, Wire
from tests.transport.servers import Asked, Server, reply

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
    private_ok: Private = True,
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


def secret(asked: Asked) -> bool:
    """Whether any part of a request shows what only the provider may see."""
    return "s3cret" in f"{asked.target}{asked.headers}{asked.body!r}"
