"""A job on one line, why it waits, and following it until it ends."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.output import remote_text
from tidewaiter.clock import Clock
from tidewaiter.domain.formatting import ago, counted, printable
from tidewaiter.domain.job import TERMINAL, Job, State

if TYPE_CHECKING:
    from tidewaiter.domain.expectation import Expectation
    from tidewaiter.services import JobService
    from tidewaiter.services.wait_reasons import WaitReason

_LOOK_S: Final = 0.25


def has_ended(job: Job) -> bool:
    """Whether the job does not change any more unless a person acts."""
    return job.state in TERMINAL or job.state is State.PARKED


async def until_ended(
    service: "JobService",
    job: Job,
    clock: Clock,
    on_change: Callable[[Job], None],
    *,
    timeout_s: float | None,
    on_wait: Callable[[str], None],
) -> Job:
    """Wait until a job has ended.

    Args:
        service: where the job is read.
        job: the job.
        clock: the time.
        on_change: called with the job at once, and then whenever it has changed.
        timeout_s: how long to wait; ``None`` for no limit.
        on_wait: called with a sentence whenever the job begins to wait for something that a person must resolve.

    Raises:
        CommandError: the time is over.
    """
    started_at = clock.monotonic()
    shown = ""
    on_change(job)
    while not has_ended(job):
        wait = await wait_for(service, job, clock.now())
        cause = wait_text(wait, clock.now()) if wait is not None and wait.remedy else ""
        if cause != shown:
            shown = cause
            if cause:
                on_wait(f"job {job.id} waits: {cause}")
        if timeout_s is not None and clock.monotonic() - started_at >= timeout_s:
            raise CommandError(
                ExitCode.TIMED_OUT, f"job {job.id} is still {job.state} after {timeout_s:g} s; it goes on"
            )
        await clock.sleep(_LOOK_S)
        seen, job = job, await service.jobs.get(job.id) or job
        if job.version != seen.version:
            on_change(job)
    return job


async def wait_for(service: "JobService", job: Job, now: float) -> "WaitReason | None":
    """Why a job waits; ``None`` if it has ended."""
    from tidewaiter.services.wait_reasons import wait_reason  # noqa: PLC0415  # help and completion do without

    return wait_reason(job, None if job.state in TERMINAL else await service.lane_report(job), now)


async def expected_for(service: "JobService", job: Job, now: float) -> "Expectation | None":
    """When the job's remote job is expected to be ready, if that is known."""
    from tidewaiter.services.job_pace import expected_ready  # noqa: PLC0415  # help and completion do without

    return await expected_ready(service.jobs.database, service.accounts, job, now)


def wait_text(wait: "WaitReason", now: float) -> str:
    """Why a job waits, until when, and what a person has to do."""
    until = "" if wait.until is None else f" {ago(wait.until, now)}"
    remedy = "" if wait.remedy is None else f"; {wait.remedy}"
    return f"{printable(wait.sentence.removesuffix('.'))}{until}{remedy}"


def job_line(job: Job) -> str:
    """A job on one line."""
    remote = f"{counted(job.polls, 'poll')}, {remote_text(job)}" if remote_text(job) else ""
    about = [part for part in (remote if job.state is State.POLLING else "", printable(job.reason or "")) if part]
    return f"job {job.id} is {job.state}" + (f" ({'; '.join(about)})" if about else "")


def exit_code_of(job: Job) -> ExitCode:
    """The exit code for the end of a job."""
    return ExitCode.OK if job.state is State.SUCCEEDED else ExitCode.FAILED
