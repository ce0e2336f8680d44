"""The group commit: its fence, what it writes, and how one bad update affects its group."""

from dataclasses import replace

import pytest

from tests.support.stored_jobs import NOW, OWNER, StandingClock, Stores, artifact
from tidewaiter.database.engine import Database, HandleTakenError
from tidewaiter.database.job_store import FencedUpdate, GroupResult
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.job import HistoryEntry, Job, State
from tidewaiter.domain.stages import Stages
from tidewaiter.domain.state_machine import advance

POLICY = OperationPolicy()


async def test_group_of_different_updates(stores: Stores) -> None:
    """Jobs that move and jobs that stay are written together, each as its update says."""
    waiting, moving, failing = [await stores.polling(f"h{number}") for number in range(3)]
    group = [
        stores.update(waiting, o.Pending("running", "1/2")),
        stores.update(moving, o.Ready()),
        stores.update(failing, o.Refused("no")),
    ]
    recorded = await stores.jobs.record(group, OWNER)

    assert recorded == GroupResult(frozenset({waiting.id, moving.id, failing.id}))
    for one in group:
        assert await stores.stored(one.update.job) == one.update.job
    assert await stores.jobs.record([], OWNER) == GroupResult(frozenset())


async def test_stage_and_kept_values_are_stored(stores: Stores) -> None:
    """With the handle of the same reply; letters, quotation marks and numbers as text stay what they are."""
    policy = replace(POLICY, stages=Stages(("upload", "submit", "enqueue")))

    async def step(job: Job, outcome: o.Outcome) -> Job:
        update = FencedUpdate(advance(job, outcome, policy, NOW, stores.rand), stores.lane.epoch)
        assert (await stores.jobs.record([update], OWNER)).accepted == {job.id}
        assert await stores.stored(job) == update.update.job
        return update.update.job

    job = await step(await stores.add(), o.StepDone("upload", kept={"file": 'é "7" \\ 007'}))
    job = await step(await step(job, o.Intended("k")), o.Accepted("h", kept={"queue": "{}"}))
    assert (job.state, job.stage, job.kept) == (State.STARTING, "enqueue", {"file": 'é "7" \\ 007', "queue": "{}"})
    job = await step(await step(job, o.Intended("k")), o.StepDone("enqueue"))
    assert (job.state, job.stage) == (State.POLLING, None)
    assert await stores.jobs.remote(stores.lane.id) == {job.id}


async def test_statements_belong_to_one_dialect(sqlite_url: str, postgres_url: str) -> None:
    """Databases of both kinds in one process: each gets the statements of its own dialect, in any order."""
    opened = [Database.open(url, StandingClock()) for url in (sqlite_url, postgres_url)]
    try:
        every = [await Stores.set_up(database) for database in opened]
        for stores in (*every, *reversed(every)):
            handle = f"h{(await stores.add()).id}"
            job = await stores.accepted(await stores.polling(handle), o.Pending("running"))
            landed = stores.update(await stores.accepted(job, o.Ready()), o.Stored((artifact(0),)))
            for _ in range(2):  # the second time, it is found by its stamp
                assert (await stores.jobs.record([landed], OWNER)).accepted == {job.id}
            assert await stores.jobs.artifacts(job.id) == [artifact(0)]
    finally:
        for database in opened:
            await database.close()


async def test_history_has_a_row_for_each_told_update(stores: Stores) -> None:
    """A transition brings its row; a poll that found nothing new brings none."""
    job = await stores.polling("h")
    job = await stores.accepted(job, o.Pending("running"))
    job = await stores.accepted(job, o.Retry("timeout"))

    assert await stores.jobs.history(job.id) == [
        HistoryEntry(job.id, 1, NOW, None, State.QUEUED, "Submitted"),
        HistoryEntry(job.id, 2, NOW, State.QUEUED, State.SUBMITTING, "Intended"),
        HistoryEntry(job.id, 3, NOW, State.SUBMITTING, State.POLLING, "Accepted", "handle h"),
        HistoryEntry(job.id, 5, NOW, State.POLLING, State.POLLING, "Retry", "timeout"),
    ]


async def test_artifacts_are_replaced_by_number(stores: Stores) -> None:
    """A file that lands again after a failed step takes the place of its first row."""
    job = await stores.accepted(await stores.polling("h"), o.Ready())
    failed = stores.update(job, o.Retry("broken"))
    landed = replace(failed, update=replace(failed.update, artifacts=(artifact(0), artifact(1))))
    assert (await stores.jobs.record([landed], OWNER)).accepted == {job.id}
    job = await stores.stored(job)
    again = artifact(1, sha256="cd" * 32, name="new.csv", size=7)
    job = await stores.accepted(job, o.Stored((again, artifact(2))))

    assert job.state is State.SUCCEEDED
    assert await stores.jobs.artifacts(job.id) == [artifact(0), again, artifact(2)]


async def test_files_of_earlier_lists_are_forgotten(stores: Stores) -> None:
    """With the last file's number the list ends; what an earlier visit recorded beyond it goes, in the same commit."""
    job, other = [await stores.accepted(await stores.polling(name), o.Ready()) for name in "ab"]
    for one in (job, other):
        failed = stores.update(one, o.Retry("broken"))
        landed = replace(failed, update=replace(failed.update, artifacts=(artifact(0), artifact(1), artifact(7))))
        assert (await stores.jobs.record([landed], OWNER)).accepted == {one.id}
    named = artifact(1, identity="ab" * 32)
    await stores.accepted(await stores.stored(job), o.Stored((artifact(0), named)))
    assert await stores.jobs.artifacts(job.id) == [artifact(0), named]
    assert len(await stores.jobs.artifacts(other.id)) == 3
    await stores.accepted(await stores.stored(other), o.Stored(()))
    assert await stores.jobs.artifacts(other.id) == []


@pytest.mark.fault(16)
@pytest.mark.invariant(5)
@pytest.mark.parametrize("outcome", [o.Pending("running"), o.Ready()], ids=["staying", "moving"])
async def test_fence_refuses_what_is_stale(stores: Stores, outcome: o.Outcome) -> None:
    """A passed version, a passed epoch or another owner writes nothing: no job, no history, no artifact."""
    job = await stores.polling("h")
    right = stores.update(job, outcome)
    passed_version = replace(right, update=replace(right.update, expected=job.version - 1))
    early_version = replace(right, update=replace(right.update, expected=job.version + 1))
    passed_epoch, early_epoch = replace(right, epoch=right.epoch - 1), replace(right, epoch=right.epoch + 1)
    history = await stores.jobs.history(job.id)

    for wrong in (passed_version, early_version, passed_epoch, early_epoch):
        assert await stores.jobs.record([wrong], OWNER) == GroupResult(frozenset())
    assert await stores.jobs.record([right], "somebody else") == GroupResult(frozenset())
    assert await stores.stored(job) == job
    assert await stores.jobs.history(job.id) == history


@pytest.mark.fault(16)
@pytest.mark.invariant(5)
async def test_stale_owner_after_a_takeover(stores: Stores) -> None:
    """Once somebody else has the lane, the first owner writes nothing, and the second one does."""
    job, other_job = await stores.polling("a"), await stores.polling("b")
    (taken,) = await stores.lanes.take("owner-2", 1, 30.0, force=True, accounts=["acme"])
    stale, fresh = stores.update(job, o.Ready()), stores.update(other_job, o.Ready())

    assert (await stores.jobs.record([stale, fresh], OWNER)).accepted == frozenset()
    mixed = [stale, replace(fresh, epoch=taken.epoch)]
    assert (await stores.jobs.record(mixed, "owner-2")).accepted == {other_job.id}
    assert await stores.stored(job) == job


@pytest.mark.fault(32)
async def test_taken_handle_fails_only_its_own_update(stores: Stores) -> None:
    """One remote job has one job of ours: the second one to claim it is told so, the rest of the group is written."""
    holder = await stores.polling("taken")
    submitting = [await stores.accepted(await stores.add(), o.Intended(f"i{number}")) for number in range(9)]
    handles = ["a", "taken", "b", "c", "twice", "d", "twice", "e", "f"]
    group = [stores.update(job, o.Accepted(handle)) for job, handle in zip(submitting, handles, strict=True)]
    recorded = await stores.jobs.record(group, OWNER)

    refused = {submitting[1].id: holder, submitting[6].id: submitting[4]}
    assert dict(recorded.conflicts) == {
        number: f"job {other.id} of account acme follows the remote job {handle} already"
        for (number, other), handle in zip(refused.items(), ("taken", "twice"), strict=True)
    }
    assert recorded.accepted == {job.id for job in submitting} - set(refused)
    for number in refused:
        assert len(await stores.jobs.history(number)) == 2


async def test_handle_is_free_for_others(stores: Stores) -> None:
    """The same handle under another account or operation, shared, or of a job that has ended, is no conflict."""
    await stores.polling("h")
    await stores.polling("h", account="other")
    await stores.polling("h", operation="snapshot")
    submitting = await stores.accepted(await stores.add(), o.Intended("i"))
    sharing = await stores.accepted(submitting, o.Duplicate("h"))
    assert sharing.shared

    await stores.accepted(await stores.polling("old"), o.Refused("no"))
    await stores.polling("old")


async def test_handle_of_any_length(stores: Stores) -> None:
    """A handle may be a URL longer than an index entry of PostgreSQL; it is unique all the same."""
    long = "https://api.example/" + "".join(str(number) for number in range(2_000))
    await stores.polling(long)
    job = await stores.accepted(await stores.add(), o.Intended("i"))
    assert [number for number, _ in (await stores.jobs.record([stores.update(job, o.Accepted(long))], OWNER)).conflicts]
    await stores.polling(long + "x")


@pytest.mark.parametrize("outcome", [o.Pending(), o.Retry("timeout")], ids=["staying", "told"])
async def test_cancel_asked_while_a_step_was_under_way(stores: Stores, outcome: o.Outcome) -> None:
    """The step's result is written, and the cancel request is kept: the job is due at once."""
    job = await stores.polling("h")
    in_flight = stores.update(job, outcome, NOW + 5.0)
    await stores.jobs.ask_cancel(job.id, NOW + 3.0)
    assert (await stores.jobs.record([in_flight], OWNER)).accepted == {job.id}

    stored = await stores.stored(job)
    assert stored == replace(in_flight.update.job, cancel_requested=True, due_at=NOW + 3.0)


async def test_cancel_asked_while_a_submit_was_under_way(stores: Stores) -> None:
    """The same where the job moves on: it is adopted first, then cancelled."""
    job = await stores.accepted(await stores.add(), o.Intended("i"))
    in_flight = stores.update(job, o.Accepted("h", retry_after_s=600.0))
    await stores.jobs.ask_cancel(job.id, NOW + 3.0)
    await stores.jobs.record([in_flight], OWNER)

    stored = await stores.stored(job)
    assert (stored.state, stored.handle, stored.cancel_requested) == (State.POLLING, "h", True)
    assert stored.due_at == NOW


async def test_a_cancel_request_that_the_step_knew_does_not_make_due(stores: Stores) -> None:
    """A job that cannot be cancelled yet keeps its backoff, or it would be visited without pause."""
    job = await stores.accepted(await stores.add(), o.Intended("i"))
    job = await stores.accepted(job, o.Unknown("timeout"))
    await stores.jobs.ask_cancel(job.id, NOW)
    job = await stores.stored(job)
    retried = stores.update(job, o.Retry("list failed"), NOW + 1.0)
    await stores.jobs.record([retried], OWNER)

    stored = await stores.stored(job)
    assert stored.cancel_requested
    assert stored.due_at == retried.update.job.due_at
    assert stored.due_at is not None
    assert stored.due_at > NOW + 1.0


async def test_the_end_clears_the_cancel_request(stores: Stores) -> None:
    """A job that ended before its cancel request was applied stays ended: no request, never due again."""
    job = await stores.polling("h")
    in_flight = stores.update(job, o.Stored((artifact(0),)))
    await stores.jobs.ask_cancel(job.id, NOW)
    await stores.jobs.record([in_flight], OWNER)
    assert await stores.stored(job) == in_flight.update.job
    assert not (await stores.stored(job)).cancel_requested


async def test_text_that_no_database_takes(stores: Stores) -> None:
    """NUL and lone surrogates in a provider's text are replaced; they fail neither their own update nor the group."""
    bad, good = await stores.polling("a"), await stores.polling("b")
    group = [stores.update(bad, o.Retry("nul \0 and \ud800 half")), stores.update(good, o.Pending("läuft"))]
    assert (await stores.jobs.record(group, OWNER)).accepted == {bad.id, good.id}
    assert (await stores.stored(bad)).reason == "nul \ufffd and \ufffd half"
    assert (await stores.stored(good)).remote_status == "läuft"


async def test_not_a_number_is_a_bug(stores: Stores) -> None:
    """A time that is no number is refused before anything is sent."""
    update = stores.update(await stores.polling("h"), o.Pending())
    broken = replace(update, update=replace(update.update, job=replace(update.update.job, due_at=float("nan"))))
    with pytest.raises(ValueError, match="JSON"):
        await stores.jobs.record([broken], OWNER)


async def _parked(stores: Stores) -> FencedUpdate:
    """A parked job, in a person's decision to submit it again."""
    job = await stores.accepted(await stores.add(), o.Intended("i"))
    job = await stores.accepted(await stores.accepted(job, o.Unknown("?")), o.Undecidable("?"))
    assert (job.state, job.due_at) == (State.PARKED, None)
    return stores.update(job, o.RetryDecided(), NOW + 9.0)


async def test_decision_needs_no_lane(stores: Stores) -> None:
    """A person's decision on a parked job is written independent of the lane, with its history row, and once."""
    decision = (await _parked(stores)).update
    await stores.lanes.take("owner-2", 1, 30.0, force=True, accounts=["acme"])

    assert await stores.jobs.decide(decision)
    assert await stores.stored(decision.job) == decision.job
    assert (await stores.jobs.history(decision.job.id))[-1] == decision.entry
    assert not await stores.jobs.decide(decision)


async def test_decision_only_on_parked_jobs(stores: Stores) -> None:
    """A job that is being worked on belongs to its lane."""
    job = await stores.polling("h")
    decision = replace(stores.update(job, o.Ready()).update)
    assert not await stores.jobs.decide(decision)
    assert await stores.stored(job) == job


async def test_decision_to_adopt_a_taken_handle(stores: Stores) -> None:
    """Adopting a remote job that another job follows is refused with a sentence, and nothing changes."""
    holder = await stores.polling("h")
    parked = await stores.stored((await _parked(stores)).update.job)
    with pytest.raises(HandleTakenError, match=f"job {holder.id} of account acme follows the remote job h already"):
        await stores.jobs.decide(stores.update(parked, o.AdoptDecided("h")).update)
    assert await stores.stored(parked) == parked


async def test_a_step_is_overtaken_by_nothing_after_a_decision(stores: Stores, database: Database) -> None:
    """A decision raises the version, so that an update from before it is stale, though the lane is still held."""
    decision = await _parked(stores)
    late = stores.update(replace(decision.update.job, version=decision.update.expected), o.Intended("late"))
    await stores.jobs.decide(decision.update)
    assert (await stores.jobs.record([late], OWNER)).accepted == frozenset()
