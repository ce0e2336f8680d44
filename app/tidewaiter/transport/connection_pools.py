"""Pools of connections: one for each set of permitted networks and each proxy; none serves requests of another."""

from collections.abc import Callable
from typing import Final, TypeAlias

from aiohttp import ClientSession

from tidewaiter.domain.networks import Network, PermittedNetworks
from tidewaiter.transport.proxies import Proxy

_MOST_IDLE: Final = 16
_Key: TypeAlias = tuple[bool | frozenset[Network], bool, Proxy | None, int]


class Pool:
    """A session of aiohttp, and how many exchanges use it."""

    __slots__ = ("session", "users")

    def __init__(self, session: ClientSession) -> None:
        self.session = session
        self.users = 0


class Pools:
    """Makes pools when they are needed, and closes unused ones once there are more than a few.

    Args:
        make: makes a session, given which private addresses it may reach, whether it keeps no connection, and the
            proxy that all its requests go through, if any.
    """

    def __init__(self, make: Callable[[PermittedNetworks, bool, Proxy | None], ClientSession]) -> None:
        self._make = make
        self._pools: dict[_Key, Pool] = {}
        self._generation = 0

    def __len__(self) -> int:
        """How many pools there are."""
        return len(self._pools)

    def renew(self) -> None:
        """Make new sessions from now on; exchanges under way end with the session that they have."""
        self._generation += 1

    async def borrow(self, private_ok: PermittedNetworks, *, fresh: bool, proxy: Proxy | None = None) -> Pool:
        """The pool of these networks, in any order, and this proxy; the borrower counts ``users`` down at the end."""
        networks = private_ok if isinstance(private_ok, bool) else frozenset(private_ok)
        key = networks or False, fresh, proxy, self._generation
        pool = self._pools.pop(key, None)
        if pool is None:
            pool = Pool(self._make(private_ok, fresh, proxy))
        # The last in the order is the one that was used last.
        self._pools[key] = pool
        pool.users += 1
        if len(self._pools) > _MOST_IDLE or next(iter(self._pools))[-1] != self._generation:
            await self._close_idle()
        return pool

    async def _close_idle(self) -> None:
        idle = [key for key, pool in self._pools.items() if not pool.users]
        idle.sort(key=lambda key: key[-1] == self._generation)
        outdated = sum(key[-1] != self._generation for key in idle)
        # Removed before anything is awaited, so that no pool is borrowed while it is being closed.
        ended = [self._pools.pop(key) for key in idle[: max(outdated, len(self._pools) - _MOST_IDLE)]]
        for pool in ended:
            await pool.session.close()

    async def close(self) -> None:
        """Close every connection."""
        pools = list(self._pools.values())
        self._pools.clear()
        for pool in pools:
            await pool.session.close()
