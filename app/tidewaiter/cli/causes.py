"""``tidewaiter jobs list --by cause``: unhandled failures, one line for each cause, and what to do."""

import asyncio
from typing import TYPE_CHECKING

import click

from tidewaiter.cli.invocation import Invocation, open_job_service
from tidewaiter.cli.job_selection import check_account
from tidewaiter.cli.output import show_json, show_table, table
from tidewaiter.domain.formatting import date_and_time, printable

if TYPE_CHECKING:
    from tidewaiter.services.failure_groups import FailureGroup


def show_causes(invocation: Invocation, account: str | None, operation: str | None, *, as_json: bool) -> None:
    """Print the groups of an account, an operation, or all.

    Raises:
        CommandError: the account is neither in the configuration nor has jobs.
    """
    from tidewaiter.services.failure_groups import group_json  # noqa: PLC0415  # help and completion do without

    async def find() -> "list[FailureGroup]":
        async with open_job_service(invocation) as (service, _):
            await check_account(service, account)
            return await service.unhandled()

    found = [
        group
        for group in asyncio.run(find())
        if account in (None, group.failures.account) and operation in (None, group.failures.operation)
    ]
    if as_json:
        show_json({"unhandled": [group_json(group) for group in found]})
    elif found:
        _show(found)
    else:
        click.echo("no unhandled failures")


def _show(groups: "list[FailureGroup]") -> None:
    made = table("jobs", "account", "operation", "cause", "first (UTC)", "last (UTC)", "examples", right=("jobs",))
    for group in groups:
        one = group.failures
        made.add_row(
            f"{one.jobs:,}",
            one.account,
            one.operation,
            printable(one.cause or ""),
            date_and_time(one.first_at),
            date_and_time(one.last_at),
            ", ".join(map(str, one.examples)),
        )
    show_table(made, below=("cause", "examples"))
    for group in groups:
        one = group.failures
        click.echo(f"\n{one.account} / {one.operation}: {printable(one.newest.reason or 'no reason was given')}")
        if group.trouble:
            click.echo(f"  {printable(group.trouble)}")
        click.echo(f"  {group.advice}")
