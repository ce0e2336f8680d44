"""``tidewaiter jobs``: lists jobs, shows one with its history, and takes a person's decisions."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from tidewaiter.cli import name_completion
from tidewaiter.cli.causes import show_causes
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import (
    CommandGroup,
    Invocation,
    config_option,
    current_user,
    debug_option,
    example,
    next_page,
    open_job_service,
    pass_invocation,
)
from tidewaiter.cli.job_counts import show_counts
from tidewaiter.cli.job_progress import expected_for, job_line, wait_for, wait_text
from tidewaiter.cli.job_selection import JobSelection, check_account, find_jobs, selects_jobs
from tidewaiter.cli.output import (
    console,
    files_json,
    history_table,
    json_option,
    remote_text,
    show_files,
    show_jobs,
    show_json,
    show_table,
    state_text,
    table,
)
from tidewaiter.cli.shared_options import label_option
from tidewaiter.clock import SystemClock
from tidewaiter.domain.formatting import counted, duration, moment, parameters, printable
from tidewaiter.domain.job import HistoryEntry, Job, State
from tidewaiter.domain.job_json import JobView, entry_json, job_json, jobs_json
from tidewaiter.domain.manifest import Artifact

if TYPE_CHECKING:
    from tidewaiter.domain.expectation import Expectation
    from tidewaiter.services.many_jobs import ManyResult
    from tidewaiter.services.wait_reasons import LaneReport


@click.group(cls=CommandGroup)
@debug_option
def jobs() -> None:
    """List, show, cancel, retry, acknowledge, poll and adopt jobs."""


@jobs.command(
    "list",
    epilog=example(
        "tidewaiter jobs list --account newsletter --state polling --state fetching",
        "tidewaiter jobs list --by cause",
        "tidewaiter jobs list --by label.dag",
    ),
)
@click.option("--account", metavar="NAME", shell_complete=name_completion.accounts, help="Only jobs of this account.")
@click.option(
    "--operation", metavar="NAME", shell_complete=name_completion.operations, help="Only jobs of this operation."
)
@click.option(
    "--state", "states", multiple=True, type=click.Choice([one.value for one in State]), help="Only jobs in this state."
)
@label_option("Only jobs with this label; several times: with all of them.")
@click.option("--batch", metavar="NAME", help="Only jobs of this batch.")
@click.option("--unhandled", is_flag=True, help="Only failures that nobody has acknowledged or retried.")
@click.option("--search", metavar="TEXT", help="Only jobs that have this: see above.")
@click.option("--cause", metavar="TEXT", help="Only failures of this cause; without --unhandled, among the newest.")
@click.option("--by", metavar="WHAT", help="Group: see above.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@click.option(
    "--before",
    type=int,
    metavar="JOB",
    help="The next page: the last job of this one, while `next` in the JSON is not null.",
)
@json_option
@config_option
@pass_invocation
def list_jobs(
    invocation: Invocation,
    /,
    *,
    account: str | None,
    operation: str | None,
    states: tuple[str, ...],
    labels: tuple[tuple[str, str], ...],
    batch: str | None,
    unhandled: bool,
    search: str | None,
    cause: str | None,
    by: str | None,
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List jobs, the newest first.

    --search takes a job's number, a whole handle, a whole parameter or label as NAME=VALUE, the name of a file, the
    beginning of a unique key or an operation, or a part of the reason of an unhandled failure. "(limit)" or
    "(throttled)" after the next poll means that the request limit is used up until then, or that the provider asked
    for silence. Where the time is not known, it says what holds the job, such as "provider failing" or "no daemon".

    --by cause groups unhandled failures, and says what to do about each. --by state, account, operation, batch,
    schedule or label.NAME counts the newest 10,000 jobs that match, by state.

    The exit code is 2 if the account is neither in the configuration nor has jobs.
    """
    from tidewaiter.database.job_list import JobFilter  # noqa: PLC0415  # help and completion do without

    filters = JobFilter(
        account=account,
        operation=operation,
        states=tuple(State(state) for state in states),
        unhandled=unhandled,
        labels=labels,
        batch=batch,
        search=search,
        cause=cause,
    )

    if by == "cause":
        show_causes(invocation, account, operation, as_json=as_json)
        return
    if by is not None:
        show_counts(invocation, filters, by, as_json=as_json)
        return

    async def find() -> "tuple[list[Job], dict[int, LaneReport]]":
        async with open_job_service(invocation) as (service, _):
            await check_account(service, account, operation)
            found = await find_jobs(service, filters, limit + 1, before)
            return found, {} if as_json else await service.lane_waits(found)

    found, waits = asyncio.run(find())
    page = found[:limit]
    if as_json:
        only = ["true"] if unhandled else []
        query: dict[str, Sequence[object]] = {
            "q": [search], "cause": [cause], "account": [account], "operation": [operation], "state": states,
            "unhandled": only, "limit": [limit],
            "batch": [batch], "label": [f"{name}={value}" for name, value in labels],
        }  # fmt: skip
        show_json({"jobs": jobs_json(page), "next": next_page("/v1/jobs", query, page) if found[limit:] else None})
    elif page:
        show_jobs(page, waits)
    else:
        click.echo("no jobs")


@jobs.command(epilog=example("tidewaiter jobs show 12"))
@click.argument("job", type=int)
@json_option
@config_option
@pass_invocation
def show(invocation: Invocation, /, *, job: int, as_json: bool) -> None:
    """Show a job with its history and its files.

    The exit code is 1 if there is no such job.
    """
    now = SystemClock().now()

    async def look() -> "tuple[Job, list[HistoryEntry], list[Artifact], str, str, Expectation | None]":
        async with open_job_service(invocation) as (service, config):
            found, history, artifacts = await service.show(job)
            wait = await wait_for(service, found, now)
            waits = "" if wait is None else wait_text(wait, now)
            expected = await expected_for(service, found, now)
            return found, history, artifacts, config.storage.place, waits, expected

    found, history, artifacts, place, waits, expected = asyncio.run(look())
    if as_json:
        files = files_json(found.id, artifacts, place)
        more = {"history": [entry_json(one) for one in history], "artifacts": files}
        show_json({**job_json(found), "expected": expected.as_json() if expected else None, **more})
    else:
        _show(found, history, artifacts, place, waits=waits, expected=expected.sentence(now) if expected else "")


@jobs.command(epilog=example("tidewaiter jobs cancel 12 13", "tidewaiter jobs cancel --account shop --state queued"))
@selects_jobs
@json_option
@config_option
@pass_invocation
def cancel(invocation: Invocation, /, *, as_json: bool, **selected: Any) -> None:
    """Cancel jobs; the remote job is cancelled, too, if the provider can.

    Give the numbers of jobs, or a filter, which selects every job that has not ended and has no cancel request. The
    exit code is 1 if one of the jobs has ended or does not exist.
    """
    _act(invocation, JobSelection(**selected), "cancel", as_json=as_json)


@jobs.command(epilog=example("tidewaiter jobs retry 12", "tidewaiter jobs retry --unhandled --account shop --dry-run"))
@selects_jobs
@json_option
@config_option
@pass_invocation
def retry(invocation: Invocation, /, *, as_json: bool, **selected: Any) -> None:
    """Submit jobs again: a parked job continues itself, an ended one is repeated by a new job.

    Give the numbers of jobs, or a filter, which selects every failed, expired, cancelled or parked job that was not
    retried before. With the number of one job, --json prints the job that continues; else a list. The exit code is 1 if
    one of the jobs is under way or does not exist.
    """
    _act(invocation, JobSelection(**selected), "retry", as_json=as_json, alone=True)


@jobs.command(
    epilog=example("tidewaiter jobs acknowledge 12 13", "tidewaiter jobs acknowledge --unhandled --account shop")
)
@selects_jobs
@json_option
@config_option
@pass_invocation
def acknowledge(invocation: Invocation, /, *, as_json: bool, **selected: Any) -> None:
    """Acknowledge failed or expired jobs: they do not count as unhandled any more.

    Give the numbers of jobs, or a filter. Who did it and when is kept. The exit code is 1 if one of the jobs has not
    failed.
    """
    _act(invocation, JobSelection(**selected), "acknowledge", as_json=as_json)


@jobs.command(epilog=example("tidewaiter jobs poll 12", "tidewaiter jobs poll --account shop --state polling"))
@selects_jobs
@json_option
@config_option
@pass_invocation
def poll(invocation: Invocation, /, *, as_json: bool, **selected: Any) -> None:
    """Make the next step of jobs due now: a poll, if the remote job is under way.

    Give the numbers of jobs, or a filter. The daemon does it within its lookout round. While the account is paused, or
    its limit is used up, the jobs still wait. With the number of one job, --json prints the job; else a list. The exit
    code is 1 if one of the jobs has ended or is parked.
    """
    _act(invocation, JobSelection(**selected), "poll", as_json=as_json, alone=True)


def _act(invocation: Invocation, selection: JobSelection, action: str, *, as_json: bool, alone: bool = False) -> None:
    """Act on the selected jobs and show them; with ``alone`` the JSON of a single named job is no list."""
    selection.check()

    async def run() -> "ManyResult":
        async with open_job_service(invocation) as (service, _):
            return await selection.apply(service, action, current_user())

    result = asyncio.run(run())
    found = [job for _, job in result.done]
    if as_json and alone and len(selection.numbers) == 1 and found:
        show_json(job_json(found[0]))
    elif as_json and not (alone and len(selection.numbers) == 1):
        show_json({"jobs": jobs_json(found)})
    elif not as_json:
        for one in found:
            click.echo(_changed_line(one))
        if selection.by_filter or selection.dry_run:
            would = "it would act on " if selection.dry_run else ""
            click.echo(f"{would}{counted(len(found), 'job')}{' and there are more' if result.more else ''}")
    if result.refused:
        raise CommandError(ExitCode.FAILED, "\n".join(reason for _, reason in result.refused))


@jobs.command(epilog=example("tidewaiter jobs adopt 12 r-812"))
@click.argument("job", type=int)
@click.argument("handle")
@click.option(
    "--keep", multiple=True, metavar="NAME=VALUE", help="A value that the lost reply would have had. Repeatable."
)
@json_option
@config_option
@pass_invocation
def adopt(invocation: Invocation, /, *, job: int, handle: str, keep: Sequence[str], as_json: bool) -> None:
    """Let a parked job follow the remote job HANDLE, which a person has found at the provider.

    A job is parked when the outcome of its submit stays unknown. HANDLE is the provider's name for the remote job: an
    id, a token or a URL, as its replies give it. The exit code is 1 if the job is not parked, or another job follows
    that remote job already.
    """
    kept = dict(name.partition("=")[::2] for name in keep)
    if any("=" not in one for one in keep):
        raise click.UsageError("--keep needs NAME=VALUE")

    async def follow() -> Job:
        async with open_job_service(invocation) as (service, _):
            return await service.adopt(job, handle, actor=current_user(), kept=kept)

    _show_changed(asyncio.run(follow()), as_json)


def _show_changed(job: Job, as_json: bool) -> None:
    if as_json:
        show_json(job_json(job))
    else:
        click.echo(_changed_line(job))


def _changed_line(job: Job) -> str:
    repeats = f"; it repeats job {job.retry_of}" if job.retry_of else ""
    known = "; acknowledged" if job.handled_at and job.retried_as is None else ""
    asked = "; its cancel request is stored" if job.cancel_requested else ""
    return f"{job_line(job)}{repeats}{known}{asked}"


def _counts(job: Job) -> str:
    counts = (("poll", job.polls), ("submit", job.submits), ("download", job.fetches), ("failure", job.failures))
    return ", ".join(counted(number, word) for word, number in counts)


def _show(
    job: Job, history: Sequence[HistoryEntry], artifacts: Sequence[Artifact], place: str, *, waits: str, expected: str
) -> None:
    facts = table("job", str(job.id))
    until = job.finished_at or SystemClock().now()
    for name, value in (
        ("status", state_text(job.state)),
        ("account", job.account),
        ("operation", job.operation),
        ("parameters", printable(parameters(job.params))),
        ("unique key", printable(job.unique_key or "")),
        ("repeats job", str(job.retry_of or "")),
        ("retried as job", str(job.retried_as or "")),
        ("handled", f"{moment(job.handled_at)} by {printable(job.handled_by or '')}" if job.handled_at else ""),
        ("intent key", job.intent_key if job.state in (State.RECONCILING, State.PARKED) and job.intent_key else ""),
        ("remote job", printable(JobView.of(job).handle or "")),
        ("stage", job.stage or ""),
        ("kept", printable(parameters(job.shown_kept))),
        ("remote status", remote_text(job)),
        ("details", printable(job.reason or "")),
        ("waits", waits),
        ("expected", expected),
        ("files", f"{len(artifacts)} of {job.files_listed} have landed" if job.files_listed else ""),
        ("created", moment(job.created_at)),
        ("took" if job.finished_at else "since", duration(until - job.created_at)),
        ("next poll", moment(job.due_at) or ""),
        ("counted", _counts(job)),
    ):
        if str(value):
            facts.add_row(name, value if isinstance(value, Text) else Text(value, overflow="fold"))
    show_table(facts)
    if job.state is State.PARKED:
        from tidewaiter.services.parked_decisions import decisions_about  # noqa: PLC0415  # help does without

        console().print()
        for decision in decisions_about(job):
            click.echo(f"{decision.name}: `{decision.command_for(job)}`")
            click.echo(f"  {decision.effect} {decision.risk}")
    console().print()
    show_table(history_table(history))
    if artifacts:
        console().print()
        show_files(artifacts, place)
