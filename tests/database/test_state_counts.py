"""Counts by state among many jobs: exact where few are, and kept for a while where many are."""

import pytest
from sqlalchemy import Connection, text

from tests.database.query_plans import WAITING, fill, statements_run
from tests.support.database_engines import reading_engine
from tests.support.stored_jobs import Stores
from tidewaiter.database import state_counts
from tidewaiter.database.state_counts import KEPT_S_PER_JOB, StateCounts
from tidewaiter.domain.job import State


async def test_small_states_are_exact_and_large_ones_are_kept(stores: Stores) -> None:
    """A call among many jobs is one bounded statement, until the count of the large state is too old."""
    await fill(stores)
    counted = StateCounts(stores.database)
    assert await counted.counts(0.0) == await stores.jobs.counts()
    await stores.add()
    async with stores.database.writing() as connection:
        await connection.execute(text("DELETE FROM jobs WHERE state = 'polling' AND id % 4 = 0"))
    kept_s = WAITING * KEPT_S_PER_JOB
    with statements_run(reading_engine(stores.database)) as statements:
        kept = await counted.counts(kept_s * 0.9)
    assert len(statements) == 1
    assert (kept[State.POLLING], kept[State.QUEUED]) == (WAITING, 1)
    assert await counted.counts(kept_s * 1.1) == await stores.jobs.counts()


async def test_slices_of_a_pass_that_broke_off_are_not_lost(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each statement counts a slice; after a failure the next call goes on, and the sum is exact."""
    await fill(stores)
    monkeypatch.setattr(state_counts, "SLICE", WAITING // 4)
    count_slice = state_counts._slice
    slices: list[int] = []

    def fails_once(connection: Connection, state: State, after: int) -> object:
        slices.append(after)
        if len(slices) == 3:
            raise RuntimeError("no answer in time")
        return count_slice(connection, state, after)

    monkeypatch.setattr(state_counts, "_slice", fails_once)
    counted = StateCounts(stores.database)
    with pytest.raises(RuntimeError):
        await counted.counts(0.0)
    assert (await counted.counts(1.0))[State.POLLING] == WAITING
    assert len(slices) == 6  # the third one twice; the last finds nothing more
    assert slices[2] == slices[3] > slices[1]
