"""The group commit: its fence, what it writes beside the jobs, and what a single bad update does to its group."""

from dataclasses import replace

import pytest

from tests.support.stored_jobs import NOW, OWNER, Scene, artifact
from tidewaiter.database.engine import Database, HandleTakenError
from tidewaiter.database.job_store import FencedUpdate, GroupResult
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import HistoryEntry, State


async def test_group_of_different_updates(scene: Scene) -> None:
    """Jobs that move and jobs that stay are written together, each as its update says."""
    waiting, moving, failing = [await scene.polling(f"h{number}") for number in range(3)]
    group = [
        scene.update(waiting, o.Pending("running", "1/2")),
        scene.update(moving, o.Ready()),
        scene.update(failing, o.Refused("no")),
    ]
    recorded = await scene.jobs.record(group, OWNER)

    assert recorded == GroupResult(frozenset({waiting.id, moving.id, failing.id}))
    for one in group:
        assert await scene.stored(one.update.job) == one.update.job
    assert await scene.jobs.record([], OWNER) == GroupResult(frozenset())


async def test_history_has_a_row_for_each_told_update(scene: Scene) -> None:
    """A transition brings its row; a poll that found nothing new brings none."""
    job = await scene.polling("h")
    job = await scene.accepted(job, o.Pending("running"))
    job = await scene.accepted(job, o.Retry("timeout"))

    assert await scene.jobs.history(job.id) == [
        HistoryEntry(job.id, 1, NOW, None, State.QUEUED, "Submitted"),
        HistoryEntry(job.id, 2, NOW, State.QUEUED, State.SUBMITTING, "Intended"),
        HistoryEntry(job.id, 3, NOW, State.SUBMITTING, State.POLLING, "Accepted", "handle h"),
        HistoryEntry(job.id, 5, NOW, State.POLLING, State.POLLING, "Retry", "timeout"),
    ]


async def test_artifacts_are_replaced_by_number(scene: Scene) -> None:
    """A file that lands again after a failed step takes the place of its first row."""
    job = await scene.accepted(await scene.polling("h"), o.Ready())
    failed = scene.update(job, o.Retry("broken"))
    landed = replace(failed, update=replace(failed.update, artifacts=(artifact(0), artifact(1))))
    assert (await scene.jobs.record([landed], OWNER)).accepted == {job.id}
    job = await scene.stored(job)
    again = artifact(1, sha256="cd" * 32, name="new.csv", size=7)
    job = await scene.accepted(job, o.Stored((again, artifact(2))))

    assert job.state is State.SUCCEEDED
    assert await scene.jobs.artifacts(job.id) == [artifact(0), again, artifact(2)]


async def test_files_of_earlier_lists_are_forgotten(scene: Scene) -> None:
    """With the last file's number the list ends; what an earlier visit recorded beyond it goes, in the same commit."""
    job, other = [await scene.accepted(await scene.polling(name), o.Ready()) for name in "ab"]
    for one in (job, other):
        failed = scene.update(one, o.Retry("broken"))
        landed = replace(failed, update=replace(failed.update, artifacts=(artifact(0), artifact(1), artifact(7))))
        assert (await scene.jobs.record([landed], OWNER)).accepted == {one.id}
    named = artifact(1, identity="ab" * 32)
    await scene.accepted(await scene.stored(job), o.Stored((artifact(0), named)))
    assert await scene.jobs.artifacts(job.id) == [artifact(0), named]
    assert len(await scene.jobs.artifacts(other.id)) == 3
    await scene.accepted(await scene.stored(other), o.Stored(()))
    assert await scene.jobs.artifacts(other.id) == []


@pytest.mark.parametrize("outcome", [o.Pending("running"), o.Ready()], ids=["staying", "moving"])
async def test_fence_refuses_what_is_stale(scene: Scene, outcome: o.Outcome) -> None:
    """A passed version, a passed epoch or another owner writes nothing: no job, no history, no artifact."""
    job = await scene.polling("h")
    right = scene.update(job, outcome)
    passed_version = replace(right, update=replace(right.update, expected=job.version - 1))
    early_version = replace(right, update=replace(right.update, expected=job.version + 1))
    passed_epoch, early_epoch = replace(right, epoch=right.epoch - 1), replace(right, epoch=right.epoch + 1)
    told = await scene.jobs.history(job.id)

    for wrong in (passed_version, early_version, passed_epoch, early_epoch):
        assert await scene.jobs.record([wrong], OWNER) == GroupResult(frozenset())
    assert await scene.jobs.record([right], "somebody else") == GroupResult(frozenset())
    assert await scene.stored(job) == job
    assert await scene.jobs.history(job.id) == told


async def test_stale_owner_after_a_takeover(scene: Scene) -> None:
    """Once somebody else has the lane, the first owner writes nothing, and the second one does (invariant 5)."""
    job, other_job = await scene.polling("a"), await scene.polling("b")
    (taken,) = await scene.lanes.take("owner-2", 1, 30.0, force=True, accounts=["acme"])
    stale, fresh = scene.update(job, o.Ready()), scene.update(other_job, o.Ready())

    assert (await scene.jobs.record([stale, fresh], OWNER)).accepted == frozenset()
    mixed = [stale, replace(fresh, epoch=taken.epoch)]
    assert (await scene.jobs.record(mixed, "owner-2")).accepted == {other_job.id}
    assert await scene.stored(job) == job


async def test_taken_handle_fails_only_its_own_update(scene: Scene) -> None:
    """One remote job has one job of ours: the second one to claim it is told so, the rest of the group is written."""
    holder = await scene.polling("taken")
    submitting = [await scene.accepted(await scene.add(), o.Intended(f"i{number}")) for number in range(9)]
    handles = ["a", "taken", "b", "c", "twice", "d", "twice", "e", "f"]
    group = [scene.update(job, o.Accepted(handle)) for job, handle in zip(submitting, handles, strict=True)]
    recorded = await scene.jobs.record(group, OWNER)

    refused = {submitting[1].id: holder, submitting[6].id: submitting[4]}
    assert dict(recorded.conflicts) == {
        number: f"job {other.id} of account acme follows the remote job {handle} already"
        for (number, other), handle in zip(refused.items(), ("taken", "twice"), strict=True)
    }
    assert recorded.accepted == {job.id for job in submitting} - set(refused)
    for number in refused:
        assert len(await scene.jobs.history(number)) == 2


async def test_handle_is_free_for_others(scene: Scene) -> None:
    """The same handle under another account or operation, shared, or of a job that has ended, is no conflict."""
    await scene.polling("h")
    await scene.polling("h", account="other")
    await scene.polling("h", operation="snapshot")
    submitting = await scene.accepted(await scene.add(), o.Intended("i"))
    sharing = await scene.accepted(submitting, o.Duplicate("h"))
    assert sharing.shared

    await scene.accepted(await scene.polling("old"), o.Refused("no"))
    await scene.polling("old")


async def test_handle_of_any_length(scene: Scene) -> None:
    """A handle may be a URL longer than an index entry of PostgreSQL; it is unique all the same."""
    long = "https://api.example/" + "".join(str(number) for number in range(2_000))
    await scene.polling(long)
    job = await scene.accepted(await scene.add(), o.Intended("i"))
    assert [number for number, _ in (await scene.jobs.record([scene.update(job, o.Accepted(long))], OWNER)).conflicts]
    await scene.polling(long + "x")


@pytest.mark.parametrize("outcome", [o.Pending(), o.Retry("timeout")], ids=["staying", "told"])
async def test_cancel_asked_while_a_step_was_under_way(scene: Scene, outcome: o.Outcome) -> None:
    """The step's result is written, and the wish is not forgotten: the job is due at once."""
    job = await scene.polling("h")
    in_flight = scene.update(job, outcome, NOW + 5.0)
    await scene.jobs.ask_cancel(job.id, NOW + 3.0)
    assert (await scene.jobs.record([in_flight], OWNER)).accepted == {job.id}

    stored = await scene.stored(job)
    assert stored == replace(in_flight.update.job, cancel_requested=True, due_at=NOW + 3.0)


async def test_cancel_asked_while_a_submit_was_under_way(scene: Scene) -> None:
    """The same where the job moves on: it is adopted first, then cancelled."""
    job = await scene.accepted(await scene.add(), o.Intended("i"))
    in_flight = scene.update(job, o.Accepted("h", retry_after_s=600.0))
    await scene.jobs.ask_cancel(job.id, NOW + 3.0)
    await scene.jobs.record([in_flight], OWNER)

    stored = await scene.stored(job)
    assert (stored.state, stored.handle, stored.cancel_requested) == (State.POLLING, "h", True)
    assert stored.due_at == NOW


async def test_a_wish_that_the_step_knew_does_not_hurry(scene: Scene) -> None:
    """A job that cannot be cancelled yet keeps its backoff, or it would be visited without pause."""
    job = await scene.accepted(await scene.add(), o.Intended("i"))
    job = await scene.accepted(job, o.Unknown("timeout"))
    await scene.jobs.ask_cancel(job.id, NOW)
    job = await scene.stored(job)
    retried = scene.update(job, o.Retry("list failed"), NOW + 1.0)
    await scene.jobs.record([retried], OWNER)

    stored = await scene.stored(job)
    assert stored.cancel_requested
    assert stored.due_at == retried.update.job.due_at
    assert stored.due_at is not None
    assert stored.due_at > NOW + 1.0


async def test_the_end_clears_the_wish(scene: Scene) -> None:
    """A job that ended while somebody asked to cancel it has ended: no wish, never due again."""
    job = await scene.polling("h")
    in_flight = scene.update(job, o.Stored((artifact(0),)))
    await scene.jobs.ask_cancel(job.id, NOW)
    await scene.jobs.record([in_flight], OWNER)
    assert await scene.stored(job) == in_flight.update.job
    assert not (await scene.stored(job)).cancel_requested


async def test_text_that_no_database_takes(scene: Scene) -> None:
    """NUL and lone surrogates in a provider's text are replaced; they fail neither their own update nor the group."""
    bad, good = await scene.polling("a"), await scene.polling("b")
    group = [scene.update(bad, o.Retry("nul \0 and \ud800 half")), scene.update(good, o.Pending("läuft"))]
    assert (await scene.jobs.record(group, OWNER)).accepted == {bad.id, good.id}
    assert (await scene.stored(bad)).reason == "nul \ufffd and \ufffd half"
    assert (await scene.stored(good)).remote_status == "läuft"


async def test_not_a_number_is_a_bug(scene: Scene) -> None:
    """A time that is no number is refused before anything is sent."""
    update = scene.update(await scene.polling("h"), o.Pending())
    broken = replace(update, update=replace(update.update, job=replace(update.update.job, due_at=float("nan"))))
    with pytest.raises(ValueError, match="JSON"):
        await scene.jobs.record([broken], OWNER)


async def _parked(scene: Scene) -> FencedUpdate:
    """A parked job, in a person's decision to submit it again."""
    job = await scene.accepted(await scene.add(), o.Intended("i"))
    job = await scene.accepted(await scene.accepted(job, o.Unknown("?")), o.Undecidable("?"))
    assert (job.state, job.due_at) == (State.PARKED, None)
    return scene.update(job, o.RetryDecided(), NOW + 9.0)


async def test_decision_needs_no_lane(scene: Scene) -> None:
    """A person's decision on a parked job is written whoever holds the lane, with its history row, and only once."""
    decision = (await _parked(scene)).update
    await scene.lanes.take("owner-2", 1, 30.0, force=True, accounts=["acme"])

    assert await scene.jobs.decide(decision)
    assert await scene.stored(decision.job) == decision.job
    assert (await scene.jobs.history(decision.job.id))[-1] == decision.entry
    assert not await scene.jobs.decide(decision)


async def test_decision_only_on_parked_jobs(scene: Scene) -> None:
    """A job that is being worked on belongs to its lane."""
    job = await scene.polling("h")
    decision = replace(scene.update(job, o.Ready()).update)
    assert not await scene.jobs.decide(decision)
    assert await scene.stored(job) == job


async def test_decision_to_adopt_a_taken_handle(scene: Scene) -> None:
    """Adopting a remote job that another job follows is refused with a sentence, and nothing changes."""
    holder = await scene.polling("h")
    parked = await scene.stored((await _parked(scene)).update.job)
    with pytest.raises(HandleTakenError, match=f"job {holder.id} of account acme follows the remote job h already"):
        await scene.jobs.decide(scene.update(parked, o.AdoptDecided("h")).update)
    assert await scene.stored(parked) == parked


async def test_a_step_is_overtaken_by_nothing_after_a_decision(scene: Scene, database: Database) -> None:
    """A decision raises the version, so that an update from before it is stale, though the lane is still held."""
    decision = await _parked(scene)
    late = scene.update(replace(decision.update.job, version=decision.update.expected), o.Intended("late"))
    await scene.jobs.decide(decision.update)
    assert (await scene.jobs.record([late], OWNER)).accepted == frozenset()
