"""``tidewaiter accounts``: shows the status of accounts, pauses and resumes them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

import click
from rich.text import Text

from tidewaiter.cli import name_completion
from tidewaiter.cli.invocation import (
    CommandGroup,
    Invocation,
    config_option,
    current_user,
    debug_option,
    example,
    open_account_service,
    pass_invocation,
)
from tidewaiter.cli.output import json_option, show_json, show_table, table
from tidewaiter.cli.shared_options import reason_option
from tidewaiter.domain.formatting import date_and_time, duration, printable
from tidewaiter.domain.job import State

if TYPE_CHECKING:
    from tidewaiter.database.lane_rows import LaneStatus
    from tidewaiter.services import AccountService, AccountStatus

T = TypeVar("T")

_COLUMNS: Final = ("account", "provider", "status", "since (UTC)", "why", "live jobs")
_BY: Final = {
    "credentials": "paused: credentials refused",
    "tls": "paused: TLS failed",
    "person": "paused by a person",
}


@click.group(cls=CommandGroup)
@debug_option
def accounts() -> None:
    """Show the status of accounts, pause and resume them.

    While an account is paused, no daemon sends requests to its provider, and its jobs wait. Tidewaiter pauses an
    account whose credentials are refused.
    """


@accounts.command("list", epilog=example("tidewaiter accounts list", "tidewaiter accounts list --json"))
@json_option
@config_option
@pass_invocation
def list_accounts(invocation: Invocation, /, *, as_json: bool) -> None:
    """List the configured accounts: provider, status with reason, and live jobs.

    If a provider replaces the refresh token of an account with each login, the last column says when it did so.

    An account that has left the configuration is listed while jobs of it wait. It has no provider, and no daemon
    serves it.
    """
    from tidewaiter.services.resource_json import account_json, orphan_json  # noqa: PLC0415  # help and completion do without

    async def look(service: "AccountService") -> tuple[list["AccountStatus"], dict[str, Mapping[State, int]]]:
        return await service.statuses(), await service.orphans()

    found, orphans = asyncio.run(_ask(invocation, look))
    if as_json:
        left = [orphan_json(name, jobs) for name, jobs in orphans.items()]
        show_json({"accounts": [*map(account_json, found), *left]})
        return
    tokens = any(one.refresh_token is not None for one in found)
    made = table(*_COLUMNS, *(["refresh token of (UTC)"] if tokens else []))
    for one in found:
        at = "" if one.refresh_token is None else date_and_time(one.refresh_token.stored_at)
        for account, provider, condition, since, why, jobs in _rows(one):
            made.add_row(account, provider, condition, since, Text(printable(why)), jobs, *([at] if tokens else []))
            at = ""
    for name, waiting in orphans.items():
        remedy = f"put [accounts.{name}] back, or cancel its jobs"
        made.add_row(name, "", Text("not configured", style="bold red"), "", Text(remedy), _counts(waiting))
    show_table(made, below=("since (UTC)", "why", "refresh token of (UTC)"))


@accounts.command(epilog=example('tidewaiter accounts pause newsletter --reason "their maintenance on Sunday"'))
@click.argument("name", shell_complete=name_completion.accounts)
@reason_option
@json_option
@config_option
@pass_invocation
def pause(invocation: Invocation, /, *, name: str, reason: str | None, as_json: bool) -> None:
    """Pause an account until a person resumes it.

    Within a lookout round every daemon stops sending requests to its provider; running steps finish. Cancelling still
    works. The exit code is 2 if there is no such account, and 0 if it is paused already.
    """
    from tidewaiter.services.resource_json import account_json  # noqa: PLC0415  # help and completion do without

    status = asyncio.run(_ask(invocation, lambda service: service.pause(name, reason, actor=current_user())))
    if as_json:
        show_json(account_json(status))
    else:
        click.echo(f"account {name} is paused")


@accounts.command(epilog=example("tidewaiter accounts resume newsletter"))
@click.argument("name", shell_complete=name_completion.accounts)
@json_option
@config_option
@pass_invocation
def resume(invocation: Invocation, /, *, name: str, as_json: bool) -> None:
    """End the pause of an account, whatever its cause, and open it if it is closed for a while.

    The deadlines of its live jobs move by as long as they have waited in a pause. Within a lookout round one request
    tests the provider before the others follow. A refresh token that may have been used is tried. The exit code is 2
    if there is no such account, and 0 if it is neither paused nor closed.
    """
    from tidewaiter.services.resource_json import resumed_json  # noqa: PLC0415  # help and completion do without

    resumed = asyncio.run(_ask(invocation, lambda service: service.resume(name, actor=current_user())))
    if as_json:
        show_json(resumed_json(resumed))
    elif resumed.paused_s is not None:
        click.echo(f"account {name} is resumed after {duration(resumed.paused_s)}")
    elif resumed.opened:
        lane = resumed.opened[0]
        click.echo(f"account {name} is opened; it was {_until(lane)}: {printable(lane.closed_reason or '')}")
    elif not resumed.tries_token:
        click.echo(f"account {name} was not paused")
    if resumed.tries_token and not as_json:
        click.echo(f"its refresh token, which may have been used, is tried with the next login of account {name}")
    elif (token := resumed.status.refresh_token) is not None and token.renewing and not as_json:
        click.echo("its refresh token is being renewed; if no process does that any more, resume it again in 3 minutes")


async def _ask(invocation: Invocation, request: "Callable[[AccountService], Awaitable[T]]") -> T:
    async with open_account_service(invocation) as service:
        return await request(service)


def _rows(status: "AccountStatus") -> Iterator[tuple[str, str, Text, str, str, str]]:
    """One line, or one for each closed lane of an account that is not paused."""
    jobs = _counts(status.jobs)
    name, provider = status.account, status.provider or ""
    if status.fault is not None:
        yield name, provider, Text("faulty", style="bold red"), "", status.fault, jobs
    elif (by := status.pause) is not None:
        yield name, provider, Text(_BY[by.by.value], style="bold red"), date_and_time(by.at), by.reason, jobs
    elif not status.closed:
        yield name, provider, Text("open", style="green"), "", "", jobs
    for lane in () if status.pause or status.fault else status.closed:
        yield name, provider, Text(_until(lane), style="yellow"), "", lane.closed_reason or "", jobs
        name = provider = jobs = ""


def _until(lane: "LaneStatus") -> str:
    return f"closed until {date_and_time(lane.closed_until)}" if lane.closed_until else "closed by its breaker"


def _counts(jobs: Mapping[State, int]) -> str:
    return ", ".join(f"{number} {state.value}" for state, number in jobs.items())
