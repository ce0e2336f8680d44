"""The job log: turns committed updates into log lines, and counts what the heartbeat reports."""

from collections.abc import Callable, Sequence

from tidewaiter.clock import Clock
from tidewaiter.database.artifact_store import FileTotals
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.batch import EndedBatch
from tidewaiter.domain.change_feed import ChangeListener, change_of, ignore_change
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.domain.manifest import Artifact, folder_of
from tidewaiter.domain.state_machine import JobUpdate
from tidewaiter.log import EventLog
from tidewaiter.services.batch_events import log_batch

_MOST_DIGESTS = 100  # in one line of the log; the manifest has all of them
_POLLED = (o.Pending, o.Ready, o.Gone, o.Unmapped)


def _uncounted(_account: str) -> None:
    pass


class JobLog:
    """Writes one line for each transition, after its commit; the last line of a job sums it up.

    Args:
        log: takes the lines.
        clock: the time.
        jobs: has the files that landed in earlier steps of a job.
        polled: called with the account of every poll that got a reply.
        on_change: called with every transition.
    """

    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        jobs: JobStore,
        *,
        polled: Callable[[str], None] = _uncounted,
        on_change: ChangeListener = ignore_change,
    ) -> None:
        self._log = log
        self._clock = clock
        self._jobs = jobs
        self._polled = polled
        self._on_change = on_change
        self.polls = 0
        self.landed_bytes = 0

    async def committed(self, updates: Sequence[JobUpdate]) -> None:
        """Log the changes of these committed updates."""
        for update in updates:
            if isinstance(update.outcome, _POLLED):
                self.polls += 1
                self._polled(update.job.account)
            change = change_of(update)
            if change is None:
                self._waited(update)
                continue
            self._on_change(change)
            if update.job.state in TERMINAL:
                await self._finished(update)
            else:
                self._advanced(update, change.event)

    def batch_ended(self, ended: EndedBatch) -> None:
        """Log that the last job of a batch has ended."""
        log_batch(self._log, ended)

    def without_secrets(self, value: object) -> object:
        """A value in which the secrets of all accounts are hidden, as in the log."""
        return self._log.redactor.clean_value(value)

    def text_without_secrets(self, text: str) -> str:
        """A text in which they are hidden."""
        return self._log.redactor.clean(text)

    def dropped(self, update: JobUpdate) -> None:
        """Log that a stale write was refused."""
        self._log.emit("update.dropped", **_step(update.job), outcome=_name(update))

    def conflicted(self, update: JobUpdate, reason: str) -> None:
        """Log that two jobs claim the same remote job."""
        self._log.emit("job.conflicted", **_named(update.job), reason=reason)

    def landed(self, job: Job, artifact: Artifact, resumed_from: int) -> None:
        """Log a file that is durable under its final name."""
        self.landed_bytes += artifact.size
        self._log.emit(
            "file.landed",
            **_named(job),
            key=artifact.key,
            bytes=artifact.size,
            sha256=artifact.sha256,
            resumed_from=resumed_from,
        )

    def digest_unread(self, job: Job, link: Link) -> None:
        """Log that an announced digest cannot be read, so that the file lands without being compared with it."""
        self._log.emit("file.digest_unread", **_named(job), label=link.label, reason=link.unread)

    def crashed(self, job: Job, reason: str) -> None:
        """Log a step that failed with an error in this program."""
        self._log.emit("job.crashed", **_step(job), reason=reason)

    def reopened(self, lane: int, account: str, closed_until: float, reason: str | None) -> None:
        """Log that a person ended a closing that would have lasted until that epoch second (0 for a breaker)."""
        left_s = round(max(0.0, closed_until - self._clock.now()), 1)
        self._log.emit("account.reopened", lane=lane, account=account, reason=reason, left_s=left_s)

    def _waited(self, update: JobUpdate) -> None:
        job = update.job
        if self._log.is_printed("job.waited") and isinstance(update.outcome, o.Pending):
            self._log.emit(
                "job.waited",
                **_named(job),
                status=job.remote_status,
                progress=job.progress,
                polls=job.polls,
                due_in_s=self._due_in(job),
            )

    def _advanced(self, update: JobUpdate, event: str) -> None:
        job = update.job
        match event:
            case "job.parked":
                self._log.emit("job.parked", **_step(job), reason=job.reason)
            case "job.stalled":
                still_s = _between(job.moved_at, self._clock.now())
                self._log.emit(
                    event, **_step(job), reason=job.reason, still_s=still_s, polls=job.polls, due_in_s=self._due_in(job)
                )
            case "job.repeated":
                self._log.emit(
                    event, **_step(job), reason=job.reason, unknowns=job.unknowns, due_in_s=self._due_in(job)
                )
            case "job.postponed":
                self._log.emit(event, **_step(job), reason=job.reason, agains=job.agains, due_in_s=self._due_in(job))
            case "job.unmapped":
                self._log.emit("job.unmapped", **_step(job), reason=job.reason, due_in_s=self._due_in(job))
            case "job.troubled":
                self._log.emit(
                    "job.troubled",
                    **_step(job),
                    outcome=_name(update),
                    reason=job.reason,
                    failures=job.failures,
                    due_in_s=self._due_in(job),
                )
            case _:
                self._log.emit(
                    "job.advanced",
                    **_step(job),
                    state_from=update.state_from.value,
                    outcome=_name(update),
                    stage=job.stage,
                    handle=job.shown_handle,
                    reason=job.reason,
                    polls=job.polls,
                    due_in_s=self._due_in(job),
                )

    async def _finished(self, update: JobUpdate) -> None:
        job = update.job
        totals = await self._totals(update)
        submitted_at, ready_at = job.submitted_at, job.ready_at
        numbers = {
            **_step(job),
            "schedule": job.context.schedule,
            "outcome": _name(update),
            "handle": job.shown_handle,
            "reason": job.reason,
            "status": job.remote_status,
            "queued_s": _between(job.created_at, _first_of(submitted_at, job.finished_at)),
            "polling_s": _between(submitted_at, _first_of(ready_at, job.finished_at)),
            "fetching_s": _between(ready_at, _first_of(job.landed_at, job.finished_at)),
            "total_s": _between(job.created_at, job.finished_at),
            "polls": job.polls,
            "submits": job.submits,
            "fetches": job.fetches,
            "files": totals.files,
            "bytes": totals.bytes,
            "labels": dict(job.context.labels) or None,
            "traceparent": job.context.traceparent,
        }
        if job.state in (State.FAILED, State.EXPIRED):
            self._log.emit("job.failed", **numbers)
            return
        self._log.emit(
            "job.finished",
            **numbers,
            sha256=list(totals.sha256),
            destination=folder_of(job.account, job.operation, job.created_at, job.id),
        )

    async def _totals(self, update: JobUpdate) -> FileTotals:
        """The files of a finished job: those of the update, or from the database if cleaning came in between."""
        if update.artifacts or update.job.landed_at is None:
            return FileTotals.of(update.artifacts, _MOST_DIGESTS)
        try:
            return await self._jobs.files.totals(update.job.id, _MOST_DIGESTS)
        except StoreUnavailableError:
            return FileTotals(0, 0, ())

    def _due_in(self, job: Job) -> float | None:
        return None if job.due_at is None else round(max(0.0, job.due_at - self._clock.now()), 3)


def _name(update: JobUpdate) -> str:
    return type(update.outcome).__name__


def _named(job: Job) -> dict[str, object]:
    return {"job": job.id, "account": job.account, "operation": job.operation}


def _step(job: Job) -> dict[str, object]:
    return {**_named(job), "state": job.state.value}


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round(end - start, 3)


def _first_of(at: float | None, end: float | None) -> float | None:
    return end if at is None else at
