"""Notifications as the configuration has them, made real: who wants what, where it goes, and one sent for a test."""

from random import SystemRandom
from typing import Final

from app.bootstrap.listeners import configured_listeners
from app.clock import SystemClock
from app.config import Config
from app.domain.job import State
from app.domain.notification import Subscription, render
from app.domain.signing import keys_of
from app.transport.aiohttp_wire import AiohttpWire
from app.transport.webhook import Answer, Endpoint, WebhookSender

TEST_TYPE: Final = "tidewaiter.test"


def subscriptions_of(config: Config) -> list[Subscription]:
    """What every configured endpoint wants to hear."""
    return [
        Subscription(
            name,
            frozenset(State(state) for state in one.states),
            None if one.accounts is None else frozenset(one.accounts),
        )
        for name, one in config.notifications.items()
    ]


def endpoints_of(config: Config) -> dict[str, Endpoint]:
    """Where notifications go, by the name of the endpoint."""
    return {
        name: Endpoint(name, one.url, keys_of(one.secret), one.private_ok) for name, one in config.notifications.items()
    }


async def send_test(config: Config, endpoint: str) -> Answer:
    """Send one notification of the type ``tidewaiter.test`` now, once, past the database.

    Raises:
        KeyError: there is no endpoint of that name.
        TransportError: nothing was answered.
    """
    clock = SystemClock()
    where = endpoints_of(config)[endpoint]
    body = render(TEST_TYPE, clock.now(), {"endpoint": endpoint, "reason": "a person has asked for a test"})
    with configured_listeners(config) as own:
        async with AiohttpWire(own) as wire:
            return await WebhookSender(wire, clock).send(where, f"msg_{SystemRandom().getrandbits(128):032x}", body)
