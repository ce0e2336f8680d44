"""``tidewaiter schedules``: lists recurring jobs and their next ticks, pauses one, and submits its job now."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import click

from tidewaiter.cli import name_completion
from tidewaiter.cli.invocation import (
    CommandGroup,
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
from tidewaiter.cli.shared_options import reason_option
from tidewaiter.cli.submit import parameters_of
from tidewaiter.clock import SystemClock
from tidewaiter.domain.formatting import counted, date_and_time, parameters, printable, rfc3339
from tidewaiter.domain.job_json import job_json
from tidewaiter.recurrence import Schedule

if TYPE_CHECKING:
    from tidewaiter.services import ScheduleService, ScheduleStatus

T = TypeVar("T")


@click.group(cls=CommandGroup)
@debug_option
def schedules() -> None:
    """List recurring jobs and their next ticks, pause or run one."""


@schedules.command("list", epilog=example("tidewaiter schedules list", "tidewaiter schedules list --json"))
@json_option
@config_option
@pass_invocation
def list_schedules(invocation: Invocation, /, *, as_json: bool) -> None:
    """List the schedules of the configuration, with the last tick and the next."""
    from tidewaiter.services.resource_json import schedule_json  # noqa: PLC0415  # help and completion do without

    async def look() -> "tuple[list[ScheduleStatus], dict[str, str]]":
        async with open_schedule_service(invocation) as found:
            return await found.statuses(), found.unserved

    found, unserved = asyncio.run(look())
    for name, reason in unserved.items():
        click.echo(f"schedule {name}: {printable(reason)}", err=True)
    if as_json:
        show_json({"schedules": [schedule_json(one) for one in found]})
        return
    if not found:
        if not unserved:
            click.echo("no schedules: a table [schedules.NAME] in the configuration makes one")
        return
    made = table("schedule", "account", "operation", "cron", "time zone", "next (UTC)", "last job", right=("last job",))
    for status in found:
        one = status.schedule
        made.add_row(
            one.name, one.account, one.operation, one.cron, str(one.zone),
            date_and_time(status.next_at) if status.pause is None else "paused",
            "" if status.job is None else str(status.job),
        )  # fmt: skip
    show_table(made, below=("cron", "time zone"))


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


@schedules.command(
    epilog=example(
        "tidewaiter schedules run nightly-opens",
        "tidewaiter schedules run nightly-opens --as-of 2026-01-31 --param export_type=CLICKS",
    )
)
@click.argument("name", shell_complete=name_completion.schedules)
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="KEY=VALUE",
    callback=parameters_of,
    help="A parameter in place of the schedule's own; it may have a date template.",
)
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Fill in the dates as on this day, in the schedule's time zone.",
)
@json_option
@config_option
@pass_invocation
def run(
    invocation: Invocation, /, *, name: str, params: Mapping[str, str], as_of: datetime | None, as_json: bool
) -> None:
    """Submit a schedule's job now, in addition to its ticks."""
    day = None if as_of is None else as_of.date()
    job = asyncio.run(_ask(invocation, lambda found: found.run(name, actor=current_user(), params=params, as_of=day)))
    if as_json:
        show_json(job_json(job))
    else:
        click.echo(job_line(job))


@schedules.command(epilog=example('tidewaiter schedules pause nightly-opens --reason "the data is being repaired"'))
@click.argument("name", shell_complete=name_completion.schedules)
@reason_option
@json_option
@config_option
@pass_invocation
def pause(invocation: Invocation, /, *, name: str, reason: str | None, as_json: bool) -> None:
    """Pause a schedule until a person resumes it: its ticks are not served. Jobs that exist continue.

    The exit code is 2 if there is no such schedule, and 0 if it is paused already.
    """
    from tidewaiter.services.resource_json import schedule_json  # noqa: PLC0415  # help and completion do without

    status = asyncio.run(_ask(invocation, lambda found: found.pause(name, reason, actor=current_user())))
    if as_json:
        show_json(schedule_json(status))
    else:
        click.echo(f"schedule {name} is paused")


@schedules.command(epilog=example("tidewaiter schedules resume nightly-opens"))
@click.argument("name", shell_complete=name_completion.schedules)
@json_option
@config_option
@pass_invocation
def resume(invocation: Invocation, /, *, name: str, as_json: bool) -> None:
    """End the pause of a schedule.

    The ticks that have passed in the pause count as missed: `catch_up` of the schedule decides whether none, the last
    one or all of them are served. The exit code is 2 if there is no such schedule, and 0 if it is not paused.
    """
    from tidewaiter.services.resource_json import schedule_json  # noqa: PLC0415  # help and completion do without

    async def end(found: "ScheduleService") -> "tuple[ScheduleStatus, ScheduleStatus]":
        return await found.resume(name, actor=current_user()), await found.status(name)

    before, after = asyncio.run(_ask(invocation, end))
    if as_json:
        show_json(schedule_json(after))
    elif before.pause is None:
        click.echo(f"schedule {name} was not paused")
    else:
        policy = after.schedule.catch_up.value
        ticks = f'; {counted(before.passed, "tick")} passed in the pause, and catch_up is "{policy}"'
        click.echo(f"schedule {name} is resumed{ticks if before.passed else ''}")


async def _ask(invocation: Invocation, request: "Callable[[ScheduleService], Awaitable[T]]") -> T:
    async with open_schedule_service(invocation) as found:
        return await request(found)
