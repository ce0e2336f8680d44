"""A lane: one account's stream of work, served by this daemon for as long as it holds the lease.

Two tracks run side by side, one that asks the provider and one that downloads, so that long downloads never delay
polls. Each track repeats: wait for a free slot, get the next due job, wait until the budget admits a request, and take
the step in a task of its own.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

from tidewaiter.database.duration_store import DurationStore
from tidewaiter.database.lane_rows import LaneRow, LaneState
from tidewaiter.domain import formatting
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.job import Job, State, Track, track_of
from tidewaiter.domain.state_machine import IllegalOutcomeError, JobUpdate, advance
from tidewaiter.transport.wire import AccountPausedError
from tidewaiter.worker.committer import CommitResult
from tidewaiter.worker.due_jobs import DueJobs
from tidewaiter.worker.file_slots import FileSlots
from tidewaiter.worker.jobs_under_way import JobsUnderWay
from tidewaiter.worker.lane_parts import LaneLimits, LaneParts, ProviderAccess
from tidewaiter.worker.learned_schedules import LearnedSchedules
from tidewaiter.worker.lease import Lease
from tidewaiter.worker.outcome_texts import expired_while_closed
from tidewaiter.worker.remote_job_limit import RemoteJobs
from tidewaiter.worker.shared_results import SharedResults, asks_for_result, may_share
from tidewaiter.worker.step_context import RunningSteps, StepContext, SupersededError

_STORE_RETRY_S = 1.0
_NO_POLICY = OperationPolicy()


class Lane:
    """Serves the due jobs of one lane.

    Args:
        row: the lane as it was taken.
        lease: says whether the lane is still ours.
        access: the account and how to reach its provider.
        limits: how many steps and remote jobs may be under way.
        parts: what all lanes use.
        shared_results: the results that its jobs may share.
        reopened_at: when a person last opened the account, as far as was known when the lane was built.
    """

    def __init__(
        self,
        row: LaneRow,
        lease: Lease,
        access: ProviderAccess,
        limits: LaneLimits,
        parts: LaneParts,
        *,
        shared_results: SharedResults,
        reopened_at: float | None = None,
    ) -> None:
        self.row = row
        self.lease = lease
        self.budget = access.budget
        self._account = access.account
        self._client = access.client
        self._executor = parts.executor
        self._committer = parts.committer
        self._job_log = parts.job_log
        self._storage_gate = parts.storage_gate
        self._clock = parts.clock
        self._rand = parts.rand
        self._shared_results = shared_results
        self._reopened_at = reopened_at
        self._taken_at = parts.clock.now()
        self._remote = RemoteJobs(parts.jobs, row.id, limits.remote_jobs, parts.clock)
        durations = DurationStore(parts.jobs.database)
        self.learned = LearnedSchedules(durations, row.id, access.account.operations, parts.clock)
        self.under_way = JobsUnderWay()
        self._due: Mapping[Track, DueJobs] = {
            track: DueJobs(
                row.id,
                track,
                slots,
                reader=parts.due_reader,
                under_way=self.under_way,
                remote=self._remote,
                clock=parts.clock,
            )
            for track, slots in ((Track.ASK, limits.polls), (Track.FETCH, limits.downloads))
        }
        self._file_slots = FileSlots(self._due[Track.FETCH].free_slots, limits.polls)
        self._preparing: set[int] = set()
        self._woken: set[int] = set()
        self._steps: set[asyncio.Task[None]] = set()
        self._running_steps = RunningSteps()
        self._closing = asyncio.Event()
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
        """The state of the budget, for the next owner."""
        budget, reason = self.budget, self.budget.closed_reason
        if reason is not None and (tests_at := budget.tests_at) is not None:
            reason = f"{reason.rstrip('.')}; next test request at {formatting.clock(tests_at)} UTC"
        return LaneState(self.lease.epoch, budget.snapshot(), budget.closed_until, reason, self._reopened_at)

    # --- requests from outside ----------------------------------------------------------------------------------------

    def due_by(self, track: Track, due_at: float) -> None:
        """A job of this track is, or will be, due at that epoch second."""
        self._due[track].due_by(due_at)

    def wake_up(self, job_id: int) -> None:
        """A callback has made a job due. If a step works on it now, another step follows when that one has ended."""
        if job_id in self.under_way:
            self._woken.add(job_id)
        self.due_by(Track.ASK, self._clock.now())

    def cancel(self, job: Job) -> None:
        """Cancel a job on request: at once, whatever the budget says. A download under way is stopped."""
        if job.id in self.under_way:
            self._running_steps.stop(job.id)
            return
        if not self.is_closed:
            self._end_between_steps(((job, o.CancelAsked()),))

    def expire(self, jobs: Iterable[Job]) -> None:
        """End jobs whose deadline has passed while nothing may be sent to the provider.

        Their remote jobs are not cancelled: that would be a request, too. A job that a step works on is left to it.
        """
        if self.is_closed or self.budget.paused is not None or not self.budget.is_closed:
            return
        reason = self.budget.closed_reason
        self._end_between_steps(
            (job, expired_while_closed(job, self._policy_of(job), reason))
            for job in jobs
            if self.under_way.is_current(job)
        )

    def apply_pause(self, reason: str | None) -> None:
        """Pause the lane for this reason, or (``None``) end its pause.

        During a pause no step begins, but cancel requests are still served. The end of a pause has moved the deadlines
        of all jobs, so they are read again.
        """
        if reason is not None:
            self.budget.pause(reason)
        elif self.budget.paused is not None:
            self.budget.resume()
            for due in self._due.values():
                due.reset()

    def apply_reopening(self, at: float | None) -> None:
        """End a closing of this lane, if the account was reopened at that epoch second and the lane did not know it."""
        if at == self._reopened_at:
            return
        self._reopened_at = at
        closed_until, reason = self.budget.closed_until, self.budget.closed_reason
        if self.budget.reopen():
            self._job_log.reopened(self.row.id, self.row.account, closed_until, reason)

    # --- begin and end ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until :meth:`close` or cancellation; steps end before this does."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            feeders = [group.create_task(self._feed(due, group)) for due in self._due.values()]
            await self._closing.wait()
            for feeder in feeders:
                feeder.cancel()

    def close(self, grace_s: float = 0.0) -> None:
        """Begin no more steps. Those under way go on for ``grace_s``, except those that only wait for the account."""
        self._closing.set()
        self.budget.drain(grace_s)

    def interrupt(self) -> None:
        """Stop the steps under way; each still reports what it knows."""
        for task in self._steps:
            task.cancel()

    def lease_lost(self) -> None:
        """Begin nothing more and stop everything: the lane has another owner."""
        self.lease.lost()
        self.close()
        self.interrupt()

    # --- from a due job to a step under way ---------------------------------------------------------------------------

    async def _feed(self, due: DueJobs, group: asyncio.TaskGroup) -> None:
        """Begin one step after the other, as slots, due jobs and the budget allow."""
        if due.track is Track.ASK:
            await self._remote.load()
            await self.learned.load()
        while True:
            await due.free_slots.acquire()
            await self._until_steps_may_begin(due.track)
            job = await due.next()
            operation = self._account.operations.get(job.operation)
            step = StepContext.of(job, operation, self._client, self.lease) if operation else None
            if step is not None:
                step.suspect = self._may_have_ended_daemon(job)
            if step is not None and due.track is Track.FETCH:
                step.slots = self._file_slots
                step.has_no_files = due.has_no_files(job)
            self._preparing.add(job.id)
            if not await self._prepared(step):
                self._preparing.discard(job.id)
                due.free_slots.release()
                continue
            if job.id not in self._preparing:  # a cancel request was served while the step was prepared
                self._give_up(step)
                due.free_slots.release()
                continue
            self._preparing.discard(job.id)
            self._remote.begin(job)
            self.under_way.begin(job.id)
            task = group.create_task(self._step(due, job, step))
            self._steps.add(task)
            task.add_done_callback(self._steps.discard)
            if step is not None:
                self._running_steps.begin(task, step)

    def _may_have_ended_daemon(self, job: Job) -> bool:
        """Whether the last step of a job may have ended the daemon: the next one is counted before it begins.

        The daemon that served the lane before did not give it back, and the job was due already. A step that reports
        clears the suspicion.
        """
        if job.crashes:
            return True
        was_due = job.due_at is not None and job.due_at <= self._taken_at
        return not self.row.clean and (was_due or (job.state is State.FETCHING and job.fetches > 0))

    async def _until_steps_may_begin(self, track: Track) -> None:
        """Wait for room in the committer, a storage that takes files, an account without a pause, and the lease."""
        await self._committer.room.wait()
        if track is Track.FETCH:
            await self._storage_gate.open.wait()
        await self.budget.unpaused.wait()
        while not self.lease.held():  # no request may leave until the lease is renewed
            await self._clock.sleep(_STORE_RETRY_S)

    async def _prepared(self, step: StepContext | None) -> bool:
        """Prepare a step; ``False`` if the account is paused."""
        if self.budget.paused is not None:
            return False
        try:
            if step is not None:
                await self._prepare(step)
        except AccountPausedError:
            return False
        return True

    async def _prepare(self, step: StepContext) -> None:
        """Get the shared result of another job if the step may use one, else a permit for its request."""
        job, operation = step.job, step.operation
        sharing = None if job.answer_key is None or job.cancel_requested else operation.sharing
        if sharing is not None and (job.state is State.QUEUED or asks_for_result(job, operation)):
            step.shared_result = await self._shared_results.find(job, sharing)
        if step.shared_result is None and self._executor.asks_provider(job, operation):
            step.session.permit = await self.budget.admit()
        if step.shared_result is None and sharing is not None and asks_for_result(job, operation):
            self._shared_results.begin(job)

    def _give_up(self, step: StepContext | None) -> None:
        """Undo :meth:`_prepare` for a step that is not begun."""
        if step is None:
            return
        if step.session.permit is not None:
            step.session.permit.give_back()
        self._shared_results.end(step.job)

    # --- a step under way ---------------------------------------------------------------------------------------------

    async def _step(self, due: DueJobs, job: Job, step: StepContext | None) -> None:
        """Take one step and hand its outcome over for commit."""
        try:
            if step is None:
                self._refuse(job, f"account {job.account} has no operation {job.operation} any more")
                return
            try:
                outcome = await self._executor.take(step)
            except SupersededError:
                self._remote.forget(job.id)
                self.under_way.end(job.id)
                return
            except asyncio.CancelledError:
                if not self._running_steps.was_stopped(job.id):
                    self._record(step, self._executor.interrupted(step))
                    raise
                self._record(step, self._executor.cancelled(step))
                await self._executor.drop_parts(job)
                return
            if isinstance(outcome, o.Crashed):
                self._job_log.crashed(step.job, outcome.reason)
            elif isinstance(outcome, o.StorageFull):
                self._storage_gate.close(outcome.reason)
            self._record(step, outcome)
        finally:
            self._running_steps.end(job.id)
            if step is not None and step.session.permit is not None:
                step.session.permit.done()
            self._shared_results.end(job)
            due.free_slots.release()

    def _record(self, step: StepContext, outcome: o.Outcome) -> None:
        """Hand the outcome of a step over for commit, with the files that have landed."""
        policy, now = step.operation.policy_of(step.job), self._clock.now()
        try:
            learned = self.learned.of(step.job)
            update = advance(step.job, outcome, policy, now, self._rand, learned=learned)
        except IllegalOutcomeError as error:
            self._job_log.crashed(step.job, str(error))
            update = advance(step.job, o.Crashed(str(error)), policy, now, self._rand)
        if step.artifacts and not update.artifacts:
            update = replace(update, artifacts=tuple(step.artifacts))
        if may_share(step.job, step.operation.sharing, outcome):
            self._shared_results.landed(step.job, update.artifacts)
        elif step.shared_result is not None and isinstance(outcome, o.Retry):
            self._shared_results.invalidate(step.shared_result)
        self._committer.record(update, self.lease.epoch, self._settled, shares=policy.shares)

    def _refuse(self, job: Job, reason: str) -> None:
        """End a job that cannot go on, whatever its operation's policy was."""
        update = advance(job, o.Refused(reason), _NO_POLICY, self._clock.now(), self._rand)
        self._committer.record(update, self.lease.epoch, self._settled)

    def _policy_of(self, job: Job) -> OperationPolicy:
        operation = self._account.operations.get(job.operation)
        return operation.policy_of(job) if operation else _NO_POLICY

    # --- an outcome that is committed, or refused ---------------------------------------------------------------------

    def _settled(self, update: JobUpdate, result: CommitResult) -> None:
        """The result of a commit is known: another step of the job may begin."""
        job = update.job
        self.under_way.end(job.id)
        match result:
            case CommitResult.ACCEPTED | CommitResult.UNWRITABLE:
                if update.duration is not None:
                    self.learned.add(job.operation, update.duration)
                if self._remote.settle(job):
                    self.due_by(Track.ASK, self._clock.now())
                if job.due_at is not None:
                    self.due_by(track_of(job.state), job.due_at)
                if job.id in self._woken:
                    self.due_by(track_of(job.state), self._clock.now())
                    self._woken.discard(job.id)
            case CommitResult.STALE:
                self._remote.forget(job.id)
                self.due_by(track_of(job.state), self._clock.now() + _STORE_RETRY_S)
            case CommitResult.CONFLICT:
                self._settled_twin(update)

    def _settled_twin(self, update: JobUpdate) -> None:
        """Another job follows the remote job of this one: search again, or refuse the job."""
        job = update.job
        before = update.before or replace(job, state=update.state_from, version=update.expected, handle=None)
        self.under_way.begin(job.id)
        if update.state_from is not State.RECONCILING:
            self._refuse(before, f"the provider named remote job {job.shown_handle}, which another job follows already")
            return
        # Both jobs found the same remote job, and this one was too late: it searches again.
        outcome = o.Retry("another job follows the remote job that was found")
        again = advance(before, outcome, self._policy_of(before), self._clock.now(), self._rand)
        self._committer.record(again, self.lease.epoch, self._settled)

    def _end_between_steps(self, ended: Iterable[tuple[Job, o.Outcome]]) -> None:
        """End jobs that no step works on. What was read of them before is forgotten: a step would begin with it."""
        endings = list(ended)
        for due in self._due.values():
            due.forget({job.id for job, _ in endings})
        for job, outcome in endings:
            self._preparing.discard(job.id)
            self.under_way.begin(job.id)
            update = advance(job, outcome, self._policy_of(job), self._clock.now(), self._rand)
            self._committer.record(update, self.lease.epoch, self._settled_between_steps)

    def _settled_between_steps(self, update: JobUpdate, result: CommitResult) -> None:
        """A job ended between two steps: delete the parts of its downloads. In a drain, retention does it."""
        self._settled(update, result)
        if result is CommitResult.ACCEPTED and update.job.ready_at and self._group is not None and not self.is_closed:
            self._group.create_task(self._executor.drop_parts(update.job))
