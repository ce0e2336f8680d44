"""Outbound webhooks of the configuration: the jobs that each endpoint is notified about, its address, and a test.

Also the addresses on which a daemon of this configuration listens, which other requests must not reach.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import SystemRandom
from typing import Final

from tidewaiter.bootstrap.start_checks import connections_of
from tidewaiter.clock import Clock, SystemClock
from tidewaiter.config import Config, host_and_port
from tidewaiter.domain.job import State
from tidewaiter.domain.notification import Subscription, render_notification
from tidewaiter.domain.webhook_signature import keys_of
from tidewaiter.transport.address_guard import OwnListeners
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.webhook_sender import WebhookEndpoint, WebhookReply, WebhookSender
from tidewaiter.transport.wire import Wire


@contextmanager
def configured_listeners(config: Config) -> Iterator[OwnListeners]:
    """The listeners that the configuration names, whether a daemon runs or not."""
    own = OwnListeners()
    with ExitStack() as stack:
        for listen in (config.http.listen, config.callbacks.listen):
            if listen is not None:
                stack.enter_context(own.at(*host_and_port(listen)))
        yield own


TEST_TYPE: Final = "tidewaiter.test"


def subscriptions_of(config: Config) -> list[Subscription]:
    """Which jobs and states every configured endpoint is notified about."""
    return [
        Subscription(
            name,
            frozenset(State(state) for state in one.states),
            None if one.accounts is None else frozenset(one.accounts),
            batches=one.batches,
        )
        for name, one in config.notifications.items()
    ]


def endpoints_of(config: Config) -> dict[str, WebhookEndpoint]:
    """The endpoints that notifications are sent to, by name."""
    return {
        name: WebhookEndpoint(name, one.url, keys_of(one.secret), one.private_ok)
        for name, one in config.notifications.items()
    }


async def send_test(config: Config, endpoint: str) -> WebhookReply:
    """Send one notification of the type ``tidewaiter.test`` now, once, without the database.

    Raises:
        KeyError: there is no endpoint of that name.
        TransportError: there was no reply.
    """
    clock = SystemClock()
    with configured_listeners(config) as own:
        async with AiohttpWire(own, connections=connections_of(config)) as wire:
            return await send_test_over(wire, clock, config, endpoint)


async def send_test_over(wire: Wire, clock: Clock, config: Config, endpoint: str) -> WebhookReply:
    """The same over an open wire; raises as :func:`send_test` does."""
    where = endpoints_of(config)[endpoint]
    body = render_notification(
        TEST_TYPE, clock.now(), {"endpoint": endpoint, "reason": "a person has asked for a test"}
    )
    return await WebhookSender(wire, clock).send(where, f"msg_{SystemRandom().getrandbits(128):032x}", body)
