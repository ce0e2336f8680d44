"""Pauses of accounts: writes those that this daemon's lanes cause, and reads those of all daemons and people.

If a provider refuses the credentials, no lane of the account can use them, so the account is paused, durably, in
every daemon. The lane that was refused closes at once. The next round of the work watcher writes the pause, and all
lanes of all daemons apply it. What ends a pause depends on its cause. A person can end any pause. One for refused
credentials also ends when a daemon starts with other settings, or gets them in a reload. One for a TLS failure ends by
itself after a while, and begins again if the failure persists.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from tidewaiter.database.account_store import AccountStore, Pause, PauseCause
from tidewaiter.domain.http_values import Json
from tidewaiter.log import EventLog
from tidewaiter.worker.lease import Lease

TLS_PAUSE_S = 300.0
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A pause that a lane has caused and that is not in the database yet."""

    by: PauseCause
    reason: str
    lane: int
    epoch: int


class Pauses:
    """Knows which accounts are paused.

    Args:
        store: the accounts table.
        settings: the settings of every account of this daemon, by name, secrets included.
        rand: salts fingerprints.
        log: receives pauses and their ends.
    """

    def __init__(
        self, store: AccountStore, settings: Mapping[str, Mapping[str, Json]], rand: Random, log: EventLog
    ) -> None:
        self._store = store
        self._settings = settings
        self._rand = rand
        self._log = log
        self._refusals: dict[str, _Refusal] = {}
        self._paused: dict[str, Pause] = {}
        self._reopened: dict[str, float] = {}
        self._unchecked = set(settings)
        self._one_round = asyncio.Lock()

    def reason(self, account: str) -> str | None:
        """Why the account is paused; ``None`` if it is not."""
        if account in self._paused:
            return self._paused[account].reason
        return self._refusals[account].reason if account in self._refusals else None

    def reopened_at(self, account: str) -> float | None:
        """When a person last ended the closings of this account, as of the last refresh; ``None`` for never."""
        return self._reopened.get(account)

    @property
    def causes(self) -> dict[str, str]:
        """What caused the pause of each paused account: credentials, tls or person."""
        unwritten = {account: refusal.by.value for account, refusal in self._refusals.items()}
        return unwritten | {account: pause.by.value for account, pause in self._paused.items()}

    def refuse(self, account: str, by: PauseCause, reason: str, lease: Lease) -> None:
        """The provider has refused a lane: the account is paused, in this daemon from now on."""
        self._refusals.setdefault(account, _Refusal(by, reason, lease.lane, lease.epoch))

    async def start(self) -> None:
        """Read all pauses, and end those for credentials that have changed since.

        Raises:
            StoreUnavailableError: the database cannot be used.
        """
        async with self._one_round:
            await self._end_outdated()
            await self._refresh()

    async def apply_settings(self, settings: Mapping[str, Mapping[str, Json]]) -> None:
        """Use these settings from now on: a change of them ends a pause for credentials, as in :meth:`start`.

        No lane of a changed account is under way meanwhile.

        Raises:
            StoreUnavailableError: the database cannot be used; call it again.
        """
        async with self._one_round:
            before, self._settings = self._settings, settings
            changed = {account for account in {*before, *settings} if before.get(account) != settings.get(account)}
            self._unchecked |= changed
            # A refusal that is not written yet was of the old settings.
            self._refusals = {account: met for account, met in self._refusals.items() if account not in changed}
            await self._end_outdated()
            await self._refresh()

    async def refresh(self) -> None:
        """One round: write new pauses, read those of others, and end those that have lasted long enough.

        Raises:
            StoreUnavailableError: the database cannot be used; pauses that are not written yet are kept.
        """
        async with self._one_round:
            await self._refresh()

    async def _end_outdated(self) -> None:
        for pause in (await self._store.paused()).values():
            settings = self._settings.get(pause.account) if pause.account in self._unchecked else None
            if pause.fingerprint is not None and settings is not None and not matches(pause.fingerprint, settings):
                await self._resume(pause, "the settings have changed")
        self._unchecked.clear()

    async def _refresh(self) -> None:
        for account, refusal in list(self._refusals.items()):
            await self._write(account, refusal)
            del self._refusals[account]
        self._reopened = await self._store.reopened()
        paused = await self._store.paused()
        for pause in list(paused.values()):
            if pause.by is PauseCause.TLS and pause.lasts_s >= TLS_PAUSE_S:
                await self._resume(pause, "trying again")
                del paused[pause.account]
        self._apply({account: pause for account, pause in paused.items() if account in self._settings})

    async def _write(self, account: str, refusal: _Refusal) -> None:
        fingerprint = None
        if refusal.by is PauseCause.CREDENTIALS:
            fingerprint = fingerprint_of(self._settings[account], self._rand.randbytes(_SALT_BYTES))
        await self._store.refuse(
            account, refusal.by, refusal.reason, fingerprint, lane=refusal.lane, epoch=refusal.epoch
        )

    async def _resume(self, pause: Pause, reason: str) -> None:
        lasted_s = await self._store.resume(pause.account, pause)
        if lasted_s is not None:
            self._paused.pop(pause.account, None)
            self._log.emit(
                "account.resumed", account=pause.account, by=pause.by.value, reason=reason, paused_s=lasted_s
            )

    def _apply(self, paused: Mapping[str, Pause]) -> None:
        """Use the pauses in the database, and log the changes."""
        before, self._paused = self._paused, dict(paused)
        for account, pause in before.items():
            if account not in paused:
                self._log.emit("account.resumed", account=account, by=pause.by.value)
        for account, pause in paused.items():
            if account not in before or before[account].by is not pause.by:
                self._log_pause(pause)

    def _log_pause(self, pause: Pause) -> None:
        if pause.by is PauseCause.CREDENTIALS:
            self._log.emit("account.refused", account=pause.account, reason=pause.reason)
            return
        until_s = TLS_PAUSE_S - pause.lasts_s if pause.by is PauseCause.TLS else None
        by = pause.by.value
        self._log.emit("account.paused", account=pause.account, by=by, cause=by, reason=pause.reason, until_s=until_s)


def fingerprint_of(settings: Mapping[str, Json], salt: bytes) -> str:
    """What is stored of an account's settings, to find out whether they have changed.

    It covers all settings, because a wrong user name is refused just as a wrong password. Some secrets are short enough
    to be guessed, and a reader of the database could try millions of guesses a second on a plain hash. With scrypt
    (RFC 7914) each guess costs 16 MiB and a tenth of a second. Every fingerprint has its own salt, so equal secrets do
    not show, and no guess can be tried on two of them.
    """
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    digest = hashlib.scrypt(text.encode("utf-8", "surrogatepass"), salt=salt, n=2**14, r=8, p=1, dklen=32)
    return f"scrypt${salt.hex()}${digest.hex()}"


def matches(fingerprint: str, settings: Mapping[str, Json]) -> bool:
    """Whether a fingerprint is of these settings."""
    _, salt, _ = fingerprint.split("$")
    return fingerprint_of(settings, bytes.fromhex(salt)) == fingerprint
