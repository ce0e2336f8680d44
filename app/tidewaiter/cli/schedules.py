"""``tidewaiter schedules``: lists recurring jobs and their next ticks, and submits one now."""

import asyncio
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import click

from tidewaiter.cli import name_completion
from tidewaiter.cli.invocation import (
    Invocation,
    config_option,
    current_user,
    debug_option,
    example,
    open_schedule_service,
    pass_invocation,
)
from tidewaiter.cli.job_progress import job_line
from tidewaiter.cli.output import json_option, show_json, show_table, table
from tidewaiter.clock import SystemClock
from tidewaiter.domain.formatting import date_and_time, parameters, printable, rfc3339
from tidewaiter.domain.job import Job
from tidewaiter.domain.job_json import job_json
from tidewaiter.recurrence import Schedule

if TYPE_CHECKING:
    from tidewaiter.services import ScheduleStatus


@click.group
@debug_option
def schedules() -> None:
    """List recurring jobs, see when they are due, submit one now."""


@schedules.command("list", epilog=example("tidewaiter schedules list", "tidewaiter schedules list --json"))
@json_option
@config_option
@pass_invocation
def list_schedules(invocation: Invocation, /, *, as_json: bool) -> None:
    """List the schedules of the configuration, with the last tick and the next."""
    from tidewaiter.services.resource_json import schedule_json  # noqa: PLC0415  # help and completion do without

    async def look() -> "list[ScheduleStatus]":
        async with open_schedule_service(invocation) as found:
            return await found.statuses()

    found = asyncio.run(look())
    if as_json:
        show_json({"schedules": [schedule_json(one) for one in found]})
        return
    made = table("schedule", "account", "operation", "cron", "time zone", "next (UTC)", "last job", right=("last job",))
    for status in found:
        one = status.schedule
        made.add_row(
            one.name, one.account, one.operation, one.cron, str(one.zone), date_and_time(status.next_at),
            "" if status.job is None else str(status.job),
        )  # fmt: skip
    show_table(made)


@schedules.command(epilog=example("tidewaiter schedules next nightly-opens --number 3"))
@click.argument("name", shell_complete=name_completion.schedules)
@click.option("--number", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many ticks.")
@json_option
@config_option
@pass_invocation
def next(invocation: Invocation, /, *, name: str, number: int, as_json: bool) -> None:  # noqa: A001  # the command's name
    """Show the next ticks of a schedule, with the parameters of their jobs."""

    async def find() -> Schedule:
        async with open_schedule_service(invocation) as found:
            return found.named(name)

    schedule = asyncio.run(find())
    ticks = list(islice(schedule.ticks_after(SystemClock().now()), number))
    if as_json:
        show_json([{"at": rfc3339(tick_at), "params": schedule.params_at(tick_at)} for tick_at in ticks])
        return
    made = table("tick", "UTC", "parameters")
    for tick_at in ticks:
        local = f"{datetime.fromtimestamp(tick_at, schedule.zone):%Y-%m-%d %H:%M %Z}"
        made.add_row(local, date_and_time(tick_at), printable(parameters(schedule.params_at(tick_at))))
    show_table(made)


@schedules.command(epilog=example("tidewaiter schedules run nightly-opens"))
@click.argument("name", shell_complete=name_completion.schedules)
@json_option
@config_option
@pass_invocation
def run(invocation: Invocation, /, *, name: str, as_json: bool) -> None:
    """Submit a schedule's job now, in addition to its ticks."""

    async def submit() -> Job:
        async with open_schedule_service(invocation) as found:
            return await found.run(name, actor=current_user())

    job = asyncio.run(submit())
    if as_json:
        show_json(job_json(job))
    else:
        click.echo(job_line(job))
