"""Exit codes, and how every exception becomes one of them and a message on stderr."""

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """Exit codes of the commands; from sysexits.h where one fits."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 69
    DATABASE_LOST = 74
    TIMED_OUT = 75
    CONFIG = 78
    INTERRUPTED = 130


MEANINGS: Final = {
    ExitCode.OK: "done; with --wait: the job succeeded",
    ExitCode.FAILED: "failed; with --wait: the job did not succeed",
    ExitCode.USAGE: "the command, an argument or a parameter is wrong",
    ExitCode.UNAVAILABLE: "the database or the network cannot be used",
    ExitCode.DATABASE_LOST: "the database file is missing, or is not the one that was served last",
    ExitCode.TIMED_OUT: "the time to wait is over; the job continues",
    ExitCode.CONFIG: "the configuration or a spec is wrong",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C",
}


class CommandError(Exception):
    """Ends a command with an exit code and a message, which may be empty."""

    def __init__(self, code: ExitCode, sentence: str = "") -> None:
        super().__init__(sentence)
        self.code = code


def command_error_of(error: Exception) -> CommandError:
    """The exit code and message for an exception."""
    # Loaded only now: help needs none of them, and the code that raised one has loaded it already.
    from tidewaiter.config import ConfigError  # noqa: PLC0415
    from tidewaiter.database.errors import (  # noqa: PLC0415
        DatabaseFileError,
        HandleTakenError,
        SchemaError,
        StoreUnavailableError,
    )
    from tidewaiter.providers.errors import ParameterError, SpecError, UnknownProviderError  # noqa: PLC0415
    from tidewaiter.services import RequestError  # noqa: PLC0415

    match error:
        case CommandError():
            return error
        case ExceptionGroup(exceptions=(Exception() as only,)):
            return command_error_of(only)
        case ConfigError() | SpecError():
            return CommandError(ExitCode.CONFIG, str(error))
        case ParameterError() | UnknownProviderError():
            return CommandError(ExitCode.USAGE, str(error))
        case RequestError() | HandleTakenError():
            return CommandError(ExitCode.FAILED, str(error))
        case SchemaError() | StoreUnavailableError():
            is_lost = isinstance(error, DatabaseFileError)
            return CommandError(ExitCode.DATABASE_LOST if is_lost else ExitCode.UNAVAILABLE, str(error))
        case OSError(strerror=str(reason), filename=filename):
            return CommandError(ExitCode.UNAVAILABLE, f"{filename}: {reason}" if filename else reason)
        case _:
            fault = f"this is a fault of the program: {type(error).__name__}: {error}; --debug shows where"
            return CommandError(ExitCode.FAILED, fault)
