"""The services of one command: opened on the configuration of the invocation, and closed afterwards."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from app.cli.errors import CommandError, ExitCode
from app.cli.session import Session

if TYPE_CHECKING:
    from app.config import Config
    from app.desk import Actor, Desk, ScheduleDesk
    from app.store.notifications import NotificationStore


@asynccontextmanager
async def at_desk(
    invocation: Session, *, refusal: ExitCode = ExitCode.FAILED, level: str = "error"
) -> "AsyncIterator[tuple[Desk, Config]]":
    """The job service and the configuration; raises what loading the configuration and opening the database raise.

    A refused request ends the command with ``refusal``. Log lines from ``level`` up go to stderr.
    """
    from app.bootstrap import open_desk  # noqa: PLC0415  # help and completion do without

    config = invocation.load()
    with invocation.log(config, level=level) as log:
        async with open_desk(config, log) as service:
            with _refusing(refusal):
                yield service, config


def me() -> "Actor":
    """The system's user who runs the command."""
    import getpass  # noqa: PLC0415

    from app.desk import Actor, Way  # noqa: PLC0415

    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in a container
        name = f"uid {os.getuid()}"
    return Actor(name, Way.CLI)


async def note_action(store: "NotificationStore", action: str, target: str) -> None:
    """Let a daemon log what a person did about notifications."""
    from app.clock import SystemClock  # noqa: PLC0415
    from app.desk import line_of  # noqa: PLC0415
    from app.store.actions import ActionStore  # noqa: PLC0415

    now = SystemClock().now()
    await ActionStore(store.database).leave(line_of(me(), action, target, "done", now), now)


@asynccontextmanager
async def at_schedules(invocation: Session) -> "AsyncIterator[ScheduleDesk]":
    """The schedules of the configuration; raises as :func:`at_desk` does."""
    from app.bootstrap import open_schedules  # noqa: PLC0415

    config = invocation.load()
    with invocation.log(config) as log:
        async with open_schedules(config, log) as opened:
            with _refusing(ExitCode.USAGE):
                yield opened


@asynccontextmanager
async def at_notifications(invocation: Session) -> "AsyncIterator[NotificationStore]":
    """The notifications of the configured database; raises as :func:`at_desk` does."""
    from app.bootstrap import open_notifications  # noqa: PLC0415

    config = invocation.load()
    with invocation.log(config) as log:
        async with open_notifications(config, log) as store:
            yield store


def next_page(path: str, query: Mapping[str, Sequence[object]], page: Sequence[Any]) -> str:
    """The address at which the HTTP API has the page after this one.

    Args:
        path: of the list.
        query: its parameters; those that are ``None`` were not given.
        page: what this one holds; it is not empty.
    """
    from app.web.api.cursors import MOST_LISTED, next_address  # noqa: PLC0415

    given = {name: [str(one) for one in values if one is not None] for name, values in query.items()}
    given["limit"] = [str(min(len(page), MOST_LISTED))]
    last_id: int = page[-1].id
    return next_address(path, {name: values for name, values in given.items() if values}, last_id)


@contextmanager
def _refusing(code: ExitCode) -> Iterator[None]:
    from app.desk import RequestError  # noqa: PLC0415

    try:
        yield
    except RequestError as error:
        raise CommandError(code, str(error)) from error
