"""``tidewaiter notifications``: lists deliveries to webhook receivers, retries them, and tests a receiver."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import click
from rich.text import Text

from tidewaiter.cli import name_completion
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import (
    CommandGroup,
    Invocation,
    config_option,
    debug_option,
    example,
    next_page,
    note_action,
    open_notification_store,
    pass_invocation,
)
from tidewaiter.cli.output import json_option, show_json, show_table, table
from tidewaiter.domain.formatting import counted, date_and_time, printable
from tidewaiter.domain.notification import DeliveryStatus

if TYPE_CHECKING:
    from tidewaiter.database.notification_store import Notification, NotificationStore

T = TypeVar("T")

_STYLES: Final = {DeliveryStatus.WAITING: "cyan", DeliveryStatus.DELIVERED: "green", DeliveryStatus.DEAD: "bold red"}
_SHOWN: Final = 300
_LARGEST_ID: Final = 2**63 - 1


def _id_of(text: str) -> int:
    """An id as it was typed; a database takes no other."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= _LARGEST_ID):
        raise click.BadParameter(f"{text!r} is no id; an id is a whole number, such as 12")
    return int(text)


@click.group(cls=CommandGroup)
@debug_option
def notifications() -> None:
    """List notifications of jobs, send them again, test a receiver."""


@notifications.command(
    "list",
    epilog=example("tidewaiter notifications list --dead", "tidewaiter notifications list --endpoint ops --json"),
)
@click.option("--dead", "status", flag_value=DeliveryStatus.DEAD, type=DeliveryStatus, help="Only what was given up.")
@click.option(
    "--waiting",
    "status",
    flag_value=DeliveryStatus.WAITING,
    type=DeliveryStatus,
    help="Only what is not delivered yet.",
)
@click.option("--endpoint", metavar="NAME", shell_complete=name_completion.endpoints, help="Only for this one.")
@click.option("--job", type=_id_of, metavar="JOB", help="Only of this job.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@click.option("--before", type=_id_of, metavar="ID", help="Only notifications before this one: the next page.")
@json_option
@config_option
@pass_invocation
def list_notifications(
    invocation: Invocation,
    /,
    *,
    status: DeliveryStatus | None,
    endpoint: str | None,
    job: int | None,
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List notifications, the newest first."""
    from tidewaiter.services.resource_json import notification_json  # noqa: PLC0415  # help and completion do without

    async def find(store: "NotificationStore") -> "list[Notification]":
        return await store.find(status=status, endpoint=endpoint, job_id=job, before_id=before, limit=limit + 1)

    found = _ask(invocation, find)
    page = found[:limit]
    if as_json:
        query: dict[str, list[object]] = {
            "status": [status and status.value],
            "endpoint": [endpoint],
            "job": [job],
            "limit": [limit],
        }
        after = next_page("/v1/notifications", query, page) if found[limit:] else None
        show_json({"notifications": [notification_json(one) for one in page], "next": after})
        return
    if not page:
        click.echo("no notifications")
        return
    made = table(
        "id", "endpoint", "job", "account", "job state", "delivery", "attempts", "next (UTC)", "why",
        right=("id", "job", "attempts"),
    )  # fmt: skip
    for one in page:
        made.add_row(
            str(one.id), one.endpoint, str(one.job_id or ""), one.account, one.state.value,
            Text(one.status.value, style=_STYLES[one.status]), str(one.attempts), date_and_time(one.due_at),
            "" if one.status is DeliveryStatus.DELIVERED else printable(one.last_error or ""),
        )  # fmt: skip
    show_table(made, below=("attempts", "why"))


@notifications.command(
    epilog=example(
        "tidewaiter notifications retry 12 13", "tidewaiter notifications retry --dead --waiting --endpoint ops"
    )
)
@click.argument("number", type=_id_of, nargs=-1, metavar="[ID]...")
@click.option("--dead", is_flag=True, help="All that were given up.")
@click.option("--waiting", is_flag=True, help="All that wait for longer than a minute.")
@click.option(
    "--endpoint",
    metavar="NAME",
    shell_complete=name_completion.endpoints,
    help="With --dead or --waiting: only for this one.",
)
@json_option
@config_option
@pass_invocation
def retry(
    invocation: Invocation,
    /,
    *,
    number: tuple[int, ...],
    dead: bool,
    waiting: bool,
    endpoint: str | None,
    as_json: bool,
) -> None:
    """Send notifications again, under their old ids; a daemon does it within seconds.

    Delivered ones may be named, too. The exit code is 1 if there is no notification with one of the ids.
    """
    chosen = {DeliveryStatus.DEAD: dead, DeliveryStatus.WAITING: waiting}
    statuses = [status for status, is_chosen in chosen.items() if is_chosen]
    if bool(number) is bool(statuses) or (endpoint is not None and not statuses):
        raise CommandError(
            ExitCode.USAGE, "name the notifications by their ids, or all that died with --dead, or wait with --waiting"
        )

    async def send_again(store: "NotificationStore") -> tuple[int, list[int]]:
        if statuses:
            revived = await store.retry_all(statuses, endpoint)
            await note_action(store, "retry", f"{revived} notifications")
            return revived, []
        known = await store.retry(number)
        for one in known:
            await note_action(store, "retry", f"notification {one}")
        return len(known), sorted(set(number) - set(known))

    sent, unknown = _ask(invocation, send_again)
    if as_json:
        show_json({"retried": sent, "unknown": unknown})
    else:
        click.echo(f"{counted(sent, 'notification is', 'notifications are')} sent again")
    if unknown:
        missing = ", ".join(map(str, unknown))
        raise CommandError(
            ExitCode.FAILED, f"there is no notification {missing}; `tidewaiter notifications list` has them"
        )


@notifications.command(epilog=example("tidewaiter notifications test ops"))
@click.argument("name", shell_complete=name_completion.endpoints)
@json_option
@config_option
@pass_invocation
def test(invocation: Invocation, /, *, name: str, as_json: bool) -> None:
    """Send one signed notification to an endpoint now, and show its reply.

    Its type is tidewaiter.test, it has an id of its own, and it is tried once. The exit code is 1 if the endpoint did
    not accept it, and 2 if the configuration has no endpoint of that name.
    """
    from tidewaiter.bootstrap import TEST_TYPE, send_test  # noqa: PLC0415  # help and completion do without
    from tidewaiter.transport.wire import TransportError  # noqa: PLC0415

    config = invocation.load()
    if name not in config.notifications:
        known = ", ".join(sorted(config.notifications)) or "none is configured"
        raise CommandError(ExitCode.USAGE, f"unknown endpoint {name!r}; configured: {known}")
    with invocation.log(config):
        try:
            reply = asyncio.run(send_test(config, name))
        except TransportError as error:
            if as_json:
                show_json({"endpoint": name, "accepted": False, "status": None, "reply": None})
            raise CommandError(ExitCode.FAILED, f"{name}: {error}") from error
        body = invocation.clean(reply.body.decode(errors="replace"))[:_SHOWN]
    line = printable(f"HTTP {reply.status} {reply.phrase}".strip())
    if as_json:
        show_json({"endpoint": name, "accepted": reply.accepted, "status": reply.status, "reply": body})
    else:
        click.echo(f"{name} was sent one {TEST_TYPE} and replied {line}")
        if body.strip():
            click.echo(f"  {printable(body)}")
    if not reply.accepted:
        raise CommandError(ExitCode.FAILED, f"{name} did not accept it: only a reply from 200 to 299 counts")


def _ask(invocation: Invocation, request: "Callable[[NotificationStore], Awaitable[T]]") -> T:
    async def ask() -> T:
        async with open_notification_store(invocation) as store:
            return await request(store)

    return asyncio.run(ask())
