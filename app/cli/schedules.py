"""``tidewaiter schedules``: recurring jobs, when they tick next, and one of them right now."""

import asyncio
from datetime import datetime
from itertools import islice

import click

from app.cli import offers
from app.cli.desk import at_schedules, me
from app.cli.errors import CommandError, ExitCode
from app.cli.output import job_as_json, moment, show_json, show_table, table
from app.cli.session import Session, config_option, debug_option, example, pass_session
from app.cli.watch import line_of
from app.clock import SystemClock
from app.recurrence import Schedule

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group
@debug_option
def schedules() -> None:
    """List recurring jobs, see when they are due, ask for one now."""


@schedules.command("list", epilog=example("tidewaiter schedules list", "tidewaiter schedules list --json"))
@_json_option
@config_option
@pass_session
def list_schedules(session: Session, /, *, as_json: bool) -> None:
    """List the schedules of the configuration, with the last tick and the next."""

    async def rows() -> list[dict[str, object]]:
        now = SystemClock().now()
        async with at_schedules(session) as (found, store, _):
            ticked = await store.ticked()
            return [
                {
                    "name": one.name,
                    "account": one.account,
                    "operation": one.operation,
                    "cron": one.cron,
                    "timezone": str(one.zone),
                    "catch_up": one.catch_up.value,
                    "next_at": one.next_tick(now),
                    "ticked_at": ticked[one.name].at if one.name in ticked else None,
                    "job": ticked[one.name].job_id if one.name in ticked else None,
                }
                for one in found.values()
            ]

    found = asyncio.run(rows())
    if as_json:
        show_json(found)
        return
    made = table("schedule", "account", "operation", "cron", "time zone", "next (UTC)", "last job", right=("last job",))
    for row in found:
        made.add_row(
            str(row["name"]), str(row["account"]), str(row["operation"]), str(row["cron"]), str(row["timezone"]),
            moment(row["next_at"]),  # type: ignore[arg-type]  # epoch seconds or None
            "" if row["job"] is None else str(row["job"]),
        )  # fmt: skip
    show_table(made)


@schedules.command(epilog=example("tidewaiter schedules next nightly-opens --number 3"))
@click.argument("name", shell_complete=offers.schedules)
@click.option("--number", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many ticks.")
@_json_option
@config_option
@pass_session
def next(session: Session, /, *, name: str, number: int, as_json: bool) -> None:  # noqa: A001  # the command's name
    """Show the next ticks of a schedule, with the parameters that their jobs will have."""

    async def find() -> Schedule:
        async with at_schedules(session) as (found, _, _desk):
            return _named(found, name)

    schedule = asyncio.run(find())
    ticks = list(islice(schedule.ticks_after(SystemClock().now()), number))
    if as_json:
        show_json([{"at": tick_at, "params": schedule.params_at(tick_at)} for tick_at in ticks])
        return
    made = table("tick", "UTC", "parameters")
    for tick_at in ticks:
        shown = " ".join(f"{key}={value}" for key, value in schedule.params_at(tick_at).items())
        made.add_row(f"{datetime.fromtimestamp(tick_at, schedule.zone):%Y-%m-%d %H:%M %Z}", moment(tick_at), shown)
    show_table(made)


@schedules.command(epilog=example("tidewaiter schedules run nightly-opens"))
@click.argument("name", shell_complete=offers.schedules)
@_json_option
@config_option
@pass_session
def run(session: Session, /, *, name: str, as_json: bool) -> None:
    """Ask for a schedule's job now, beside its ticks."""

    async def ask() -> None:
        async with at_schedules(session) as (found, _, desk):
            schedule = _named(found, name)
            job, _created = await desk.submit(
                schedule.account, schedule.operation, schedule.params_at(SystemClock().now()), actor=me()
            )
            if as_json:
                show_json(job_as_json(job))
            else:
                click.echo(line_of(job))

    asyncio.run(ask())


def _named(found: dict[str, Schedule], name: str) -> Schedule:
    if name not in found:
        known = ", ".join(sorted(found)) or "none is configured"
        raise CommandError(ExitCode.USAGE, f"unknown schedule {name!r}; configured: {known}")
    return found[name]
