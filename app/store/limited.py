"""The dashboard of some accounts: made from the data of each, so that it shows nothing about other accounts."""

from collections.abc import Collection
from functools import partial
from heapq import merge
from itertools import islice
from typing import Final

from app.clock import Clock
from app.domain.job import State
from app.domain.scope import Scope
from app.store.overview import MOST_RECENT, MOST_TROUBLES, Minute, Overview, OverviewStore, Picture

_MOST_OVERVIEWS: Final = 64


class Overviews:
    """One dashboard for each scope in use: for each limited token, and one for all accounts.

    Args:
        store: reads their snapshots.
        clock: the time.
    """

    def __init__(self, store: OverviewStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._made: dict[Scope, Overview] = {}

    def of(self, scope: Scope) -> Overview:
        """The dashboard of these accounts."""
        if scope not in self._made and len(self._made) >= _MOST_OVERVIEWS:  # a reload may add scopes
            self._made.clear()
        return self._made.setdefault(scope, Overview(partial(limited_picture, self._store, scope=scope), self._clock))


async def limited_picture(store: OverviewStore, now: float, scope: Scope) -> Picture:
    """The snapshot of the accounts of ``scope`` at ``now`` (epoch seconds).

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    if scope.accounts is None:
        return await store.picture(now)
    names = sorted(scope.accounts)
    lanes = [lane for lane in await store.lanes.every() if lane.account in scope]
    numbers = {lane.id for lane in lanes}
    pauses, backlogs = await store.accounts.paused(), await store.backlogs(now)
    arrivals = [await store.arrivals(account=name) for name in names]
    parked = [await store.jobs.find(account=name, states=[State.PARKED], limit=MOST_TROUBLES) for name in names]
    failures = [await store.failures(now, name) for name in names]
    return Picture(
        now,
        await store.counts(names),
        lanes,
        await store.lanes.workers(),
        {name: pause for name, pause in pauses.items() if name in scope},
        {number: backlog for number, backlog in backlogs.items() if number in numbers},
        _minutes([await store.minutes(now, name) for name in names]),
        list(islice(merge(*arrivals, key=lambda one: -(one.job.finished_at or 0.0)), MOST_RECENT)),
        list(islice(merge(*parked, key=lambda job: -job.id), MOST_TROUBLES)),
        list(islice(merge(*failures, key=lambda job: -(job.finished_at or 0.0)), MOST_TROUBLES)),
        await store.notifications.limited_to(scope).backlogs(),
    )


def _minutes(of_accounts: Collection[list[Minute]]) -> list[Minute]:
    """The minutes of several accounts in one list: outcomes added, delays together."""
    made: list[Minute] = []
    for same in zip(*of_accounts, strict=True):
        ended = {state: sum(one.ended.get(state, 0) for one in same) for one in same for state in one.ended}
        made.append(Minute(same[0].at, ended, sorted(delay for one in same for delay in one.delays_s)))
    return made
