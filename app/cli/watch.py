"""Follows a job until it has come to its end, and tells it in a line."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from app.cli.errors import CommandError, ExitCode
from app.cli.output import counted, printable, remote_text
from app.clock import Clock
from app.domain.job import TERMINAL, Job, State

if TYPE_CHECKING:
    from app.desk import Desk

_LOOK_S: Final = 0.25


def has_ended(job: Job) -> bool:
    """Whether nothing more will happen to the job by itself."""
    return job.state in TERMINAL or job.state is State.PARKED


async def until_ended(
    desk: "Desk",
    job: Job,
    clock: Clock,
    on_change: Callable[[Job], None],
    *,
    timeout_s: float | None,
    on_hindrance: Callable[[str], None],
) -> Job:
    """Wait for a job.

    Args:
        desk: where to look.
        job: as it stood last.
        clock: the time.
        on_change: called with the job as it stands, first at once and then whenever it has changed.
        timeout_s: how long to wait; ``None`` for as long as it takes.
        on_hindrance: called with a sentence whenever something keeps the job waiting that a person must see to.

    Raises:
        CommandError: the time is over.
    """
    started_at = clock.monotonic()
    told = ""
    on_change(job)
    while not has_ended(job):
        if (found := await hindrance_of(desk, job)) != told:
            told = found
            if found:
                on_hindrance(f"job {job.id} waits: {found}")
        if timeout_s is not None and clock.monotonic() - started_at >= timeout_s:
            raise CommandError(
                ExitCode.TIMED_OUT, f"job {job.id} is still {job.state} after {timeout_s:g} s; it goes on"
            )
        await clock.sleep(_LOOK_S)
        seen, job = job, await desk.jobs.get(job.id) or job
        if job.version != seen.version:
            on_change(job)
    return job


async def hindrance_of(desk: "Desk", job: Job) -> str:
    """What keeps a job waiting until a person sees to it, and how; empty where nothing does."""
    if has_ended(job):
        return ""
    if job.account not in desk.accounts:
        return f"account {job.account} is not configured any more; put [accounts.{job.account}] back"
    if job.state is State.CANCELLING or (pause := await desk.paused(job.account)) is None:
        return ""
    reason = printable(pause.reason)
    return (
        f"account {job.account} is paused ({reason}); once that is mended: `tidewaiter accounts resume {job.account}`"
    )


def line_of(job: Job) -> str:
    """A job on one line."""
    remote = f"{counted(job.polls, 'poll')}, {remote_text(job)}" if remote_text(job) else ""
    about = [part for part in (remote if job.state is State.POLLING else "", printable(job.reason or "")) if part]
    return f"job {job.id} is {job.state}" + (f" ({'; '.join(about)})" if about else "")


def verdict_of(job: Job) -> ExitCode:
    """The exit code that a job's end comes to."""
    return ExitCode.OK if job.state is State.SUCCEEDED else ExitCode.FAILED
