"""Requests about accounts: their status, pausing and resuming them."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace

from tidewaiter.clock import Clock
from tidewaiter.database.account_store import AccountStore, Pause
from tidewaiter.database.admin_action_store import AdminActionStore
from tidewaiter.database.engine import Database
from tidewaiter.database.lane_rows import LaneStatus
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.refresh_token_store import RefreshTokenStore, StoredToken
from tidewaiter.database.sealing import Seal
from tidewaiter.domain.account_scope import EVERY_ACCOUNT, Scope
from tidewaiter.domain.job import State
from tidewaiter.providers.bound_accounts import accounts_within, faulty_among
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.services.actors import Actor
from tidewaiter.services.audit import audited
from tidewaiter.services.job_requests import NotFoundError


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """The status of an account: its pause, the lanes that are closed for a while, and its live jobs by state.

    ``fault`` is why no daemon can serve it; then nobody knows its ``provider``. ``refresh_token`` says since when it
    has the one that its provider replaces.
    """

    account: str
    provider: str | None
    pause: Pause | None
    closed: tuple[LaneStatus, ...]
    jobs: Mapping[State, int]
    fault: str | None = None
    refresh_token: StoredToken | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """The status of an account after its pause has ended.

    ``paused_s`` is how long it was paused, ``None`` if it was not; ``opened`` are the lanes that were closed before.
    ``tries_token``: its refresh token, which may have been used, is tried with the next login.
    """

    status: AccountStatus
    paused_s: float | None
    opened: tuple[LaneStatus, ...]
    tries_token: bool = False


def is_closed(lane: LaneStatus, now: float) -> bool:
    """Whether a lane sends nothing for a while: throttled until a known time, or stopped by its breaker."""
    return lane.closed_reason is not None and (not lane.closed_until or lane.closed_until > now)


class AccountService:
    """Handles requests about accounts.

    Args:
        accounts: the configured accounts, bound to their providers, by name.
        database: has their pauses, lanes and jobs.
        clock: the time.
    """

    def __init__(self, accounts: Mapping[str, BoundAccount], database: Database, clock: Clock) -> None:
        self.accounts = accounts
        self._pauses = AccountStore(database)
        self._lanes = LaneStore(database)
        self._refresh_tokens = RefreshTokenStore(database, Seal())  # without keys: no token is read
        self._actions = AdminActionStore(database)
        self._clock = clock
        self._scope = EVERY_ACCOUNT

    def limited_to(self, scope: Scope) -> "AccountService":
        """The same for a caller who may see these accounts only: other accounts do not exist for it."""
        limited = copy(self)
        limited.accounts = accounts_within(self.accounts, scope)
        limited._scope = scope
        return limited

    async def pause(self, account: str, reason: str | None = None, *, actor: Actor) -> AccountStatus:
        """Pause an account: within a lookout round every daemon stops sending requests to its provider. Jobs wait.

        Without a reason, an account that is paused already keeps its reason.

        Raises:
            NotFoundError: there is no such account.
        """
        async with audited(self._actions, self._clock, replace(actor, reason=reason), "pause", f"account {account}"):
            self._check_known(account)
            await self._pauses.pause(account, reason)
        return await self._status(account)

    async def resume(self, account: str, *, actor: Actor) -> Resumed:
        """End the pause of an account, whatever its cause.

        The deadlines of its live jobs move by the time of the pause. A refresh token that may have been used is tried.
        Lanes that the provider or the breaker has closed are opened, too, by their owners in the next lookout round.

        Raises:
            NotFoundError: there is no such account.
        """
        async with audited(self._actions, self._clock, actor, "resume", f"account {account}"):
            self._check_known(account)
            before = await self._status(account)
            tries_token = await self._refresh_tokens.resume(account)
            paused_s = await self._pauses.resume(account)
            await self._pauses.reopen(account)
        return Resumed(await self._status(account), paused_s, before.closed, tries_token)

    async def statuses(self) -> list[AccountStatus]:
        """The status of every configured account, by name."""
        pauses, jobs, lanes = await self._pauses.paused(), await self._pauses.live_jobs(), await self._lanes.all_lanes()
        now, tokens = self._clock.now(), await self._refresh_tokens.stored()
        faulty = faulty_among(self.accounts)
        return [
            AccountStatus(
                name,
                None if name in faulty else self.accounts[name].provider.name,
                pauses.get(name),
                tuple(lane for lane in lanes if lane.account == name and is_closed(lane, now)),
                jobs.get(name, {}),
                faulty.get(name),
                tokens.get(name) if self._replaces_token(name) else None,
            )
            for name in sorted({*self.accounts, *faulty})
        ]

    async def orphans(self) -> dict[str, Mapping[State, int]]:
        """The live jobs by state of accounts that are not configured any more: no daemon serves them."""
        found = await self._pauses.live_jobs()
        known = {*self.accounts, *faulty_among(self.accounts)}
        gone = (name for name in sorted(found) if name not in known and name in self._scope)
        return {name: found[name] for name in gone}

    async def pause_of(self, account: str) -> Pause | None:
        """The pause of an account; ``None`` if it is not paused."""
        return (await self._pauses.paused()).get(account) if account in self._scope else None

    async def refresh_token_of(self, account: str) -> StoredToken | None:
        """Since when an account has its refresh token; ``None`` if no login has replaced any."""
        return (await self._refresh_tokens.stored()).get(account) if self._replaces_token(account) else None

    def _replaces_token(self, account: str) -> bool:
        bound = self.accounts.get(account)
        return bound is not None and bound.replaced_token is not None

    async def _status(self, account: str) -> AccountStatus:
        return next(one for one in await self.statuses() if one.account == account)

    def _check_known(self, account: str) -> None:
        """Raise ``NotFoundError`` if the account is not configured."""
        if account not in self.accounts and account not in faulty_among(self.accounts):
            known = ", ".join(sorted(self.accounts)) or "none is configured"
            raise NotFoundError(f"unknown account {account!r}; configured: {known}")
