"""Pauses of accounts, as this daemon knows them: it writes those that its lanes run into, and heeds everybody's.

Credentials that a provider refuses are of no use to any lane of the account, so the account is paused, durably, in
every daemon. A lane that has met the refusal closes at once; in the next round of the look-out the pause is written,
and all lanes of all daemons heed it. What ends a pause depends on whose doing it is. A person ends any. One for refused
credentials ends as well when a daemon starts with other settings, or is given them. One for a failure of TLS ends by
itself after a while, and begins anew when the failure is still there.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from app.domain.jsonvalue import Json
from app.log import EventLog
from app.store.accounts import AccountStore, Pause, PausedBy
from app.worker.hold import Hold

TLS_PAUSE_S = 300.0
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A pause that a lane wants and that is not in the database yet."""

    by: PausedBy
    reason: str
    lane: int
    epoch: int


class Pauses:
    """Knows which accounts are paused.

    Args:
        store: the accounts table.
        settings: the settings of every account of this daemon, by name, secrets included.
        rand: salts fingerprints.
        log: told of pauses and of their ends.
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
        """Why the account is paused; ``None`` where it is not."""
        if account in self._paused:
            return self._paused[account].reason
        return self._refusals[account].reason if account in self._refusals else None

    def reopened_at(self, account: str) -> float | None:
        """When a person last ended the closings of this account, as of the last look; ``None`` for never."""
        return self._reopened.get(account)

    @property
    def doers(self) -> dict[str, str]:
        """Whose doing the pause of each paused account is: credentials, tls or person."""
        wanted = {account: refusal.by.value for account, refusal in self._refusals.items()}
        return wanted | {account: pause.by.value for account, pause in self._paused.items()}

    def refuse(self, account: str, by: PausedBy, reason: str, hold: Hold) -> None:
        """A lane has met a refusal: the account is paused, in this daemon from now on."""
        self._refusals.setdefault(account, _Refusal(by, reason, hold.lane, hold.epoch))

    async def start(self) -> None:
        """Learn of the pauses that there are, and end those for credentials that were other ones than today's.

        Raises:
            StoreUnavailableError: the database cannot be used.
        """
        async with self._one_round:
            await self._end_outdated()
            await self._look()

    async def adopt(self, settings: Mapping[str, Mapping[str, Json]]) -> None:
        """Go by other settings from now on: what they change ends a pause for credentials, as in :meth:`start`.

        No lane of an account that differs is under way meanwhile.

        Raises:
            StoreUnavailableError: the database cannot be used; to be called again.
        """
        async with self._one_round:
            before, self._settings = self._settings, settings
            changed = {account for account in {*before, *settings} if before.get(account) != settings.get(account)}
            self._unchecked |= changed
            # What was refused on account of other settings, and is not written yet, says nothing of these.
            self._refusals = {account: met for account, met in self._refusals.items() if account not in changed}
            await self._end_outdated()
            await self._look()

    async def look(self) -> None:
        """One round: write what the lanes have met, learn what others have written, try again what has waited enough.

        Raises:
            StoreUnavailableError: the database cannot be used; what was to be written is kept.
        """
        async with self._one_round:
            await self._look()

    async def _end_outdated(self) -> None:
        for pause in (await self._store.paused()).values():
            settings = self._settings.get(pause.account) if pause.account in self._unchecked else None
            if pause.fingerprint is not None and settings is not None and not is_of(pause.fingerprint, settings):
                await self._resume(pause, "the settings have changed")
        self._unchecked.clear()

    async def _look(self) -> None:
        for account, refusal in list(self._refusals.items()):
            await self._write(account, refusal)
            del self._refusals[account]
        self._reopened = await self._store.reopened()
        paused = await self._store.paused()
        for pause in list(paused.values()):
            if pause.by is PausedBy.TLS and pause.lasts_s >= TLS_PAUSE_S:
                await self._resume(pause, "trying again")
                del paused[pause.account]
        self._heed({account: pause for account, pause in paused.items() if account in self._settings})

    async def _write(self, account: str, refusal: _Refusal) -> None:
        fingerprint = None
        if refusal.by is PausedBy.CREDENTIALS:
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

    def _heed(self, paused: Mapping[str, Pause]) -> None:
        """Take over what the database says, and tell what is new of it."""
        before, self._paused = self._paused, dict(paused)
        for account, pause in before.items():
            if account not in paused:
                self._log.emit("account.resumed", account=account, by=pause.by.value)
        for account, pause in paused.items():
            if account not in before or before[account].by is not pause.by:
                self._tell(pause)

    def _tell(self, pause: Pause) -> None:
        if pause.by is PausedBy.CREDENTIALS:
            self._log.emit("account.refused", account=pause.account, reason=pause.reason)
            return
        until_s = TLS_PAUSE_S - pause.lasts_s if pause.by is PausedBy.TLS else None
        self._log.emit("account.paused", account=pause.account, by=pause.by.value, reason=pause.reason, until_s=until_s)


def fingerprint_of(settings: Mapping[str, Json], salt: bytes) -> str:
    """What is stored of an account's settings, to know whether they have changed.

    All of them, because a wrong user name is refused as a wrong password is. Some secrets are short enough to be
    guessed, and whoever reads the database could try guesses on a plain hash, millions a second. So it is scrypt
    (RFC 7914), which makes each guess cost 16 MiB and a tenth of a second, and every fingerprint has a salt of its own,
    so that equal secrets do not show and no guess can be tried on two of them.
    """
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    digest = hashlib.scrypt(text.encode("utf-8", "surrogatepass"), salt=salt, n=2**14, r=8, p=1, dklen=32)
    return f"scrypt${salt.hex()}${digest.hex()}"


def is_of(fingerprint: str, settings: Mapping[str, Json]) -> bool:
    """Whether a fingerprint is that of these settings."""
    _, salt, _ = fingerprint.split("$")
    return fingerprint_of(settings, bytes.fromhex(salt)) == fingerprint
