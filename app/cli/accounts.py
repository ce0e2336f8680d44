"""``tidewaiter accounts``: which accounts work, which are paused by whom and why, and a person's say in it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from rich.text import Text

from app.cli import offers
from app.cli.desk import at_desk, me
from app.cli.errors import ExitCode
from app.cli.output import duration, moment, printable, show_json, show_table, table
from app.cli.session import Session, config_option, debug_option, example, pass_session
from app.domain.job import State

if TYPE_CHECKING:
    from app.desk import Desk, Standing
    from app.store.accounts import Pause
    from app.store.lanes import LaneStatus

T = TypeVar("T")

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_BY: Final = {
    "credentials": "paused: credentials refused",
    "tls": "paused: TLS failed",
    "person": "paused by a person",
}


@click.group
@debug_option
def accounts() -> None:
    """See how accounts stand, pause and resume them.

    While an account is paused no daemon asks its provider for anything, and its jobs wait unharmed. An account whose
    credentials are refused is paused by itself.
    """


@accounts.command("list", epilog=example("tidewaiter accounts list", "tidewaiter accounts list --json"))
@_json_option
@config_option
@pass_session
def list_accounts(session: Session, /, *, as_json: bool) -> None:
    """List the configured accounts: provider, whether and why they are paused or closed for a while, and live jobs.

    One that has left the configuration is listed as long as jobs of it wait: nobody sees to them. It has no provider.
    """

    async def look(desk: "Desk") -> tuple[list["Standing"], dict[str, Mapping[State, int]]]:
        return await desk.standings(), await desk.orphans()

    found, orphans = asyncio.run(_ask(session, look))
    if as_json:
        show_json([*map(_as_json, found), *(_orphan_as_json(name, jobs) for name, jobs in orphans.items())])
        return
    made = table("account", "provider", "stands", "since (UTC)", "why", "live jobs")
    for one in found:
        for account, provider, stands, since, why, jobs in _rows(one):
            made.add_row(account, provider, stands, since, Text(printable(why)), jobs)
    for name, waiting in orphans.items():
        mend = f"put [accounts.{name}] back, or cancel its jobs"
        made.add_row(name, "", Text("not configured", style="bold red"), "", Text(mend), _counts(waiting))
    show_table(made)


@accounts.command(epilog=example('tidewaiter accounts pause newsletter --reason "their maintenance on Sunday"'))
@click.argument("name", shell_complete=offers.accounts)
@click.option("--reason", metavar="TEXT", help="Why, for others; left out: the reason of a pause that there is stays.")
@_json_option
@config_option
@pass_session
def pause(session: Session, /, *, name: str, reason: str | None, as_json: bool) -> None:
    """Pause an account until somebody resumes it.

    Within a look-out round every daemon stops asking its provider; steps under way come to their end. Cancelling works
    all the same. The exit code is 2 where there is no such account, and 0 where it is paused already.
    """
    standing = asyncio.run(_ask(session, lambda desk: desk.pause(name, reason, actor=me())))
    if as_json:
        show_json(_as_json(standing))
    else:
        click.echo(f"account {name} is paused")


@accounts.command(epilog=example("tidewaiter accounts resume newsletter"))
@click.argument("name", shell_complete=offers.accounts)
@_json_option
@config_option
@pass_session
def resume(session: Session, /, *, name: str, as_json: bool) -> None:
    """End the pause of an account, whosever it is, and open it where it is closed for a while.

    The deadlines of its live jobs move by as long as they have waited in a pause. The provider is tried with one
    request before the others follow, within a look-out round. The exit code is 2 where there is no such account, and 0
    where it is neither paused nor closed.
    """

    async def act(desk: "Desk") -> tuple[list["LaneStatus"], "Standing", float | None]:
        closed = [lane for one in await desk.standings() if one.account == name for lane in one.closed]
        return closed, *await desk.resume(name, actor=me())

    closed, standing, paused_s = asyncio.run(_ask(session, act))
    if as_json:
        show_json({**_as_json(standing), "paused_s": paused_s, "opened": [_closed_as_json(lane) for lane in closed]})
    elif paused_s is not None:
        click.echo(f"account {name} is resumed after {duration(paused_s)}")
    elif closed:
        click.echo(f"account {name} is opened; it was {_until(closed[0])}: {printable(closed[0].closed_reason or '')}")
    else:
        click.echo(f"account {name} was not paused")


async def _ask(session: Session, wish: "Callable[[Desk], Awaitable[T]]") -> T:
    async with at_desk(session, refusal=ExitCode.USAGE) as (desk, _):
        return await wish(desk)


def _rows(standing: "Standing") -> Iterator[tuple[str, str, Text, str, str, str]]:
    """One line, or one for each closed lane of an account that is not paused."""
    jobs = _counts(standing.jobs)
    name, provider = standing.account, standing.provider
    if (by := standing.pause) is not None:
        yield name, provider, Text(_BY[by.by.value], style="bold red"), moment(by.at), by.reason, jobs
    elif not standing.closed:
        yield name, provider, Text("open", style="green"), "", "", jobs
    for lane in () if standing.pause else standing.closed:
        yield name, provider, Text(_until(lane), style="yellow"), "", lane.closed_reason or "", jobs
        name = provider = jobs = ""


def _until(lane: "LaneStatus") -> str:
    return f"closed until {moment(lane.closed_until)}" if lane.closed_until else "closed by its breaker"


def _counts(jobs: Mapping[State, int]) -> str:
    return ", ".join(f"{number} {state.value}" for state, number in jobs.items())


def _orphan_as_json(name: str, jobs: Mapping[State, int]) -> dict[str, Any]:
    counts = {state.value: number for state, number in jobs.items()}
    return {"name": name, "provider": None, "paused": None, "closed": [], "jobs": counts}


def _as_json(standing: "Standing") -> dict[str, Any]:
    return {
        "name": standing.account,
        "provider": standing.provider,
        "paused": _pause_as_json(standing.pause),
        "closed": [_closed_as_json(lane) for lane in standing.closed],
        "jobs": {state.value: number for state, number in standing.jobs.items()},
    }


def _closed_as_json(lane: "LaneStatus") -> dict[str, Any]:
    return {"lane": lane.id, "until": lane.closed_until or None, "reason": lane.closed_reason}


def _pause_as_json(found: "Pause | None") -> dict[str, Any] | None:
    if found is None:
        return None
    return {"by": found.by.value, "reason": found.reason, "at": found.at, "lasts_s": round(found.lasts_s, 3)}
