"""The webhook dispatcher: delivers notifications from the database, at least once, a few at a time for each endpoint.

A notification is claimed and sent, and the result is stored. If the daemon dies in between, it is sent again with the
same id. Each endpoint has a few slots, so a slow or broken endpoint delays no other. Jobs never wait for
notifications.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.delivery_store import ClaimedNotification, DeliveryAttempt, DeliveryStore
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.notification_store import Notification
from tidewaiter.domain.notification import CLAIM_S, delivery_retry_in
from tidewaiter.log import EventLog
from tidewaiter.providers.replies.reply_headers import retry_after
from tidewaiter.transport.webhook_sender import WebhookEndpoint, WebhookReply, WebhookSender
from tidewaiter.transport.wire import TransportError
from tidewaiter.worker.endpoint_health import EndpointHealth
from tidewaiter.worker.endpoint_recovery import EndpointRecovery

OVERDUE_S: Final = 3600.0
"""A notification for an endpoint that no daemon has configured is given up after so long."""

LONGEST_CLOSING_S: Final = 3600.0
"""The longest time that an endpoint is closed, even if its receiver asks for more."""

_AT_ONCE: Final = 4
_EARLY_GROUP: Final = 100
_UNKNOWN_EVERY_S: Final = 60.0
_UNKNOWN_GROUP: Final = 500
_STORE_RETRY_S: Final = 1.0
_GONE: Final = 410
_LONGEST_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class DispatcherSettings:
    """The endpoints by name, and how often the dispatcher looks for due notifications, in seconds."""

    endpoints: Mapping[str, WebhookEndpoint]
    lookout_s: float


class WebhookDispatcher:
    """Delivers notifications to the endpoints of the configuration.

    Args:
        store: has the notifications.
        sender: sends one.
        settings: the endpoints, and the interval.
        clock: the time.
        rand: spreads attempts.
        log: receives every delivery.
    """

    def __init__(
        self,
        store: DeliveryStore,
        sender: WebhookSender,
        settings: DispatcherSettings,
        *,
        clock: Clock,
        rand: Random,
        log: EventLog,
    ) -> None:
        self._store = store
        self._sender = sender
        self._settings = settings
        self._clock = clock
        self._rand = rand
        self._log = log
        self._claimed: dict[int, ClaimedNotification] = {}
        self._busy: Counter[str] = Counter()
        self._closed_until: dict[str, float] = {}
        self._ended: list[DeliveryAttempt] = []
        self._wake = asyncio.Event()
        self._gave_up_at = clock.monotonic()
        self._health = EndpointHealth(clock, log)
        self._recovery = EndpointRecovery(clock)

    def reconfigure(self, settings: DispatcherSettings) -> None:
        """Use these endpoints from the next round on; a delivery under way goes on as it was begun."""
        self._settings = settings
        self._closed_until.clear()
        self._health.forget()
        self._recovery.forget()
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled; claims that are not delivered by then are released."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._round(group)
        finally:
            # Otherwise another daemon would wait a minute until the claims expire.
            with suppress(StoreUnavailableError):
                await self._settle()
                if self._claimed:
                    await self._store.release(list(self._claimed.values()))

    async def _round(self, group: asyncio.TaskGroup) -> None:
        """Store results, begin what is due, and wait until there is more to do."""
        self._wake.clear()
        try:
            await self._settle()
            await self._give_up_unknown()
            delay_s = await self._begin(group)
        except StoreUnavailableError as error:
            self._log.emit("store.unavailable", reason=str(error), waiting=len(self._ended))
            delay_s = _STORE_RETRY_S
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._wake.wait()

    # --- deliveries ---------------------------------------------------------------------------------------------------

    async def _begin(self, group: asyncio.TaskGroup) -> float:
        """Begin due deliveries, as far as slots are free; returns the seconds until the next round."""
        now, endpoints = self._clock.monotonic(), self._settings.endpoints
        free = {
            name: _AT_ONCE - self._busy[name]
            for name in endpoints
            if self._busy[name] < _AT_ONCE and self._closed_until.get(name, now) <= now
        }
        opens_in_s = [until - now for until in self._closed_until.values() if until > now]
        due_in_s = await self._bring_forward(await self._store.next_due(list(free)))
        self._health.warn({*due_in_s, *endpoints.keys() - free.keys()})
        due = {name: free[name] for name, seconds in due_in_s.items() if seconds <= 0}
        for claimed in await self._store.claim(due, CLAIM_S) if due else ():
            self._claimed[claimed.notification.id] = claimed
            self._busy[claimed.notification.endpoint] += 1
            group.create_task(self._deliver(claimed, endpoints[claimed.notification.endpoint]))
        every_s = self._settings.lookout_s if endpoints else _UNKNOWN_EVERY_S
        return min([every_s, *opens_in_s, *(seconds for seconds in due_in_s.values() if seconds > 0)])

    async def _bring_forward(self, due_in_s: Mapping[str, float]) -> dict[str, float]:
        """Make some of what waits due for endpoints that work again, and have nothing due; returns when it is due."""
        sooner: dict[str, float] = {}
        for name, seconds in due_in_s.items():
            if seconds > 0 and (since_s := self._recovery.since_s(name)) is not None:
                brought = await self._store.bring_forward(name, since_s, _EARLY_GROUP, self._recovery.place(name))
                self._recovery.brought(name, brought)
                if brought:
                    sooner[name] = 0.0
        return {**due_in_s, **sooner}

    async def _deliver(self, claimed: ClaimedNotification, endpoint: WebhookEndpoint) -> None:
        """Send one notification, and keep the result."""
        notification = claimed.notification
        try:
            reply = await self._sender.send(endpoint, notification.message_id, claimed.body)
            attempt = self._attempt_of(claimed, reply)
        except TransportError as error:
            attempt = self._failed(claimed, str(error))
        except MemoryError:
            raise  # the daemon ends, and starts again with all its memory
        except Exception as error:  # noqa: BLE001  # a fault of ours must end neither the daemon nor the notification
            attempt = self._failed(claimed, f"a fault of Tidewaiter: {type(error).__name__}: {error}")
        finally:
            self._busy[notification.endpoint] -= 1
        self._ended.append(attempt)
        self._wake.set()

    def _attempt_of(self, claimed: ClaimedNotification, reply: WebhookReply) -> DeliveryAttempt:
        if reply.accepted:
            return DeliveryAttempt(claimed, delivered=True)
        status_line = f"HTTP {reply.status} {reply.phrase}".strip()
        if reply.status == _GONE:
            return self._failed(claimed, f"{status_line}: the receiver accepts no more notifications", again=False)
        if 300 <= reply.status < 400:
            return self._failed(
                claimed, f"{status_line}: redirects are not followed; configure the address that it leads to"
            )
        asked_s = retry_after(reply.headers, self._clock.now())
        if asked_s is not None:
            self._close_endpoint(claimed.notification.endpoint, asked_s)
        return self._failed(claimed, status_line, asked_s)

    def _failed(
        self, claimed: ClaimedNotification, error: str, asked_s: float | None = None, *, again: bool = True
    ) -> DeliveryAttempt:
        again_in_s = delivery_retry_in(claimed.notification.attempts, self._rand, asked_s) if again else None
        # It is cleaned before it is cut, because half a secret would not be recognised.
        cleaned = self._log.redactor.clean(error)[:_LONGEST_ERROR]
        return DeliveryAttempt(claimed, delivered=False, error=cleaned, again_in_s=again_in_s)

    def _close_endpoint(self, endpoint: str, asked_s: float) -> None:
        """Send nothing to an endpoint for as long as its receiver asks."""
        until = self._clock.monotonic() + min(asked_s, LONGEST_CLOSING_S)
        self._closed_until[endpoint] = max(until, self._closed_until.get(endpoint, until))
        self._recovery.asked_for(endpoint, asked_s)

    # --- results ------------------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Store the results of deliveries, and log them after the commit."""
        ended = list(self._ended)
        if not ended:
            return
        noted = await self._store.settle(ended)
        del self._ended[: len(ended)]
        for attempt in ended:
            notification = attempt.claimed.notification
            self._claimed.pop(notification.id, None)
            # A delivery is logged even if its result could not be stored and another daemon delivered it again.
            if attempt.delivered or notification.id in noted:
                self._log_attempt(attempt)

    def _log_attempt(self, attempt: DeliveryAttempt) -> None:
        notification = attempt.claimed.notification
        if attempt.delivered:
            self._health.delivered(notification.endpoint)
            self._recovery.delivered(notification.endpoint, notification.attempts)
            late_s = round(max(0.0, self._clock.now() - notification.at), 3)
            self._log.emit("notification.delivered", **_named(notification), late_s=late_s)
            return
        self._health.failed(notification.endpoint, attempt.error or "")
        self._recovery.failed(notification.endpoint)
        if attempt.again_in_s is None:
            self._log.emit("notification.died", **_named(notification), reason=attempt.error)
        else:
            due_in_s = round(attempt.again_in_s, 1)
            self._log.emit("notification.troubled", **_named(notification), reason=attempt.error, due_in_s=due_in_s)

    async def _give_up_unknown(self) -> None:
        """Give up notifications for endpoints that are not in the configuration any more."""
        now = self._clock.monotonic()
        if now < self._gave_up_at + _UNKNOWN_EVERY_S:
            return
        reason = "the configuration has no such endpoint (any more)"
        for notification in await self._store.give_up(
            list(self._settings.endpoints), OVERDUE_S, reason, _UNKNOWN_GROUP
        ):
            self._log.emit("notification.died", **_named(notification), reason=reason)
        self._gave_up_at = now


def _named(notification: Notification) -> dict[str, object]:
    return {
        "notification": notification.id,
        "endpoint": notification.endpoint,
        "job": notification.job_id,
        "account": notification.account,
        "state": notification.state.value,
        "attempts": notification.attempts,
        "batch": notification.batch,
    }
