"""A lane: one account's stream of work, served by this daemon for as long as it holds the lease.

Two tracks run side by side, one that asks the provider and one that downloads, so that long downloads never starve
polls. Each track repeats: wait for a free slot, read the next due job, wait until the budget admits a request, take the
step in a task of its own. Only a due job costs memory; a waiting one is a row.

The lane knows the times at which jobs are due that it wrote itself; ``due_by`` tells it of new jobs and requests.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from random import Random

from app.clock import Clock
from app.domain import outcome as o
from app.domain.job import Job, State, Track, track_of
from app.domain.machine import IllegalOutcomeError, Update, advance
from app.domain.schedule import Policy
from app.providers.provider import BoundAccount
from app.store.engine import StoreUnavailableError
from app.store.jobs import JobStore
from app.store.lanes import LaneRow, LaneState
from app.transport.budget import Budget
from app.transport.errors import AccountPausedError
from app.worker.answers import Answers, asks_for_answer, may_share
from app.worker.cancelling import Stoppable
from app.worker.hold import Hold
from app.worker.narrator import Narrator
from app.worker.recorder import Recorder, Verdict
from app.worker.remote_jobs import RemoteJobs
from app.worker.session import SignedClient
from app.worker.steps import Stepper
from app.worker.storage_gate import StorageGate
from app.worker.stream import Slots, Stream
from app.worker.visit import SupersededError, Visit

_READ_AHEAD = 8
_LONGEST_SLEEP_S = 3600.0
_STORE_RETRY_S = 1.0
_NO_POLICY = Policy()


class Lane:
    """Serves the due jobs of one lane.

    Args:
        row: the lane as it was taken.
        hold: the lease.
        account: the account, bound to its provider's spec.
        client: the way to the provider, on this lane's budget.
        budget: what may be asked of the provider.
        stepper: takes the steps.
        jobs: where due jobs are read.
        recorder: where outcomes go.
        narrator: told of crashes.
        slots: how many steps may be under way.
        clock: the time.
        rand: spreads retries.
        storage_gate: open while the storage has room.
        answers: what its jobs may share.
        remote: counts its remote jobs.
        reopened_at: when a person last opened the account, as far as was known when the lane was built.
    """

    def __init__(
        self,
        row: LaneRow,
        *,
        hold: Hold,
        account: BoundAccount,
        client: SignedClient,
        budget: Budget,
        stepper: Stepper,
        jobs: JobStore,
        recorder: Recorder,
        narrator: Narrator,
        slots: Slots,
        clock: Clock,
        rand: Random,
        storage_gate: StorageGate,
        answers: Answers,
        remote: RemoteJobs,
        reopened_at: float | None = None,
    ) -> None:
        self.row = row
        self.hold = hold
        self.budget = budget
        self._account = account
        self._client = client
        self._stepper = stepper
        self._jobs = jobs
        self._recorder = recorder
        self._narrator = narrator
        self._clock = clock
        self._rand = rand
        self._storage_gate = storage_gate
        self._answers = answers
        self._remote = remote
        self._reopened_at = reopened_at
        now = clock.now()
        self._streams: Mapping[Track, Stream] = {
            Track.ASK: Stream(Track.ASK, slots.ask, now),
            Track.FETCH: Stream(Track.FETCH, slots.fetch, now),
        }
        self._busy: set[int] = set()
        self._left: set[int] = set()
        self._hurried: set[int] = set()
        self._reading = 0
        self._steps: set[asyncio.Task[None]] = set()
        self._stoppable = Stoppable()
        self._closing = asyncio.Event()
        self._feeders: list[asyncio.Task[None]] = []
        self._group: asyncio.TaskGroup | None = None

    @property
    def in_flight(self) -> int:
        """Steps under way."""
        return len(self._steps)

    @property
    def is_closed(self) -> bool:
        """Whether no more steps are begun."""
        return self._closing.is_set()

    def state(self) -> LaneState:
        """What the next owner has to know of the budget."""
        budget = self.budget
        return LaneState(
            self.hold.epoch, budget.snapshot(), budget.closed_until, budget.closed_reason, self._reopened_at
        )

    def due_by(self, track: Track, due_at: float) -> None:
        """A job of this track is, or will be, due at that epoch second."""
        self._streams[track].due_by(due_at)

    def hurry(self, job_id: int) -> None:
        """A callback has made a job due. One that a step is working on is looked at again when that step has ended."""
        if job_id in self._busy:
            self._hurried.add(job_id)
        self.due_by(Track.ASK, self._clock.now())

    def grant(self, job: Job) -> None:
        """Let a job go that somebody asked to stop: at once, whatever the budget says; a download stops."""
        if job.id in self._busy:
            self._stoppable.stop(job.id)
            return
        if self._closing.is_set():
            return
        self._busy.add(job.id)
        update = advance(job, o.CancelAsked(), self._policy_of(job), self._clock.now(), self._rand)
        self._recorder.record(update, self.hold.epoch, self._let_go)

    def heed(self, paused: str | None) -> None:
        """The account is paused for this reason, or is not (any more).

        While it is no step begins, but wishes to cancel are granted. Its end has moved the deadlines of all jobs.
        """
        if paused is not None:
            self.budget.pause(paused)
        elif self.budget.paused is not None:
            self.budget.resume()
            for stream in self._streams.values():
                stream.begin_anew(self._clock.now())

    def reopen(self, at: float | None) -> None:
        """A person last opened the account at that epoch second: where that is news, a closing of this lane ends."""
        if at == self._reopened_at:
            return
        self._reopened_at = at
        closed_until, reason = self.budget.closed_until, self.budget.closed_reason
        if self.budget.reopen():
            self._narrator.reopened(self.row.id, self.row.account, closed_until, reason)

    async def run(self) -> None:
        """Serve until :meth:`close` or cancellation; steps end before this does."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._feeders = [group.create_task(self._feed(stream, group)) for stream in self._streams.values()]
            await self._closing.wait()
            for feeder in self._feeders:
                feeder.cancel()

    def close(self, grace_s: float = 0.0) -> None:
        """Begin no more steps. Those under way go on for ``grace_s``, but for those that only wait for the account."""
        self._closing.set()
        self.budget.drain(grace_s)

    def interrupt(self) -> None:
        """Stop the steps under way; each still reports what it knows."""
        for step in self._steps:
            step.cancel()

    def lose(self) -> None:
        """The lease has passed on: begin nothing, stop everything."""
        self.hold.lost()
        self.close()
        self.interrupt()

    # --- from what is due to a step under way -------------------------------------------------------------------------

    async def _feed(self, stream: Stream, group: asyncio.TaskGroup) -> None:
        """Begin one step after the other, as slots, due jobs and the budget allow."""
        if stream.track is Track.ASK:
            await self._remote.load()
        while True:
            await stream.free.acquire()
            await self._recorder.room.wait()
            if stream.track is Track.FETCH:
                await self._storage_gate.open.wait()
            await self.budget.unpaused.wait()
            while not self.hold.held():  # no request may leave until the lease is renewed
                await self._clock.sleep(_STORE_RETRY_S)
            job = await self._next(stream)
            operation = self._account.operations.get(job.operation)
            visit = Visit.of(job, operation, self._client, self.hold) if operation else None
            if not await self._prepared(visit):
                stream.free.release()
                continue
            if job.id in self._busy:  # a wish to cancel it was granted while the step was prepared
                self._give_up(visit)
                stream.free.release()
                continue
            self._remote.begin(job)
            self._busy.add(job.id)
            step = group.create_task(self._step(stream, job, visit))
            self._steps.add(step)
            step.add_done_callback(self._steps.discard)
            if visit is not None:
                self._stoppable.begin(step, visit)

    def _give_up(self, visit: Visit | None) -> None:
        """A step that was prepared is not begun."""
        if visit is None:
            return
        if visit.session.permit is not None:
            visit.session.permit.give_back()
        self._answers.end(visit.job)

    async def _prepared(self, visit: Visit | None) -> bool:
        """Get what the step begins with; ``False`` where the account is paused."""
        if self.budget.paused is not None:
            return False
        try:
            if visit is not None:
                await self._prepare(visit)
        except AccountPausedError:
            return False
        return True

    async def _prepare(self, visit: Visit) -> None:
        """What a step needs before it begins: another job's answer that it may share, else a permit."""
        job, operation = visit.job, visit.operation
        sharing = None if job.answer_key is None or job.cancel_requested else operation.sharing
        if sharing is not None and (job.state is State.QUEUED or asks_for_answer(job, operation)):
            visit.shared_result = await self._answers.look(job, sharing)
        if visit.shared_result is None and self._stepper.asks_provider(job, operation):
            visit.session.permit = await self.budget.admit()
        if visit.shared_result is None and sharing is not None and asks_for_answer(job, operation):
            self._answers.begin(job)

    async def _next(self, stream: Stream) -> Job:
        """The next due job of a track; waits until there is one."""
        while True:
            while stream.ready:
                job = stream.ready.popleft()
                if self._remote.holds_back(job):
                    stream.read_again()
                elif job.id not in self._busy:
                    return job
            await stream.until_due(self._clock)
            stream.look_at = self._clock.now() + _LONGEST_SLEEP_S
            await self._read(stream)

    async def _read(self, stream: Stream) -> None:
        """Read due jobs into the track; jobs that a step is working on, or that it has just left, are passed over."""
        now = self._clock.now()
        limit = _READ_AHEAD * stream.slots + len(self._busy)
        begun_anew = stream.begun_anew
        self._reading += 1
        try:
            submits = not self._remote.full
            found = await self._jobs.due(self.row.id, stream.track, now, limit, stream.since, submits=submits)
            if stream.begun_anew != begun_anew:
                return
            stream.ready.extend(job for job in found if job.id not in self._busy and job.id not in self._left)
            stream.go_on(found, more=len(found) == limit)
            if not stream.more:
                coming = await self._jobs.next_due_after(self.row.id, stream.track, now)
                if coming is not None:
                    stream.due_by(coming)
        except StoreUnavailableError:
            stream.go_on((), more=False)
            stream.due_by(now + _STORE_RETRY_S)
        finally:
            self._reading -= 1
            if not self._reading:
                self._left.clear()

    # --- a step under way ---------------------------------------------------------------------------------------------

    async def _step(self, stream: Stream, job: Job, visit: Visit | None) -> None:
        """Take one step and hand its outcome to the recorder."""
        try:
            if visit is None:
                self._refuse(job, f"account {job.account} has no operation {job.operation} any more")
                return
            try:
                outcome = await self._stepper.take(visit)
            except SupersededError:
                self._remote.forget(job.id)
                self._leave(job.id)
                return
            except asyncio.CancelledError:
                if not self._stoppable.was_stopped(job.id):
                    self._record(visit, self._stepper.interrupted(visit))
                    raise
                self._record(visit, self._stepper.cancelled(visit))
                await self._stepper.drop_parts(job)
                return
            if isinstance(outcome, o.Crashed):
                self._narrator.crashed(visit.job, outcome.reason)
            elif isinstance(outcome, o.StorageFull):
                self._storage_gate.close(outcome.reason)
            self._record(visit, outcome)
        finally:
            self._stoppable.end(job.id)
            if visit is not None and visit.session.permit is not None:
                visit.session.permit.done()
            self._answers.end(job)
            stream.free.release()

    def _record(self, visit: Visit, outcome: o.Outcome) -> None:
        """Hand what a step learned to the recorder, with the files that have landed."""
        policy, now = visit.operation.policy_of(visit.job), self._clock.now()
        try:
            update = advance(visit.job, outcome, policy, now, self._rand)
        except IllegalOutcomeError as error:
            self._narrator.crashed(visit.job, str(error))
            update = advance(visit.job, o.Crashed(str(error)), policy, now, self._rand)
        if visit.artifacts and not update.artifacts:
            update = replace(update, artifacts=tuple(visit.artifacts))
        if may_share(visit.job, visit.operation.sharing, outcome):
            self._answers.answered(visit.job, update.artifacts)
        elif visit.shared_result is not None and isinstance(outcome, o.Retry):
            self._answers.spoil(visit.shared_result)
        self._recorder.record(update, self.hold.epoch, self._settled, shares=policy.shares)

    def _refuse(self, job: Job, reason: str) -> None:
        """End a job that cannot go on, whatever its operation's policy was."""
        update = advance(job, o.Refused(reason), _NO_POLICY, self._clock.now(), self._rand)
        self._recorder.record(update, self.hold.epoch, self._settled)

    def _let_go(self, update: Update, verdict: Verdict) -> None:
        """A job was cancelled between two steps: what its downloads have left goes, too, in a drain by the sweep."""
        self._settled(update, verdict)
        if verdict is Verdict.ACCEPTED and update.job.ready_at and self._group is not None and not self.is_closed:
            self._group.create_task(self._stepper.drop_parts(update.job))

    def _policy_of(self, job: Job) -> Policy:
        operation = self._account.operations.get(job.operation)
        return operation.policy_of(job) if operation else _NO_POLICY

    def _settled(self, update: Update, verdict: Verdict) -> None:
        """An outcome has its verdict: the job may be visited again."""
        job = update.job
        self._leave(job.id)
        if verdict in (Verdict.ACCEPTED, Verdict.UNWRITABLE):
            if self._remote.settle(job):
                self.due_by(Track.ASK, self._clock.now())
            if job.due_at is not None:
                self.due_by(track_of(job.state), job.due_at)
            if job.id in self._hurried:
                self.due_by(track_of(job.state), self._clock.now())
                self._hurried.discard(job.id)
        elif verdict is Verdict.STALE:
            self._remote.forget(job.id)
            self.due_by(track_of(job.state), self._clock.now() + _STORE_RETRY_S)
        else:
            before = replace(job, state=update.state_from, version=update.expected, handle=None)
            self._busy.add(job.id)
            if update.state_from is State.RECONCILING:
                self._look_again(before)
                return
            self._refuse(before, f"the provider named remote job {job.shown_handle}, which another job follows already")

    def _look_again(self, job: Job) -> None:
        """Two jobs have found one remote job; this one was too late, and is to find its own, or that there is none."""
        told = o.Retry("another job follows the remote job that was found")
        update = advance(job, told, self._policy_of(job), self._clock.now(), self._rand)
        self._recorder.record(update, self.hold.epoch, self._settled)

    def _leave(self, job_id: int) -> None:
        self._busy.discard(job_id)
        if self._reading:
            self._left.add(job_id)
