"""How exceptions end a command."""

import pytest

from tidewaiter.cli.exit_codes import CommandError, ExitCode, command_error_of
from tidewaiter.config import ConfigError, ConfigFault
from tidewaiter.database.errors import SchemaError, StoreUnavailableError
from tidewaiter.providers.errors import SpecError, UnknownProviderError
from tidewaiter.services import RequestError


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (CommandError(ExitCode.TIMED_OUT, "late"), ExitCode.TIMED_OUT, "late"),
        (
            ConfigError.of([ConfigFault("f", "k", "r"), ConfigFault("f", "k2", "r")]),
            ExitCode.CONFIG,
            "f: k: r\nf: k2: r",
        ),
        (SpecError([]), ExitCode.CONFIG, ""),
        (SchemaError("old"), ExitCode.UNAVAILABLE, "old"),
        (StoreUnavailableError("gone"), ExitCode.UNAVAILABLE, "gone"),
        (RequestError("no"), ExitCode.FAILED, "no"),
        (UnknownProviderError("x", ["y"]), ExitCode.USAGE, "there is no provider 'x'; there are y"),
        (OSError(13, "Permission denied", "out"), ExitCode.UNAVAILABLE, "out: Permission denied"),
        (OSError(98, "Address already in use"), ExitCode.UNAVAILABLE, "Address already in use"),
        (ExceptionGroup("g", [ExceptionGroup("h", [SchemaError("old")])]), ExitCode.UNAVAILABLE, "old"),
    ],
)
def test_exceptions_end_in_codes(error: Exception, code: ExitCode, sentence: str) -> None:
    """Whatever a room below raises has its exit code, and its own sentence is what is told."""
    end = command_error_of(error)
    assert (end.code, str(end)) == (code, sentence)


def test_a_fault_of_ours_is_told_as_such() -> None:
    """Anything else is named as the program's fault, with the way to more."""
    assert "fault of the program: KeyError: 'x'; --debug" in str(command_error_of(KeyError("x")))
