"""In which lane a new job waits."""

from collections.abc import Mapping, Sequence
from random import Random

from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import NewJob


class LaneChoice:
    """Chooses among the lanes of an account.

    Args:
        lanes: the lanes table.
        shards: how many lanes each account has; one, unless told.
        rand: spreads jobs over the lanes.
    """

    def __init__(self, lanes: LaneStore, shards: Mapping[str, int], rand: Random) -> None:
        self._lanes = lanes
        self._shards = shards
        self._rand = rand

    def number_of(self, account: str) -> int:
        """How many lanes an account is configured to have."""
        return self._shards.get(account, 1)

    async def lanes_of(self, account: str) -> Sequence[int]:
        """The lanes for new jobs: lanes beyond the configured number only finish the jobs that they have."""
        number = self.number_of(account)
        lanes = await self._lanes.ids(account)
        if not lanes:
            await self._lanes.ensure({account: number})
            lanes = await self._lanes.ids(account)
        return lanes[:number]

    def of(self, new: NewJob, lanes: Sequence[int]) -> int:
        """Jobs that may share a result wait in one lane; otherwise two lanes would request it."""
        return self._rand.choice(lanes) if new.answer_key is None else lanes[int(new.answer_key[:8], 16) % len(lanes)]
