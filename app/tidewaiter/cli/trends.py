"""``tidewaiter trends``: sums of the last hours, days or weeks."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tidewaiter.cli import name_completion
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import Invocation, config_option, example, open_job_service, pass_invocation
from tidewaiter.cli.job_selection import check_account
from tidewaiter.cli.output import json_option, show_json, show_table, table
from tidewaiter.clock import SystemClock
from tidewaiter.domain.formatting import date_and_time, size
from tidewaiter.domain.trends import Trend, TrendStep

if TYPE_CHECKING:
    from tidewaiter.domain.trends import OperationTrend, TrendPeriod

_NUMBERS = ("landed", "failed", "expired", "cancelled", "files", "bytes", "p50", "p95", "delay p95")
_LESS = ("expired", "cancelled", "files", "delay p95")


@click.command(epilog=example("tidewaiter trends", "tidewaiter trends --step week --account newsletter --json"))
@click.option(
    "--step",
    type=click.Choice([step.value for step in TrendStep]),
    default=TrendStep.DAY.value,
    show_default=True,
    help="How long a period is; days begin at midnight in UTC, weeks on Monday.",
)
@click.option(
    "--number",
    type=click.IntRange(1),
    help="How many periods, the current one included.  [default: 24 hours, 30 days, 12 weeks]",
)
@click.option("--account", metavar="NAME", shell_complete=name_completion.accounts, help="Only of this account.")
@click.option("--operation", metavar="NAME", shell_complete=name_completion.operations, help="Only of this operation.")
@json_option
@config_option
@pass_invocation
def trends(
    invocation: Invocation,
    /,
    *,
    step: str,
    number: int | None,
    account: str | None,
    operation: str | None,
    as_json: bool,
) -> None:
    """Show what ended in the last hours, days or weeks.

    The first table has each period, the second each operation in all of them. p50 and p95 are the durations of jobs
    that succeeded; "delay p95" is from "ready" to the landed files. They are estimates. The exit code is 2 if
    there is no such account or operation, or --number is larger than what is kept.
    """
    from tidewaiter.services.resource_json import trends_json  # noqa: PLC0415  # help and completion do without

    length = TrendStep(step)
    shown = length.usual_number if number is None else number
    if shown > length.largest_number:
        raise CommandError(ExitCode.USAGE, f"only {length.largest_number} {step}s are kept")
    periods, operations = asyncio.run(_read(invocation, length, shown, account, operation))
    if as_json:
        show_json(trends_json(length, periods, operations))
        return
    by_time = table(f"{step} (UTC)", *_NUMBERS, right=_NUMBERS)
    for period in periods:
        begin = date_and_time(period.at)
        by_time.add_row(begin[:-3] if length is TrendStep.HOUR else begin[:10], *_cells(period.sums))
    show_table(by_time, below=_LESS)
    if not operations:
        return
    click.echo()
    by_operation = table("account", "operation", *_NUMBERS, right=_NUMBERS)
    for one in operations:
        by_operation.add_row(one.account, one.operation, *_cells(one.sums))
    show_table(by_operation, below=_LESS)


async def _read(
    invocation: Invocation, step: TrendStep, number: int, account: str | None, operation: str | None
) -> "tuple[Sequence[TrendPeriod], Sequence[OperationTrend]]":
    from tidewaiter.database.trend_store import TrendStore  # noqa: PLC0415  # help and completion do without

    async with open_job_service(invocation) as (service, _):
        await check_account(service, account)
        store, now = TrendStore(service.jobs.database), SystemClock().now()
        operations = await store.operations(step, number, now, account=account, operation=operation)
        if not operations:  # trends stay longer than jobs and configurations
            await check_account(service, account, operation)
        return await store.periods(step, number, now, account=account, operation=operation), operations


def _cells(sums: Trend) -> list[str]:
    """The numbers of a row; what is zero stays empty, so that the rest is seen."""
    counts = (sums.landed, sums.failed, sums.expired, sums.cancelled, sums.files)
    return [
        *(str(count or "") for count in counts),
        size(sums.bytes) if sums.bytes else "",
        sums.duration.quantile_words(0.5),
        sums.duration.quantile_words(0.95),
        sums.delay.quantile_words(0.95),
    ]
