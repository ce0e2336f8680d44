"""Pools of connections, one for each set of permitted networks, so that no account uses a connection of another set."""

from collections.abc import Callable
from typing import Final, TypeAlias

from aiohttp import ClientSession

from app.domain.networks import Network, Private

_MOST_IDLE: Final = 16

_Key: TypeAlias = tuple[bool | frozenset[Network], bool]


class Pool:
    """A session of aiohttp, and how many exchanges use it."""

    __slots__ = ("session", "users")

    def __init__(self, session: ClientSession) -> None:
        self.session = session
        self.users = 0


class Pools:
    """Makes pools when they are needed, and closes unused ones once there are more than a few.

    Args:
        make: makes a session, given which private addresses it may reach, and whether it keeps no connection.
    """

    def __init__(self, make: Callable[[Private, bool], ClientSession]) -> None:
        self._make = make
        self._pools: dict[_Key, Pool] = {}

    def __len__(self) -> int:
        """How many pools there are."""
        return len(self._pools)

    async def borrow(self, private_ok: Private, *, fresh: bool) -> Pool:
        """The pool of these networks, in any order; the borrower counts ``users`` down at the end."""
        networks = private_ok if isinstance(private_ok, bool) else frozenset(private_ok)
        key = networks or False, fresh
        pool = self._pools.pop(key, None)
        if pool is None:
            pool = Pool(self._make(private_ok, fresh))
        # The last in the order is the one that was used last.
        self._pools[key] = pool
        pool.users += 1
        if len(self._pools) > _MOST_IDLE:
            await self._close_idle()
        return pool

    async def _close_idle(self) -> None:
        idle = [key for key, pool in self._pools.items() if not pool.users]
        # Removed before anything is awaited, so that no pool is borrowed while it is being closed.
        ended = [self._pools.pop(key) for key in idle[: len(self._pools) - _MOST_IDLE]]
        for pool in ended:
            await pool.session.close()

    async def close(self) -> None:
        """Close every connection."""
        pools = list(self._pools.values())
        self._pools.clear()
        for pool in pools:
            await pool.session.close()
