"""``tidewaiter batches``: lists batches, shows one, and waits until all its jobs have ended."""

import asyncio
from typing import TYPE_CHECKING, Final

import click

from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import (
    CommandGroup,
    Invocation,
    config_option,
    debug_option,
    example,
    open_job_service,
    pass_invocation,
)
from tidewaiter.cli.output import json_option, show_json, show_table, table
from tidewaiter.clock import SystemClock
from tidewaiter.domain.formatting import counted, date_and_time

if TYPE_CHECKING:
    from tidewaiter.database.batch_store import BatchStore
    from tidewaiter.database.engine import Database
    from tidewaiter.domain.batch import Batch

_LOOK_S: Final = 0.5


@click.group(cls=CommandGroup)
@debug_option
def batches() -> None:
    """List batches of jobs, show one, wait until it has ended."""


@batches.command("list", epilog=example("tidewaiter batches list", "tidewaiter batches list --limit 5 --json"))
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many at most.")
@click.option("--before", metavar="NAME", help="Only batches before this one: the next page.")
@json_option
@config_option
@pass_invocation
def list_batches(invocation: Invocation, /, *, limit: int, before: str | None, as_json: bool) -> None:
    """List batches, the newest first."""
    from urllib.parse import quote  # noqa: PLC0415  # help and completion do without

    from tidewaiter.services.resource_json import batch_json  # noqa: PLC0415

    async def find() -> "list[Batch]":
        async with open_job_service(invocation) as (service, _):
            return await _store(service.jobs.database).page(limit + 1, before)

    found = asyncio.run(find())
    page = found[:limit]
    if as_json:
        after = f"/v1/batches?limit={limit}&before={quote(page[-1].name)}" if found[limit:] else None
        show_json({"batches": [batch_json(one) for one in page], "next": after})
        return
    if not page:
        click.echo("no batches")
        return
    made = table("batch", "jobs", "open", "states", "created (UTC)", "ended (UTC)", "by", right=("jobs", "open"))
    for one in page:
        made.add_row(
            one.name, str(one.jobs), str(one.open), _states(one), date_and_time(one.created_at),
            date_and_time(one.ended_at), one.created_by,
        )  # fmt: skip
    show_table(made, below=("states", "by"))


@batches.command(epilog=example("tidewaiter batches show march"))
@click.argument("name")
@json_option
@config_option
@pass_invocation
def show(invocation: Invocation, /, *, name: str, as_json: bool) -> None:
    """Show a batch. `tidewaiter jobs list --batch NAME` lists its jobs.

    The exit code is 1 if there is no such batch.
    """

    async def look() -> "Batch":
        async with open_job_service(invocation) as (service, _):
            return await _batch(_store(service.jobs.database), name)

    _show(asyncio.run(look()), as_json)


@batches.command(epilog=example("tidewaiter batches wait march --timeout 3600 --json"))
@click.argument("name")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Wait at most so many seconds.")
@json_option
@config_option
@pass_invocation
def wait(invocation: Invocation, /, *, name: str, timeout: float | None, as_json: bool) -> None:
    """Wait until every job of a batch has ended.

    The exit code is 0 if all jobs succeeded, also by their retry, and 1 if one did not, or only jobs are left that wait
    for a person, or there is no such batch; with --timeout it is 75 if the time is over. --json prints the batch,
    whatever the exit code.
    """

    async def run() -> ExitCode:
        async with open_job_service(invocation) as (service, _):
            store, clock = _store(service.jobs.database), SystemClock()
            ends_at = None if timeout is None else clock.monotonic() + timeout
            batch = await _batch(store, name)
            while batch.ended_at is None and not batch.waits_for_a_person:
                if ends_at is not None and clock.monotonic() >= ends_at:
                    if as_json:
                        _show(batch, as_json)
                    left = f"{counted(batch.open, 'job')} of batch {name} {'has' if batch.open == 1 else 'have'}"
                    raise CommandError(ExitCode.TIMED_OUT, f"{left} not ended after {timeout:g} s; the batch goes on")
                await clock.sleep(_LOOK_S)
                batch = await _batch(store, name)
            _show(batch, as_json)
            if batch.ended_at is None:
                raise CommandError(ExitCode.FAILED, f"{counted(batch.open, 'job')} of batch {name} wait for a person")
            return ExitCode.FAILED if await store.unsuccessful(name) else ExitCode.OK

    click.get_current_context().exit(asyncio.run(run()))


def _store(database: "Database") -> "BatchStore":
    from tidewaiter.database.batch_store import BatchStore  # noqa: PLC0415  # help and completion do without

    return BatchStore(database)


async def _batch(store: "BatchStore", name: str) -> "Batch":
    batch = await store.get(name)
    if batch is None:
        raise CommandError(ExitCode.FAILED, f"there is no batch {name!r}")
    return batch


def _states(batch: "Batch") -> str:
    return ", ".join(f"{number} {state}" for state, number in batch.states.items())


def _show(batch: "Batch", as_json: bool) -> None:
    from tidewaiter.services.resource_json import batch_json  # noqa: PLC0415  # help and completion do without

    if as_json:
        show_json(batch_json(batch))
        return
    ended = "" if batch.ended_at is None else f", ended {date_and_time(batch.ended_at)} UTC"
    click.echo(f"batch {batch.name}: {counted(batch.jobs, 'job')}, {batch.open} not ended ({_states(batch)}){ended}")
