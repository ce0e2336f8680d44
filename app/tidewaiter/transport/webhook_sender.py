"""One signed POST to a receiver of notifications: no redirects, a bounded wait, and a bounded read of the reply."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.domain.webhook_signature import signed_headers
from tidewaiter.transport.wire import BrokenBodyError, Timeouts, Wire

# The convention asks for 15 to 30 seconds; connecting must be the shorter of the two.
PATIENCE: Final = Timeouts(connect_s=10.0, overall_s=15.0)
_MOST_READ: Final = 4096


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Where notifications go: an absolute URL, percent-encoded, and the keys that sign them.

    ``private_ok`` says which private addresses it may have.
    """

    name: str
    url: str = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)
    private_ok: PermittedNetworks = False


@dataclass(frozen=True, slots=True)
class WebhookReply:
    """A receiver's reply; ``body`` is its beginning, for people.

    ``headers`` are looked up without regard to case, or in lower case.
    """

    status: int
    phrase: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def accepted(self) -> bool:
        """Whether the receiver has accepted the notification, by any 2xx status."""
        return 200 <= self.status < 300


class WebhookSender:
    """Sends notifications by the Standard Webhooks convention.

    Args:
        wire: the network.
        clock: the time that goes into each signature.
        timeouts: how long a receiver may take.
    """

    def __init__(self, wire: Wire, clock: Clock, timeouts: Timeouts = PATIENCE) -> None:
        self._wire = wire
        self._clock = clock
        self._timeouts = timeouts

    async def send(self, endpoint: WebhookEndpoint, message_id: str, body: str) -> WebhookReply:
        """Send one notification once.

        Raises:
            TransportError: there was no reply; the receiver may or may not have the notification.
        """
        content = body.encode()
        # The wall clock as it is set now: receivers refuse a time that is minutes off.
        timestamp = int(self._clock.now() + self._clock.skew())
        headers = {
            "Content-Type": "application/json",
            **signed_headers(endpoint.keys, message_id, timestamp, content),
        }
        request = WireRequest("POST", endpoint.url, headers, content)
        opened = self._wire.open(request, private_ok=endpoint.private_ok, timeouts=self._timeouts, stream=False)
        async with opened as raw:
            body_start = b""
            # The status has decided already; an error in the body changes nothing.
            with suppress(BrokenBodyError):
                body_start, _ = await raw.read(_MOST_READ)
            return WebhookReply(raw.status, raw.phrase, raw.headers, body_start)
