"""Wake-ups: a callback makes its job due and changes nothing else; a running step does not lose it."""

from dataclasses import replace

import pytest

from tests.support.stored_jobs import NOW, OWNER, Stores
from tidewaiter.database.engine import Database
from tidewaiter.database.wake_up_store import WakeUp, WakeUpStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job import Job, State

HASH = "ab" * 32
LATER = NOW + 5.0


@pytest.fixture
def hints(database: Database) -> WakeUpStore:
    """The store under test."""
    return WakeUpStore(database)


async def _submitting(stores: Stores, callback_hash: str = HASH) -> Job:
    return await stores.accepted(await stores.add(), o.Intended("intent", callback_hash))


async def _polling(stores: Stores) -> Job:
    return await stores.accepted(await _submitting(stores), o.Accepted("h", retry_after_s=60.0))


async def test_a_hint_makes_a_polling_job_due(stores: Stores, hints: WakeUpStore) -> None:
    """The job is due now and says why; version, state and everything else stay."""
    job = await _polling(stores)
    assert await hints.wake_up(HASH, LATER) == WakeUp(
        job.id, job.lane, "acme", "statistics", State.POLLING, is_new=True
    )
    assert await stores.stored(job) == replace(job, hinted=True, due_at=LATER)


@pytest.mark.fault(48)
async def test_a_hint_is_answered_by_one_poll(stores: Stores, hints: WakeUpStore) -> None:
    """The poll that follows a hint takes it away, and the schedule goes on; the token can hint again."""
    job = await _polling(stores)
    await hints.wake_up(HASH, LATER)
    polled = await stores.accepted(await stores.stored(job), o.Pending())
    assert (polled.hinted, polled.polls) == (False, 1)
    assert polled.due_at is not None
    assert polled.due_at > LATER
    hint = await hints.wake_up(HASH, LATER + 1)
    assert hint is not None
    assert hint.is_new


async def test_a_hint_during_an_early_download_is_answered_by_the_next_poll(stores: Stores, hints: WakeUpStore) -> None:
    """The step that lands the first files of a running remote job does not lose it: the job is polled at once."""
    fetching = await stores.accepted(await _polling(stores), o.Pending(links=(Link("http://x/1"),)))
    assert fetching.fetches_early
    hint = await hints.wake_up(HASH, LATER)
    assert hint is not None
    assert hint.is_new
    polling = await stores.accepted(fetching, o.PartLanded(), LATER)
    assert (polling.state, polling.hinted, polling.poll_at) == (State.POLLING, True, None)
    assert polling.due_at is not None
    assert polling.due_at <= LATER
    assert fetching.poll_at is not None
    assert fetching.poll_at > LATER


@pytest.mark.fault(49)
async def test_a_second_hint_writes_nothing(stores: Stores, hints: WakeUpStore) -> None:
    """While a hint waits for its poll, another one is not even written: the due time stays that of the first."""
    job = await _polling(stores)
    await hints.wake_up(HASH, LATER)
    again = await hints.wake_up(HASH, LATER - 3.0)
    assert again is not None
    assert not again.is_new
    assert (await stores.stored(job)).due_at == LATER


@pytest.mark.fault(49)
async def test_a_hint_before_the_submits_commit_is_kept(stores: Stores, hints: WakeUpStore) -> None:
    """The provider was faster than our commit: the job comes out of the submit hinted, and due at once."""
    job = await _submitting(stores)
    assert await hints.wake_up(HASH, LATER) is not None
    polling = await stores.accepted(job, o.Accepted("h", retry_after_s=60.0))
    assert (polling.state, polling.hinted) == (State.POLLING, True)
    assert polling.due_at is not None
    assert polling.due_at <= LATER


@pytest.mark.fault(49)
async def test_a_hint_while_reconciling_is_kept(stores: Stores, hints: WakeUpStore) -> None:
    """A submit in doubt: the hint survives until the remote job is found, and then the job is polled at once."""
    job = await stores.accepted(await _submitting(stores), o.Unknown("lost"))
    await hints.wake_up(HASH, LATER)
    found = await stores.accepted(await stores.stored(job), o.Adopted("h"))
    assert (found.state, found.hinted, found.due_at) == (State.POLLING, True, NOW)


@pytest.mark.fault(2)
async def test_a_hint_tells_who_decides_that_there_is_a_remote_job(stores: Stores, hints: WakeUpStore) -> None:
    """A callback is proof that the submit arrived: the reason of a job that is parked says so, and nothing more."""
    job = await stores.accepted(await _submitting(stores), o.Unknown("lost"))
    await hints.wake_up(HASH, LATER)
    parked = await stores.accepted(await stores.stored(job), o.Undecidable("no way to find out"))
    assert parked.state is State.PARKED
    assert parked.reason == "no way to find out; its callback has arrived, so a remote job exists"


async def test_a_person_who_asks_is_no_proof_of_a_remote_job(stores: Stores, hints: WakeUpStore) -> None:
    """A submit in doubt that a person hurries, before and after it is lost: nothing tells of a callback that came."""
    job = await _submitting(stores)
    assert await hints.poll_now(job.id, LATER)
    doubted = await stores.accepted(await stores.stored(job), o.Unknown("lost"))
    assert await hints.poll_now(job.id, LATER)
    assert (await stores.stored(job)).hinted is False
    parked = await stores.accepted(await stores.stored(doubted), o.Undecidable("no way to find out"))
    assert (parked.state, parked.reason) == (State.PARKED, "no way to find out")


async def test_a_person_who_asks_during_a_poll_is_answered_by_another(stores: Stores, hints: WakeUpStore) -> None:
    """A poll request wakes up a job that is being polled; the running poll does not undo it."""
    job = await _polling(stores)
    update = stores.update(job, o.Pending(retry_after_s=600.0))
    assert await hints.poll_now(job.id, NOW + 1.0)
    assert (await stores.jobs.record([update], OWNER)).accepted == {job.id}
    after = await stores.stored(job)
    assert (after.hinted, after.due_at) == (True, NOW + 1.0)


async def test_a_hint_for_a_parked_job_wakes_nobody(stores: Stores, hints: WakeUpStore) -> None:
    """Nothing is due in PARKED, and a hint does not change that."""
    job = await stores.accepted(await _submitting(stores), o.Unknown("lost"))
    parked = await stores.accepted(job, o.Undecidable("no way to find out"))
    await hints.wake_up(HASH, LATER)
    assert await stores.stored(job) == replace(parked, hinted=True)


@pytest.mark.parametrize(
    "outcome", [o.Pending(retry_after_s=600.0), o.Unmapped("?"), o.Retry("reset"), o.Throttled("429"), o.Interrupted()]
)
async def test_a_hint_during_a_poll_is_not_lost(stores: Stores, hints: WakeUpStore, outcome: o.Outcome) -> None:
    """The poll's answer may be older than the callback: the job stays due at once, for another poll."""
    job = await _polling(stores)
    update = stores.update(job, outcome, LATER)
    await hints.wake_up(HASH, NOW + 1.0)
    assert (await stores.jobs.record([update], OWNER)).accepted == {job.id}
    after = await stores.stored(job)
    assert (after.hinted, after.version) == (True, job.version + 1)
    assert after.due_at is not None
    assert after.due_at <= LATER


async def test_a_hinted_poll_that_fails_does_not_hurry(stores: Stores, hints: WakeUpStore) -> None:
    """A question without an answer leaves the hint, but is asked again on the schedule of retries, not at once."""
    job = await _polling(stores)
    await hints.wake_up(HASH, NOW)
    failed = await stores.accepted(await stores.stored(job), o.Retry("reset", retry_after_s=30.0))
    assert (failed.hinted, failed.due_at) == (True, NOW + 30.0)


@pytest.mark.parametrize("outcome", [o.Refused("no"), o.Ready()])
async def test_a_hint_during_the_last_poll_is_harmless(stores: Stores, hints: WakeUpStore, outcome: o.Outcome) -> None:
    """A job that comes to its end, or to its files, goes where it would have gone without the hint."""
    job = await _polling(stores)
    update = stores.update(job, outcome)
    await hints.wake_up(HASH, LATER)
    await stores.jobs.record([update], OWNER)
    assert (await stores.stored(job)).state is update.update.job.state


@pytest.mark.fault(47)
async def test_who_is_not_waited_for_finds_nothing(stores: Stores, hints: WakeUpStore) -> None:
    """A hash that no job has and that of a job that has ended are the same: nothing."""
    assert await hints.wake_up("00" * 32, LATER) is None
    ended = await stores.accepted(await _submitting(stores, "cd" * 32), o.Refused("no"))
    assert ended.callback_hash is None
    assert await hints.wake_up("cd" * 32, LATER) is None


async def test_a_fresh_submit_has_a_fresh_address(stores: Stores, hints: WakeUpStore) -> None:
    """When the remote job is gone and is submitted afresh, the callback of the lost one says nothing any more."""
    job = await _polling(stores)
    update = stores.update(job, o.Gone("404"), NOW + 3600.0)
    await stores.jobs.record([update], OWNER)
    assert await hints.wake_up(HASH, NOW + 3600.0) is None
    again = await stores.accepted(await stores.stored(job), o.Intended("intent-2", "cd" * 32))
    assert (again.callback_hash, again.hinted) == ("cd" * 32, False)
