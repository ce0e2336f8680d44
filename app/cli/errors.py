"""Exit codes, and how whatever goes wrong becomes one of them and a sentence on stderr."""

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """What the commands end with; those of sysexits.h where it has one that fits."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 69
    TIMED_OUT = 75
    CONFIG = 78
    INTERRUPTED = 130


MEANINGS: Final = {
    ExitCode.OK: "done; where a job was waited for: it succeeded",
    ExitCode.FAILED: "failed; where a job was waited for: it did not succeed",
    ExitCode.USAGE: "the command, an argument or a parameter is wrong",
    ExitCode.UNAVAILABLE: "the database or the network cannot be used",
    ExitCode.TIMED_OUT: "the time to wait is over; the job goes on",
    ExitCode.CONFIG: "the configuration or a spec is wrong",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C",
}


class CommandError(Exception):
    """The end of a command: its exit code, and a sentence for whoever started it, which may be empty."""

    def __init__(self, code: ExitCode, sentence: str = "") -> None:
        super().__init__(sentence)
        self.code = code


def ended_by(error: Exception) -> CommandError:
    """The end that an exception puts to a command."""
    # Loaded only now: nothing of this is needed to print help, and whatever raised them has loaded it already.
    from app.config import ConfigError  # noqa: PLC0415
    from app.desk import RequestError  # noqa: PLC0415
    from app.providers.faults import ParameterError, SpecError, UnknownProviderError  # noqa: PLC0415
    from app.store.errors import HandleTakenError, SchemaError, StoreUnavailableError  # noqa: PLC0415

    match error:
        case CommandError():
            return error
        case ExceptionGroup(exceptions=(Exception() as only,)):
            return ended_by(only)
        case ConfigError() | SpecError():
            return CommandError(ExitCode.CONFIG, str(error))
        case ParameterError() | UnknownProviderError():
            return CommandError(ExitCode.USAGE, str(error))
        case RequestError() | HandleTakenError():
            return CommandError(ExitCode.FAILED, str(error))
        case SchemaError() | StoreUnavailableError():
            return CommandError(ExitCode.UNAVAILABLE, str(error))
        case OSError(strerror=str(reason), filename=filename):
            return CommandError(ExitCode.UNAVAILABLE, f"{filename}: {reason}" if filename else reason)
        case _:
            fault = f"this is a fault of the program: {type(error).__name__}: {error}; --debug shows where"
            return CommandError(ExitCode.FAILED, fault)
