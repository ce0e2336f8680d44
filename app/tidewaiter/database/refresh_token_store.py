"""The refresh tokens of accounts whose provider replaces them, and who is getting a new one now.

A row exists from the first renewal on. A renewal marks it, in a transaction of its own, before the refresh token is
sent, and stores the new one before the access token is used. The mark has two stages: its time is negative until the
renewal departs, in another transaction just before the token is sent. So a mark that has departed and has no end says
that the token may have been used, and one that has not departed proves that it was not. Every mark has a version of its
own, and only the renewal with that version changes the row. Times are by the database's clock, because several daemons
and commands write them.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from sqlalchemy import BindParameter, Double, Integer, Text, bindparam, func, literal, null, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tidewaiter.database.engine import Database
from tidewaiter.database.sealing import Seal
from tidewaiter.database.sql_functions import DatabaseNow
from tidewaiter.database.tables import refresh_tokens

LONGEST_RENEWAL_S: Final = 150.0
"""A renewal that began earlier has ended, or its process has: longer than the time limit of a request."""

_ENDED_UNKNOWN: Final = 0.0
"""The mark of a renewal that has ended, and nobody knows how."""
_MOST_DIGESTS: Final = 16


@dataclass(frozen=True, slots=True)
class Begun:
    """The row is marked: ``token`` may be sent, and ``version`` ends the renewal.

    ``replaced`` says that a stored token gave way to a newly configured one.
    """

    token: str = field(repr=False)
    version: int
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Busy:
    """Another lane or process gets a new token now."""


@dataclass(frozen=True, slots=True)
class EndUnknown:
    """A renewal began and nobody knows how it ended: the refresh token may have been used. A person decides."""


@dataclass(frozen=True, slots=True)
class Outdated:
    """The configured refresh token is one that gave way to a newer one."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """No key decrypts the stored refresh token."""


Beginning: TypeAlias = Begun | Busy | EndUnknown | Outdated | Unreadable


@dataclass(frozen=True, slots=True)
class StoredToken:
    """Since when an account has its refresh token; ``renewing`` while a renewal has no known end. Epoch seconds."""

    stored_at: float
    renewing: bool


class RefreshTokenStore:
    """The refresh tokens. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where they are.
        seal: encrypts and decrypts them.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal
        insert: Any = sqlite.insert if database.dialect == "sqlite" else postgresql.insert
        added = insert(refresh_tokens).values(
            account=_ACCOUNT,
            version=_VERSION,
            token=_TOKEN,
            configured=_CONFIGURED,
            stored_at=DatabaseNow(),
            renewing_since=-DatabaseNow(),
        )
        # Two processes may add the first row at once: the second finds it when it reads again.
        self._add = added.on_conflict_do_nothing().returning(refresh_tokens.c.version)

    async def begin(self, account: str, configured: str, *, reuse: bool) -> Beginning:
        """Mark that the refresh token of an account is about to be sent, unless something speaks against it.

        Args:
            account: its name.
            configured: the refresh token of the configuration. It counts until a renewal brings another one, and again
                when it changes.
            reuse: whether a token that may have been used can be sent again.
        """
        if not self._seal:
            raise ValueError("a refresh token is stored encrypted only, and there is no key")
        digest = _digest(account, configured)
        async with self._database.writing() as connection:
            row = (await connection.execute(_LOCK, {"account_name": account})).first()
            if row is None:
                values = {**self._row(account, configured, digest), "version": 1}
                added = (await connection.execute(self._add, values)).first()
                return Busy() if added is None else Begun(configured, 1)
            version, sealed, digests, age_s = row[0], row[1], row[2].split(), row[3]
            if digest in digests[1:]:
                return Outdated()
            if digest != digests[0]:
                known = " ".join([digest, *digests][:_MOST_DIGESTS])
                values = {**self._row(account, configured, known), "before": version, "version": version + 1}
                await connection.execute(_REPLACE, values)
                return Begun(configured, version + 1, replaced=True)
            # A clock that was set back makes an age negative.
            if age_s is not None and abs(age_s) < LONGEST_RENEWAL_S:
                return Busy()
            if age_s is not None and row[4] and not reuse:
                return EndUnknown()
            token = self._seal.unsealed(sealed)
            if token is None:
                return Unreadable()
            await connection.execute(_MARK, {"account_name": account, "before": version, "version": version + 1})
            return Begun(token, version + 1)

    async def depart(self, account: str, version: int) -> bool:
        """The refresh token is sent next; from now on it may have been used.

        Returns:
            Whether the renewal may go on; not if another one has taken its place.
        """
        async with self._database.writing() as connection:
            return (await connection.execute(_DEPART, {"account_name": account, "before": version})).rowcount > 0

    async def finish(self, account: str, version: int, token: str | None) -> bool:
        """End a renewal, with the new refresh token if the provider gave one.

        Returns:
            Whether the row is as the renewal left it; not if a person has resumed the account, or a newly configured
            token has come, while the renewal took too long. A repetition returns the same.
        """
        values = {"account_name": account, "before": version}
        async with self._database.writing() as connection:
            if token is None:
                ended = (await connection.execute(_UNMARK, values)).rowcount
            else:
                ended = (await connection.execute(_STORE, {**values, "token": self._seal.sealed(token)})).rowcount
            if ended:
                return True
            row = (await connection.execute(_LOCK, {"account_name": account})).first()
            is_ended = row is not None and row[0] == version and row[3] is None
            return is_ended and (token is None or (row is not None and self._seal.unsealed(row[1]) == token))

    async def leave_unknown(self, account: str, version: int) -> None:
        """A renewal has ended, and nobody knows how: others need not wait for it."""
        async with self._database.writing() as connection:
            await connection.execute(_LEAVE, {"account_name": account, "before": version})

    async def resume(self, account: str) -> bool:
        """Permit that a refresh token whose renewal has no known end is sent again, because a person asks for it.

        Returns:
            Whether there was such a renewal; one that may be under way does not count.
        """
        async with self._database.writing() as connection:
            return (await connection.execute(_RESUME, {"account_name": account})).rowcount > 0

    async def stored(self) -> dict[str, StoredToken]:
        """Since when each account has its refresh token, by name."""
        async with self._database.reading() as connection:
            return {row[0]: StoredToken(row[1], row[2] is not None) for row in await connection.execute(_STORED)}

    def _row(self, account: str, token: str, digests: str) -> dict[str, object]:
        return {"account_name": account, "token": self._seal.sealed(token), "configured": digests}


def _digest(account: str, token: str) -> str:
    """What is stored of a configured token, to find out whether it has changed.

    Nobody can guess a refresh token (RFC 6749, section 10.10), so a plain hash gives nothing away.
    """
    return hashlib.sha256(f"{account}\0{token}".encode("utf-8", "surrogatepass")).hexdigest()


_ACCOUNT: Final = bindparam("account_name", type_=Text())
_TOKEN: Final = bindparam("token", type_=Text())
_CONFIGURED: Final = bindparam("configured", type_=Text())
_VERSION: Final[BindParameter[int]] = bindparam("version", type_=Integer())
_BEFORE: Final[BindParameter[int]] = bindparam("before", type_=Integer())
_MINE: Final = (refresh_tokens.c.account == _ACCOUNT, refresh_tokens.c.version == _BEFORE)
_RENEWING: Final = refresh_tokens.c.renewing_since.is_not(None)
_AGE: Final = DatabaseNow() - func.abs(refresh_tokens.c.renewing_since)
_LOCK: Final = (
    select(
        refresh_tokens.c.version,
        refresh_tokens.c.token,
        refresh_tokens.c.configured,
        _AGE,
        refresh_tokens.c.renewing_since >= 0,
    )
    .where(refresh_tokens.c.account == _ACCOUNT)
    .with_for_update()
)
_REPLACE: Final = (
    update(refresh_tokens)
    .where(*_MINE)
    .values(
        version=_VERSION,
        token=_TOKEN,
        configured=_CONFIGURED,
        stored_at=DatabaseNow(),
        renewing_since=-DatabaseNow(),
    )
)
_MARK: Final = update(refresh_tokens).where(*_MINE).values(version=_VERSION, renewing_since=-DatabaseNow())
_DEPART: Final = (
    update(refresh_tokens).where(*_MINE, refresh_tokens.c.renewing_since < 0).values(renewing_since=DatabaseNow())
)
_UNMARK: Final = update(refresh_tokens).where(*_MINE, _RENEWING).values(renewing_since=null())
_STORE: Final = (
    update(refresh_tokens).where(*_MINE, _RENEWING).values(token=_TOKEN, stored_at=DatabaseNow(), renewing_since=null())
)
_LEAVE: Final = update(refresh_tokens).where(*_MINE, _RENEWING).values(renewing_since=literal(_ENDED_UNKNOWN, Double()))
_RESUME: Final = (
    update(refresh_tokens)
    .where(
        refresh_tokens.c.account == _ACCOUNT,
        func.abs(_AGE) >= literal(LONGEST_RENEWAL_S, Double()),
    )
    .values(version=refresh_tokens.c.version + 1, renewing_since=null())
)
_STORED: Final = select(refresh_tokens.c.account, refresh_tokens.c.stored_at, refresh_tokens.c.renewing_since).order_by(
    refresh_tokens.c.account
)
