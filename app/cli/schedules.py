"""``tidewaiter schedules``: lists recurring jobs and their next ticks, and submits one now."""

import asyncio
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import click

from app.cli import offers
from app.cli.desk import at_schedules, me
from app.cli.output import json_option, show_json, show_table, table
from app.cli.session import Session, config_option, debug_option, example, pass_session
from app.cli.watch import line_of
from app.clock import SystemClock
from app.domain.formatting import date_and_time, parameters, printable, rfc3339
from app.domain.job import Job
from app.domain.job_view import job_json
from app.recurrence import Schedule

if TYPE_CHECKING:
    from app.desk import ScheduleStanding


@click.group
@debug_option
def schedules() -> None:
    """List recurring jobs, see when they are due, submit one now."""


@schedules.command("list", epilog=example("tidewaiter schedules list", "tidewaiter schedules list --json"))
@json_option
@config_option
@pass_session
def list_schedules(invocation: Session, /, *, as_json: bool) -> None:
    """List the schedules of the configuration, with the last tick and the next."""
    from app.desk.views import schedule_json  # noqa: PLC0415  # help and completion do without

    async def look() -> "list[ScheduleStanding]":
        async with at_schedules(invocation) as found:
            return await found.standings()

    found = asyncio.run(look())
    if as_json:
        show_json({"schedules": [schedule_json(one) for one in found]})
        return
    made = table("schedule", "account", "operation", "cron", "time zone", "next (UTC)", "last job", right=("last job",))
    for standing in found:
        one = standing.schedule
        made.add_row(
            one.name, one.account, one.operation, one.cron, str(one.zone), date_and_time(standing.next_at),
            "" if standing.job is None else str(standing.job),
        )  # fmt: skip
    show_table(made)


@schedules.command(epilog=example("tidewaiter schedules next nightly-opens --number 3"))
@click.argument("name", shell_complete=offers.schedules)
@click.option("--number", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many ticks.")
@json_option
@config_option
@pass_session
def next(invocation: Session, /, *, name: str, number: int, as_json: bool) -> None:  # noqa: A001  # the command's name
    """Show the next ticks of a schedule, with the parameters of their jobs."""

    async def find() -> Schedule:
        async with at_schedules(invocation) as found:
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
@click.argument("name", shell_complete=offers.schedules)
@json_option
@config_option
@pass_session
def run(invocation: Session, /, *, name: str, as_json: bool) -> None:
    """Submit a schedule's job now, in addition to its ticks."""

    async def submit() -> Job:
        async with at_schedules(invocation) as found:
            return await found.run(name, actor=me())

    job = asyncio.run(submit())
    if as_json:
        show_json(job_json(job))
    else:
        click.echo(line_of(job))
