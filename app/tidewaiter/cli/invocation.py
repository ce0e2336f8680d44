"""One invocation of the command line: the common options, the configuration, the log, and the services of a command.

What help and completion do not need is imported inside functions, so that both stay fast.
"""

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

import click

from tidewaiter.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from tidewaiter.config import Config
    from tidewaiter.database.notification_store import NotificationStore
    from tidewaiter.log import EventLog, Redactor
    from tidewaiter.services import AccountService, Actor, BackfillService, JobService, ScheduleService

CONFIG_VARIABLE: Final = "TIDEWAITER_CONFIG"
COMPLETION_VARIABLE: Final = "_TIDEWAITER_COMPLETE"
CONFIG_PLACES: Final = (Path("tidewaiter.toml"), Path("/etc/tidewaiter/tidewaiter.toml"))

_WHOLE_SENTENCE: Final = 400
_CommandT = TypeVar("_CommandT", bound=Callable[..., Any])


@dataclass
class Invocation:
    """The common options of this invocation, and the redactor for its error messages."""

    config: Path | None = None
    debug: bool = False
    redactor: "Redactor | None" = None

    def find_config(self) -> Path | None:
        """The configuration file: the named one, or the first that exists in the usual places."""
        named = self.config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
        return named or next((path for path in CONFIG_PLACES if path.is_file()), None)

    def load(self, *, account: str | None = None) -> "Config":
        """The configuration.

        Args:
            account: the only account that the command uses: faults of other accounts and of schedules do not count.

        Raises:
            CommandError: there is none.
            ConfigError: it cannot be used.
        """
        from tidewaiter.config import ConfigError, load  # noqa: PLC0415  # `--help` does without

        path = self.find_config()
        if path is None:
            places = " nor ".join(map(str, CONFIG_PLACES))
            remedy = "name one with --config, or write one with `tidewaiter config init`"
            raise CommandError(ExitCode.CONFIG, f"there is no configuration, neither {places}; {remedy}")
        try:
            return load(path, os.environ)
        except ConfigError as error:
            if error.rest is None:
                raise
            from tidewaiter.bootstrap import faults_of  # noqa: PLC0415

            every = error.with_faults(faults_of(error.rest))
            if account is None:
                raise every from None
            own = [one for one in every.faults if is_of_account(one.key, account)]
            if own:
                raise ConfigError.of(own) from None
            return error.rest

    @contextmanager
    def log(self, config: "Config", *, level: str = "error", stream: TextIO | None = None) -> "Iterator[EventLog]":
        """The log while a command runs: by default on stderr, so that the output can be piped, and only errors."""
        from tidewaiter.log import configure  # noqa: PLC0415

        log = configure(config.log.format, level, config.secrets, stream=stream or sys.stderr)
        self.redactor = log.redactor
        try:
            yield log
        finally:
            log.close()

    def clean(self, text: str) -> str:
        """The text without the secrets that are known so far."""
        from tidewaiter.log import Redactor  # noqa: PLC0415

        return (self.redactor or Redactor()).clean(text)


def is_of_account(key: str, account: str) -> bool:
    """Whether a key of the configuration is for an account; the keys of other accounts and of schedules are not."""
    table, _, rest = key.partition(".")
    return table != "schedules" and (table != "accounts" or rest == account or rest.startswith(f"{account}."))


class CommandGroup(click.Group):
    """A group whose help says what each command does in a whole sentence; click would cut it off."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(_WHOLE_SENTENCE)) for name, one in commands if one])


def example(*lines: str) -> str:
    """Examples for the end of a command's help."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    invocation = context.ensure_object(Invocation)
    if value and parameter.name:
        setattr(invocation, parameter.name, value)


def debug_option(command: _CommandT) -> _CommandT:
    """``--debug``, before or after the command's name."""
    option = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_remember,
        help="Show where in the program an error arose.",
    )
    return option(command)


def config_option(command: _CommandT) -> _CommandT:
    """``--config`` and ``--debug``, before or after the command's name."""
    option = click.option(
        "--config",
        type=click.Path(path_type=Path, readable=False),
        metavar="FILE",
        expose_value=False,
        callback=_remember,
        help=f"The configuration, also by {CONFIG_VARIABLE}.  [default: {', then '.join(map(str, CONFIG_PLACES))}]",
    )
    return option(debug_option(command))


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)


@asynccontextmanager
async def open_job_service(
    invocation: Invocation, *, refusal: ExitCode = ExitCode.FAILED, level: str = "error"
) -> "AsyncIterator[tuple[JobService, Config]]":
    """The job service and the configuration; raises what loading the configuration and opening the database raise.

    A refused request ends the command with ``refusal``. Log lines from ``level`` up go to stderr.
    """
    from tidewaiter import bootstrap  # noqa: PLC0415  # help and completion do without

    config = invocation.load()
    with invocation.log(config, level=level) as log:
        async with bootstrap.open_job_service(config, log) as service:
            with _refusing(refusal):
                yield service, config


@asynccontextmanager
async def open_account_service(invocation: Invocation) -> "AsyncIterator[AccountService]":
    """The account service; raises as :func:`open_job_service` does. A refused request ends the command with 2."""
    from tidewaiter import bootstrap  # noqa: PLC0415

    config = invocation.load()
    with invocation.log(config) as log:
        async with bootstrap.open_account_service(config, log) as service:
            with _refusing(ExitCode.USAGE):
                yield service


@asynccontextmanager
async def open_schedule_service(invocation: Invocation) -> "AsyncIterator[ScheduleService]":
    """The schedules of the configuration; raises as :func:`open_job_service` does."""
    from tidewaiter.bootstrap import open_schedules  # noqa: PLC0415

    config = invocation.load()
    with invocation.log(config) as log:
        async with open_schedules(config, log) as opened:
            with _refusing(ExitCode.USAGE):
                yield opened


@asynccontextmanager
async def open_backfill_service(
    invocation: Invocation, *, refusal: ExitCode = ExitCode.FAILED
) -> "AsyncIterator[BackfillService]":
    """The service for backfills; raises as :func:`open_job_service` does."""
    from tidewaiter.bootstrap import open_backfills  # noqa: PLC0415

    config = invocation.load()
    with invocation.log(config) as log:
        async with open_backfills(config, log) as service:
            with _refusing(refusal):
                yield service


@asynccontextmanager
async def open_notification_store(invocation: Invocation) -> "AsyncIterator[NotificationStore]":
    """The notifications of the configured database; raises as :func:`open_job_service` does."""
    from tidewaiter.bootstrap import open_notifications  # noqa: PLC0415

    config = invocation.load()
    with invocation.log(config) as log:
        async with open_notifications(config, log) as store:
            yield store


def current_user() -> "Actor":
    """The system's user who runs the command."""
    import getpass  # noqa: PLC0415

    from tidewaiter.services import Actor, Channel  # noqa: PLC0415

    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in a container
        name = f"uid {os.getuid()}"
    return Actor(name, Channel.CLI)


async def note_action(store: "NotificationStore", action: str, target: str) -> None:
    """Store what a person did about notifications, for a daemon to log."""
    from tidewaiter.clock import SystemClock  # noqa: PLC0415
    from tidewaiter.database.admin_action_store import AdminActionStore  # noqa: PLC0415
    from tidewaiter.services import audit_fields  # noqa: PLC0415

    now = SystemClock().now()
    await AdminActionStore(store.database).add_line(audit_fields(current_user(), action, target, "done", now), now)


def next_page(path: str, query: Mapping[str, Sequence[object]], page: Sequence[Any]) -> str:
    """The address at which the HTTP API has the page after this one.

    Args:
        path: of the list.
        query: its parameters; those that are ``None`` were not given.
        page: the items of this page; at least one.
    """
    from tidewaiter.web.api.paging import MOST_LISTED, next_address  # noqa: PLC0415

    given = {name: [str(one) for one in values if one is not None] for name, values in query.items()}
    given["limit"] = [str(min(len(page), MOST_LISTED))]
    last_id: int = page[-1].id
    return next_address(path, {name: values for name, values in given.items() if values}, last_id)


@contextmanager
def _refusing(code: ExitCode) -> Iterator[None]:
    from tidewaiter.services import RequestError  # noqa: PLC0415

    try:
        yield
    except RequestError as error:
        raise CommandError(code, str(error)) from error
