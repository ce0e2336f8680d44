"""One invocation of the command line: the common options, the configuration and the log."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

import click

from app.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from app.config import Config
    from app.log import EventLog, Redactor

VARIABLE: Final = "TIDEWAITER_CONFIG"
COMPLETE: Final = "_TIDEWAITER_COMPLETE"
PLACES: Final = (Path("tidewaiter.toml"), Path("/etc/tidewaiter/tidewaiter.toml"))

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass
class Session:
    """The common options of this invocation, and the redactor for its error messages."""

    config: Path | None = None
    debug: bool = False
    redactor: "Redactor | None" = None

    def find_config(self) -> Path | None:
        """The configuration file: the named one, or the first that exists in the usual places."""
        named = self.config or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
        return named or next((path for path in PLACES if path.is_file()), None)

    def load(self) -> "Config":
        """The configuration.

        Raises:
            CommandError: there is none.
            ConfigError: it cannot be used.
        """
        from app.config import ConfigError, load  # noqa: PLC0415  # `--help` does without

        path = self.find_config()
        if path is None:
            places = " nor ".join(map(str, PLACES))
            raise CommandError(ExitCode.CONFIG, f"there is no configuration, neither {places}; name one with --config")
        try:
            return load(path, os.environ)
        except ConfigError as error:
            if error.rest is None:
                raise
            from app.bootstrap import faults_of  # noqa: PLC0415

            raise error.joined_by(faults_of(error.rest)) from None

    @contextmanager
    def log(self, config: "Config", *, level: str = "error", stream: TextIO | None = None) -> "Iterator[EventLog]":
        """The log while a command runs: by default on stderr, so that the output can be piped, and only errors."""
        from app.log import configure  # noqa: PLC0415

        log = configure(config.log.format, level, config.secrets, stream=stream or sys.stderr)
        self.redactor = log.redactor
        try:
            yield log
        finally:
            log.close()

    def clean(self, text: str) -> str:
        """The text without the secrets that are known so far."""
        from app.log import Redactor  # noqa: PLC0415

        return (self.redactor or Redactor()).clean(text)


def example(*lines: str) -> str:
    """Examples for the end of a command's help."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    invocation = context.ensure_object(Session)
    if value and parameter.name:
        setattr(invocation, parameter.name, value)


def debug_option(command: _Command) -> _Command:
    """``--debug``, before or after the command's name."""
    option = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_remember,
        help="Show where in the program an error arose.",
    )
    return option(command)


def config_option(command: _Command) -> _Command:
    """``--config`` and ``--debug``, before or after the command's name."""
    option = click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        expose_value=False,
        callback=_remember,
        help=f"The configuration, also by {VARIABLE}.  [default: {', then '.join(map(str, PLACES))}]",
    )
    return option(debug_option(command))


pass_session = click.make_pass_decorator(Session, ensure=True)
