"""``tidewaiter jobs list --by``: jobs counted by their state, account, operation, batch, schedule, or a label."""

import asyncio
from typing import TYPE_CHECKING

import click

from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import Invocation, open_job_service
from tidewaiter.cli.job_selection import check_account
from tidewaiter.cli.output import show_json, show_table, table
from tidewaiter.domain.formatting import printable
from tidewaiter.domain.job import State

if TYPE_CHECKING:
    from tidewaiter.database.job_list import JobFilter
    from tidewaiter.services.job_counts import JobCounts


def show_counts(invocation: Invocation, filters: "JobFilter", by: str, *, as_json: bool) -> None:
    """Print how many jobs there are of each value.

    Raises:
        CommandError: jobs cannot be counted by that, or the account is neither in the configuration nor has jobs.
    """
    from tidewaiter.database.job_list import JobList  # noqa: PLC0415  # help and completion do without
    from tidewaiter.services.job_counts import FORMS, count_jobs, value_reader  # noqa: PLC0415  # as above

    if value_reader(by) is None:
        raise CommandError(ExitCode.USAGE, f"--by must be cause, {FORMS}, not {by!r}")

    async def count() -> "JobCounts":
        async with open_job_service(invocation) as (service, _):
            await check_account(service, filters.account, filters.operation)
            return await count_jobs(JobList(service.jobs), filters, by, service.offered)

    counts = asyncio.run(count())
    if as_json:
        show_json(counts.as_json())
    elif counts.groups:
        _show(counts)
    else:
        click.echo("no jobs")


def _show(counts: "JobCounts") -> None:
    """A column for each state that occurs."""
    found = {state for group in counts.groups for state in group.states}
    states = [state for state in State if state in found]
    made = table(counts.by, "jobs", *(state.value for state in states), right=("jobs", *(one.value for one in states)))
    for group in counts.groups:
        value = "(none)" if group.value is None else printable(group.value)
        made.add_row(
            value, f"{group.jobs:,}", *(f"{group.states[one]:,}" if one in group.states else "" for one in states)
        )
    show_table(made)
    if not counts.is_complete:
        click.echo(f"only the newest {counts.jobs:,} jobs were counted", err=True)
