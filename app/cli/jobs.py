"""``tidewaiter jobs``: what is there, how it came about, and what a person may decide."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from rich.text import Text

from app.cli import offers
from app.cli.desk import at_desk, me
from app.cli.errors import CommandError, ExitCode
from app.cli.output import (
    artifact_as_json,
    console,
    counted,
    duration,
    entry_as_json,
    history_table,
    job_as_json,
    jobs_table,
    moment,
    parameters,
    printable,
    remote_text,
    show_files,
    show_json,
    show_table,
    state_text,
    table,
)
from app.cli.session import Session, config_option, debug_option, example, pass_session
from app.cli.watch import hindrance_of, line_of
from app.clock import SystemClock
from app.domain.job import Entry, Job, State
from app.domain.manifest import Artifact

if TYPE_CHECKING:
    from app.desk import Desk

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group
@debug_option
def jobs() -> None:
    """List, show, cancel, retry, poll and adopt jobs."""


@jobs.command(
    "list",
    epilog=example(
        "tidewaiter jobs list --account newsletter --state polling --state fetching", "tidewaiter jobs list --json"
    ),
)
@click.option("--account", metavar="NAME", shell_complete=offers.accounts, help="Only of this account.")
@click.option("--operation", metavar="NAME", shell_complete=offers.operations, help="Only of this operation.")
@click.option(
    "--state", "states", multiple=True, type=click.Choice([state.value for state in State]), help="Only in this state."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="So many at most.")
@click.option("--before", type=int, metavar="JOB", help="Only jobs before this one: the next page.")
@_json_option
@config_option
@pass_session
def list_jobs(
    session: Session,
    /,
    *,
    account: str | None,
    operation: str | None,
    states: tuple[str, ...],
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List jobs, the newest first."""

    async def find() -> list[Job]:
        async with at_desk(session) as (desk, _):
            wanted = [State(state) for state in states]
            return await desk.jobs.find(
                account=account, operation=operation, states=wanted, before_id=before, limit=limit
            )

    found = asyncio.run(find())
    if as_json:
        show_json([job_as_json(job) for job in found])
    elif found:
        show_table(jobs_table(found))
    else:
        click.echo("no jobs")


@jobs.command(epilog=example("tidewaiter jobs show 12"))
@click.argument("job", type=int)
@_json_option
@config_option
@pass_session
def show(session: Session, /, *, job: int, as_json: bool) -> None:
    """Show a job with its history and its files."""

    async def look() -> tuple[Job, list[Entry], list[Artifact], str, str]:
        async with at_desk(session) as (desk, config):
            found, history, artifacts = await desk.show(job)
            return found, history, artifacts, config.storage.place, await hindrance_of(desk, found)

    seen, history, artifacts, place, hindrance = asyncio.run(look())
    if as_json:
        files = [artifact_as_json(one, place) for one in artifacts]
        show_json({**job_as_json(seen), "history": [entry_as_json(one) for one in history], "artifacts": files})
    else:
        _show(seen, history, artifacts, place, hindrance)


@jobs.command(epilog=example("tidewaiter jobs cancel 12 13"))
@click.argument("job", type=int, nargs=-1, required=True)
@_json_option
@config_option
@pass_session
def cancel(session: Session, /, *, job: tuple[int, ...], as_json: bool) -> None:
    """Stop jobs; the provider is told, where it can be."""
    refusals: list[str] = []

    async def stop() -> list[Job]:
        async with at_desk(session) as (desk, _):
            return [one for number in dict.fromkeys(job) if (one := await _cancelled(desk, number, refusals))]

    _tell(asyncio.run(stop()), as_json)
    if refusals:
        raise CommandError(ExitCode.FAILED, "\n".join(refusals))


async def _cancelled(desk: "Desk", number: int, refusals: list[str]) -> Job | None:
    """The job, asked to stop; where it cannot be, the reason is added to ``refusals`` and the others go on."""
    from app.desk import RequestError  # noqa: PLC0415  # help and completion do without

    try:
        return await desk.cancel(number, actor=me())
    except RequestError as error:
        refusals.append(str(error))
        return None


@jobs.command(epilog=example("tidewaiter jobs retry 12"))
@click.argument("job", type=int)
@_json_option
@config_option
@pass_session
def retry(session: Session, /, *, job: int, as_json: bool) -> None:
    """Submit a job again: a parked one as itself, one that has ended as a new job."""

    async def again() -> Job:
        async with at_desk(session) as (desk, _):
            return await desk.retry(job, actor=me())

    _tell([asyncio.run(again())], as_json)


@jobs.command(epilog=example("tidewaiter jobs poll 12"))
@click.argument("job", type=int)
@_json_option
@config_option
@pass_session
def poll(session: Session, /, *, job: int, as_json: bool) -> None:
    """Make a job's next step due now: a poll, where its remote job is under way.

    The daemon takes it up within its look-out round. While the account is paused, or its limit is spent, the job waits
    all the same. The exit code is 1 where the job has ended or is parked.
    """

    async def hurry() -> Job:
        async with at_desk(session) as (desk, _):
            return await desk.poll_now(job, actor=me())

    _tell([asyncio.run(hurry())], as_json)


@jobs.command(epilog=example("tidewaiter jobs adopt 12 r-812"))
@click.argument("job", type=int)
@click.argument("handle")
@_json_option
@config_option
@pass_session
def adopt(session: Session, /, *, job: int, handle: str, as_json: bool) -> None:
    """Let a parked job follow the remote job HANDLE, which somebody has found at the provider.

    A job is parked when nobody can tell what became of its submit. HANDLE is the provider's name for the remote job: an
    id, a token or a URL, as its replies give it. The exit code is 1 where the job is not parked, or another job follows
    that remote job already.
    """

    async def follow() -> Job:
        async with at_desk(session) as (desk, _):
            return await desk.adopt(job, handle, actor=me())

    _tell([asyncio.run(follow())], as_json)


def _tell(changed: Sequence[Job], as_json: bool) -> None:
    if as_json:
        show_json([job_as_json(job) for job in changed])
        return
    for job in changed:
        repeats = f"; it repeats job {job.retry_of}" if job.retry_of else ""
        asked = "; it was asked to stop" if job.cancel_requested else ""
        click.echo(f"{line_of(job)}{repeats}{asked}")


def _counts(job: Job) -> str:
    counts = (("poll", job.polls), ("submit", job.submits), ("download", job.fetches), ("failure", job.failures))
    return ", ".join(counted(number, word) for word, number in counts)


def _show(job: Job, history: Sequence[Entry], artifacts: Sequence[Artifact], place: str, hindrance: str) -> None:
    facts = table("job", str(job.id))
    until = job.finished_at or SystemClock().now()
    for name, value in (
        ("state", state_text(job.state)),
        ("account", job.account),
        ("operation", job.operation),
        ("parameters", parameters(job.params)),
        ("unique key", printable(job.unique_key or "")),
        ("repeats job", str(job.retry_of or "")),
        ("remote job", printable(job.shown_handle or "")),
        ("remote says", remote_text(job)),
        ("why", printable(job.reason or "")),
        ("waits", hindrance),
        ("created", f"{moment(job.created_at)} UTC"),
        ("took" if job.finished_at else "since", duration(until - job.created_at)),
        ("next step", f"{moment(job.due_at)} UTC" if job.due_at else ""),
        ("counted", _counts(job)),
    ):
        if str(value):
            facts.add_row(name, value if isinstance(value, Text) else Text(value, overflow="fold"))
    show_table(facts)
    console().print()
    show_table(history_table(history))
    if artifacts:
        console().print()
        show_files(artifacts, place)
