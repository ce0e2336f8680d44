"""The notifier: delivers what the database says is to be told, at least once, a few at a time for each endpoint.

A notification is claimed, sent, and what came of it is noted. A daemon that dies in between leaves it to be sent again,
under the same id. Each endpoint has its own few places, so that a slow or a broken one holds up nobody else, and
nothing here is waited for by jobs.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

from app.clock import Clock
from app.domain.notification import retry_in
from app.log import EventLog
from app.providers.headers import retry_after
from app.store.deliveries import Attempt, Claimed, DeliveryStore
from app.store.engine import StoreUnavailableError
from app.store.notifications import Notification
from app.transport.errors import TransportError
from app.transport.webhook import Answer, Endpoint, WebhookSender

LEASE_S: Final = 60.0
"""How long a claim lasts: much longer than a delivery does."""

OVERDUE_S: Final = 3600.0
"""What waits for an endpoint that is not configured is given up when no daemon has cared for so long."""

LONGEST_REST_S: Final = 3600.0
"""A receiver that asks for more is left alone for so long, and its other notifications are tried then."""

_AT_ONCE: Final = 4
_UNKNOWN_EVERY_S: Final = 60.0
_UNKNOWN_GROUP: Final = 500
_STORE_RETRY_S: Final = 1.0
_GONE: Final = 410
_LONGEST_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class NotifierSettings:
    """Where notifications go, by the endpoint's name, and how often it looks for those that are due, in seconds."""

    endpoints: Mapping[str, Endpoint]
    lookout_s: float


class Notifier:
    """Delivers notifications to the endpoints of the configuration.

    Args:
        store: what is to be delivered.
        sender: sends one.
        settings: where they go, and how often it looks for what is due.
        clock: the time.
        rand: spreads attempts.
        log: told of every delivery.
    """

    def __init__(
        self,
        store: DeliveryStore,
        sender: WebhookSender,
        settings: NotifierSettings,
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
        self._claimed: dict[int, Claimed] = {}
        self._busy: Counter[str] = Counter()
        self._closed_until: dict[str, float] = {}
        self._ended: list[Attempt] = []
        self._wake = asyncio.Event()
        self._buried_at = clock.monotonic()

    def reconfigure(self, settings: NotifierSettings) -> None:
        """Use these endpoints from the next round on; a delivery under way goes on as it was begun."""
        self._settings = settings
        self._closed_until.clear()
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled; what was not delivered by then is given back."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._round(group)
        finally:
            # Another daemon would find the claims lapsed, a minute later.
            with suppress(StoreUnavailableError):
                await self._settle()
                if self._claimed:
                    await self._store.release(list(self._claimed.values()))

    async def _round(self, group: asyncio.TaskGroup) -> None:
        """Note what has ended, begin what is due, and wait until there is more to do."""
        self._wake.clear()
        try:
            await self._settle()
            await self._bury()
            delay_s = await self._begin(group)
        except StoreUnavailableError as error:
            self._log.emit("store.unavailable", reason=str(error), waiting=len(self._ended))
            delay_s = _STORE_RETRY_S
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._wake.wait()

    # --- deliveries ---------------------------------------------------------------------------------------------------

    async def _begin(self, group: asyncio.TaskGroup) -> float:
        """Begin what is due where there are places; the seconds until somebody has to look again."""
        now, endpoints = self._clock.monotonic(), self._settings.endpoints
        free = {
            name: _AT_ONCE - self._busy[name]
            for name in endpoints
            if self._busy[name] < _AT_ONCE and self._closed_until.get(name, now) <= now
        }
        opens_in_s = [until - now for until in self._closed_until.values() if until > now]
        due_in_s = await self._store.next_due(list(free))
        wanted = {name: free[name] for name, seconds in due_in_s.items() if seconds <= 0}
        for claimed in await self._store.claim(wanted, LEASE_S) if wanted else ():
            self._claimed[claimed.notification.id] = claimed
            self._busy[claimed.notification.endpoint] += 1
            group.create_task(self._deliver(claimed, endpoints[claimed.notification.endpoint]))
        every_s = self._settings.lookout_s if endpoints else _UNKNOWN_EVERY_S
        return min([every_s, *opens_in_s, *(seconds for seconds in due_in_s.values() if seconds > 0)])

    async def _deliver(self, claimed: Claimed, endpoint: Endpoint) -> None:
        """Send one, and put down what came of it."""
        told = claimed.notification
        try:
            answer = await self._sender.send(endpoint, told.message_id, claimed.body)
            attempt = self._judged(claimed, answer)
        except TransportError as error:
            attempt = self._failed(claimed, str(error))
        except Exception as error:  # noqa: BLE001  # a fault of ours, which must end neither the daemon nor the notification
            attempt = self._failed(claimed, f"a fault of Tidewaiter: {type(error).__name__}: {error}")
        finally:
            self._busy[told.endpoint] -= 1
        self._ended.append(attempt)
        self._wake.set()

    def _judged(self, claimed: Claimed, answer: Answer) -> Attempt:
        if answer.taken:
            return Attempt(claimed, delivered=True)
        said = f"HTTP {answer.status} {answer.phrase}".strip()
        if answer.status == _GONE:
            return self._failed(claimed, f"{said}: the receiver wants to hear no more", again=False)
        if 300 <= answer.status < 400:
            return self._failed(claimed, f"{said}: redirects are not followed; configure where it leads to")
        asked_s = retry_after(answer.headers, self._clock.now())
        if asked_s is not None:
            self._rest(claimed.notification.endpoint, asked_s)
        return self._failed(claimed, said, asked_s)

    def _failed(self, claimed: Claimed, error: str, asked_s: float | None = None, *, again: bool = True) -> Attempt:
        again_in_s = retry_in(claimed.notification.attempts, self._rand, asked_s) if again else None
        # Half a secret would not be recognised, so it is cleaned first.
        told = self._log.redactor.clean(error)[:_LONGEST_ERROR]
        return Attempt(claimed, delivered=False, error=told, again_in_s=again_in_s)

    def _rest(self, endpoint: str, asked_s: float) -> None:
        """Who asks to be left alone means the others that wait for him, too."""
        until = self._clock.monotonic() + min(asked_s, LONGEST_REST_S)
        self._closed_until[endpoint] = max(until, self._closed_until.get(endpoint, until))

    # --- afterwards ---------------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Note what came of deliveries, and tell the log of it after the commit."""
        ended = list(self._ended)
        if not ended:
            return
        noted = await self._store.settle(ended)
        del self._ended[: len(ended)]
        for attempt in ended:
            told = attempt.claimed.notification
            self._claimed.pop(told.id, None)
            # A delivery has been one, even where its note was lost and somebody else had to make it.
            if attempt.delivered or told.id in noted:
                self._tell(attempt)

    def _tell(self, attempt: Attempt) -> None:
        told = attempt.claimed.notification
        if attempt.delivered:
            late_s = round(max(0.0, self._clock.now() - told.at), 3)
            self._log.emit("notification.delivered", **_named(told), late_s=late_s)
        elif attempt.again_in_s is None:
            self._log.emit("notification.died", **_named(told), reason=attempt.error)
        else:
            due_in_s = round(attempt.again_in_s, 1)
            self._log.emit("notification.troubled", **_named(told), reason=attempt.error, due_in_s=due_in_s)

    async def _bury(self) -> None:
        """Give up what waits for endpoints that the configuration has no more."""
        now = self._clock.monotonic()
        if now < self._buried_at + _UNKNOWN_EVERY_S:
            return
        reason = "the configuration has no such endpoint (any more)"
        for told in await self._store.bury(list(self._settings.endpoints), OVERDUE_S, reason, _UNKNOWN_GROUP):
            self._log.emit("notification.died", **_named(told), reason=reason)
        self._buried_at = now


def _named(told: Notification) -> dict[str, object]:
    return {
        "notification": told.id,
        "endpoint": told.endpoint,
        "job": told.job_id,
        "account": told.account,
        "state": told.state.value,
        "attempts": told.attempts,
    }
