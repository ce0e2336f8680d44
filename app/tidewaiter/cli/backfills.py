"""``tidewaiter backfill``: fills a span of time with jobs; ``tidewaiter backfills``: shows and controls them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from tidewaiter.cli import name_completion
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.invocation import (
    CommandGroup,
    Invocation,
    config_option,
    current_user,
    debug_option,
    example,
    open_backfill_service,
    pass_invocation,
)
from tidewaiter.cli.output import json_option, show_json, show_table, table
from tidewaiter.cli.shared_options import label_option
from tidewaiter.cli.submit import param_option
from tidewaiter.clock import SystemClock
from tidewaiter.domain.backfill import MOST_AT_ONCE, USUAL_AT_ONCE, Backfill, BackfillPlan, BackfillState
from tidewaiter.domain.formatting import ago, counted, date_and_time, parameters, printable
from tidewaiter.domain.windows import Span

if TYPE_CHECKING:
    from tidewaiter.services import BackfillPreview, BackfillService


@click.command(
    epilog=example(
        "tidewaiter backfill social resource --from 2026-01-01 --to 2026-06-30 --window 1d"
        ' -p path=campaign/stats -p \'parameters={"day": "${window.from}"}\' --dry-run',
    )
)
@click.argument("account", shell_complete=name_completion.accounts)
@click.argument("operation", shell_complete=name_completion.operations)
@click.option("--from", "first", required=True, metavar="DAY", help="The first day, or a time (2026-01-31T06:00).")
@click.option("--to", "last", required=True, metavar="DAY", help="The last day, included; or a time, not included.")
@click.option("--window", required=True, metavar="N", help="The length of a window: 1d, 2w, 1mo, 6h.")
@param_option
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="Whose days they are.")
@click.option("--newest-first", is_flag=True, help="Begin with the last window.")
@click.option(
    "--at-once",
    type=click.IntRange(1, MOST_AT_ONCE),
    default=USUAL_AT_ONCE,
    show_default=True,
    help="How many jobs may be under way.",
)
@click.option("--no-reuse", is_flag=True, help="Make a job also for a window that has landed with these parameters.")
@click.option("--name", metavar="NAME", help="Its name, and that of its batch.  [default: made of account and time]")
@label_option("A label that each job gets; several times for several labels.")
@click.option("--dry-run", is_flag=True, help="Show what it would do, and change nothing.")
@json_option
@config_option
@pass_invocation
def backfill(
    invocation: Invocation,
    /,
    *,
    account: str,
    operation: str,
    params: Mapping[str, str],
    name: str | None,
    labels: tuple[tuple[str, str], ...],
    dry_run: bool,
    as_json: bool,
    **planned: Any,
) -> None:
    """Make one job for each window of a span of time.

    The daemon submits them, a few at a time. Parameters say where the window goes: ${window.from} and ${window.to} are
    its first and its last day. Submitted again with the same --name, it is the same backfill.
    """
    span = Span(planned["first"], planned["last"], planned["window"], planned["timezone"])
    plan = BackfillPlan(span, planned["newest_first"], planned["at_once"], not planned["no_reuse"], dict(labels))

    async def run() -> "BackfillPreview | tuple[Backfill, bool]":
        from tidewaiter.services import BackfillRequest  # noqa: PLC0415  # help and completion do without

        wanted = BackfillRequest(account, operation, params, plan, name)
        async with open_backfill_service(invocation, refusal=ExitCode.USAGE) as service:
            if dry_run:
                return await service.preview(wanted)
            return await service.create(wanted, actor=current_user())

    found = asyncio.run(run())
    if not isinstance(found, tuple):
        _show_preview(found, as_json)
    elif as_json:
        _show(found[0], as_json)
    else:
        _show(found[0], as_json)
        click.echo(f"`tidewaiter backfills show {found[0].name}` shows how far it is")


@click.group(cls=CommandGroup)
@debug_option
def backfills() -> None:
    """List, show, pause, resume and cancel backfills."""


@backfills.command("list", epilog=example("tidewaiter backfills list"))
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many at most.")
@click.option("--before", metavar="NAME", help="Only backfills before this one: the next page.")
@json_option
@config_option
@pass_invocation
def list_backfills(invocation: Invocation, /, *, limit: int, before: str | None, as_json: bool) -> None:
    """List backfills, the newest first."""
    from tidewaiter.services.resource_json import backfill_json  # noqa: PLC0415  # help and completion do without

    async def find() -> list[Backfill]:
        async with open_backfill_service(invocation) as service:
            return await service.page(limit + 1, before)

    found, now = asyncio.run(find()), SystemClock().now()
    page = found[:limit]
    if as_json:
        after = f"/v1/backfills?limit={limit}&before={quote(page[-1].name)}" if found[limit:] else None
        show_json({"backfills": [backfill_json(one, now) for one in page], "next": after})
        return
    if not page:
        click.echo("no backfills")
        return
    made = table("backfill", "account", "operation", "state", "done", "windows", "span", right=("done", "windows"))
    for one in page:
        span = one.plan.span
        made.add_row(
            one.name, one.account, one.operation, one.state.value, str(one.done), str(one.windows),
            f"{span.first} to {span.last} by {span.window}",
        )  # fmt: skip
    show_table(made, below=("span",))


@backfills.command(epilog=example("tidewaiter backfills show newsletter-statistics-20260701T090000Z"))
@click.argument("name")
@json_option
@config_option
@pass_invocation
def show(invocation: Invocation, /, *, name: str, as_json: bool) -> None:
    """Show how far a backfill is. `tidewaiter jobs list --batch NAME` lists its jobs.

    The exit code is 1 if there is no such backfill.
    """
    _show(asyncio.run(_ask(invocation, lambda service: service.named(name))), as_json)


@backfills.command(epilog=example("tidewaiter backfills pause fill-2026 --reason 'their maintenance'"))
@click.argument("name")
@click.option("--reason", default="paused on the command line", show_default=True, help="For others to read.")
@json_option
@config_option
@pass_invocation
def pause(invocation: Invocation, /, *, name: str, reason: str, as_json: bool) -> None:
    """Submit no more windows until it is resumed. Its jobs continue.

    The exit code is 1 if there is no such backfill, or every window is submitted.
    """
    _show(asyncio.run(_ask(invocation, lambda service: service.pause(name, reason, actor=current_user()))), as_json)


@backfills.command(epilog=example("tidewaiter backfills resume fill-2026"))
@click.argument("name")
@json_option
@config_option
@pass_invocation
def resume(invocation: Invocation, /, *, name: str, as_json: bool) -> None:
    """Submit windows again.

    The exit code is 1 if there is no such backfill, every window is submitted, or it is cancelled.
    """
    _show(asyncio.run(_ask(invocation, lambda service: service.resume(name, actor=current_user()))), as_json)


@backfills.command(epilog=example("tidewaiter backfills cancel fill-2026"))
@click.argument("name")
@json_option
@config_option
@pass_invocation
def cancel(invocation: Invocation, /, *, name: str, as_json: bool) -> None:
    """Submit no more windows for ever, and cancel the jobs that have not ended.

    The exit code is 1 if there is no such backfill.
    """
    _show(asyncio.run(_ask(invocation, lambda service: service.cancel(name, actor=current_user()))), as_json)


async def _ask(invocation: Invocation, question: "Callable[[BackfillService], Awaitable[Backfill]]") -> Backfill:
    async with open_backfill_service(invocation) as service:
        return await question(service)


def _show(one: Backfill, as_json: bool) -> None:
    from tidewaiter.services.resource_json import backfill_json  # noqa: PLC0415  # help and completion do without

    now = SystemClock().now()
    if as_json:
        show_json(backfill_json(one, now))
        return
    states = ", ".join(f"{number} {state}" for state, number in one.batch.states.items())
    about = [f"{one.done} of {counted(one.windows, 'window')} done", f"{one.reused} reused"]
    about += [f"jobs: {states}"] if states else []
    about += [f"{one.parked} parked {'needs' if one.parked == 1 else 'need'} you"] if one.parked else []
    if (end := one.expected_end(now)) is not None:
        about.append(f"expected end {date_and_time(end)} UTC ({ago(end, now)})")
    if one.batch.ended_at is not None:
        about.append(f"ended {date_and_time(one.batch.ended_at)} UTC")
    if one.state is BackfillState.PAUSED:
        about.append(f"paused by {printable(one.paused_by or '')}: {printable(one.paused_reason or '')}")
    click.echo(f"backfill {one.name} is {one.state}: {'; '.join(about)}")


def _show_preview(one: "BackfillPreview", as_json: bool) -> None:
    from tidewaiter.services.resource_json import backfill_preview_json  # noqa: PLC0415

    if as_json:
        show_json(backfill_preview_json(one))
        return
    click.echo(f"it would fill {counted(one.windows, 'window')}; {one.reused} of them have landed already")
    click.echo(f"first job: {printable(parameters(one.first.params))}")
    click.echo(f"last job:  {printable(parameters(one.last.params))}")
